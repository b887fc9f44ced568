#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of this name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_seed
short_description: Decide which build of a release all hosts get, and from which host
description:
  - Root of any host can say that it has the release. So a manifest counts only where it is the controller's, if that
    builds, or is in the record O(trusted), or is the builder's. Hosts that have this manifest may give the release to
    others. A host with another manifest only receives. Where no manifest counts, the release is built.
  - The record is read on the host to which the task is delegated, and only where hosts lack the release or differ.
  - Warns of hosts that have another build than the one that all get.
  - Says who lacks the release, and what M(vllm_ray.cluster.tree_sync) needs to know to bring it to them.
  - One call is about all hosts of the play, so a task sets C(run_once).
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
  - vllm_ray.cluster._attributes.action
options:
  id:
    description: Id of the release, as the builder's RV(vllm_ray.cluster.release_info#module:id) or the user gives it.
    type: str
    required: true
  builder:
    description: Name of the host that builds. Empty = the controller.
    type: str
    default: ''
  built:
    description: What M(vllm_ray.cluster.release_info) returned for the builder. Empty = nobody may build.
    type: dict
    default: {}
  trusted:
    description:
      - Path of the file in which M(vllm_ray.cluster.trusted_digest) notes the digests of releases that were built.
      - Empty = there is none.
    type: str
    default: ''
  hosts:
    description: Name and cluster address of hosts. Default of a host is the address by which Ansible reaches it.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the host.
        type: str
        required: true
      address:
        description: Its cluster address.
        type: str
        required: true
  look:
    description: Name of the variable in which each host's M(vllm_ray.cluster.release_info) was registered.
    type: str
    default: release_found
seealso:
  - module: vllm_ray.cluster.release_info
  - module: vllm_ray.cluster.trusted_digest
  - module: vllm_ray.cluster.tree_sync
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Find who has it
  vllm_ray.cluster.release_seed:
    id: "{{ looked_at_builder.id }}"
    builder: gpu01
    built: "{{ looked_at_builder }}"
    trusted: /etc/vllm-ray/default/trusted.json
    look: looked
  delegate_to: gpu01
  run_once: true
  register: seed
"""

RETURN = r"""
host:
  description: The host that has it, or will be the first to have it.
  returned: success
  type: str
  sample: gpu01
path:
  description: Where it is there, or will be.
  returned: success
  type: str
  sample: /opt/vllm-ray/releases/cpu-vllm0.32.0-py3.11.2-0f3b6c1d2a4e
bytes:
  description: Size of all files there, 0 where it is not there yet.
  returned: success
  type: int
builds:
  description: Whether it has to be built.
  returned: success
  type: bool
copies:
  description: Whether it comes to RV(host) from the controller.
  returned: success
  type: bool
lacking:
  description: Hosts that are to get it from RV(host).
  returned: success
  type: list
  elements: str
  sample: [gpu02, gpu03]
wanted:
  description: SHA-256 of the manifest that all are to have. Empty until it is built.
  returned: success
  type: str
digest:
  description:
    - Digest of the tree of RV(wanted), as the record O(trusted) has it.
    - Empty where the record does not have it, or the release is not the record's. The builder describes its tree then.
  returned: success
  type: str
outside:
  description: Whether RV(host) is not in this play.
  returned: success
  type: bool
hosts:
  description: Option O(vllm_ray.cluster.tree_sync#module:hosts). Empty where nobody lacks it.
  returned: success
  type: list
  elements: dict
  sample: [{"name": "gpu01", "address": "192.0.2.11"}, {"name": "gpu02", "address": "192.0.2.12"}]
run:
  description:
    - Name of this transfer, another one each time. The lookup P(vllm_ray.cluster.run_token#lookup) makes the option
      O(vllm_ray.cluster.tree_sync#module:token) of it.
  returned: success
  type: str
window:
  description: Option O(vllm_ray.cluster.tree_sync#module:window).
  returned: success
  type: float
"""
