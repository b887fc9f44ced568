#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of this name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_seed
short_description: Select the build of a release for all hosts and the host that provides it
description:
  - Root of any host can claim to have the release. Therefore a manifest is trusted only if it is the builder's or in
    the record O(trusted), or the controller's if it builds. Hosts with a trusted manifest may provide the release.
    Other hosts only receive it. If no manifest is trusted, the release is built.
  - The record is read on the host to which the task is delegated, and only if the release is missing or differs on a
    host.
  - Warns about hosts with a different build of the release.
  - Returns the hosts without the release, and the options of M(vllm_ray.cluster.tree_sync) to copy it to them.
  - One call covers all hosts of the play, so set C(run_once) on the task.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
  - vllm_ray.cluster._attributes.action
options:
  id:
    description: Id of the release, from the builder's RV(vllm_ray.cluster.release_info#module:id) or from the user.
    type: str
    required: true
  builder:
    description: Name of the host that builds. If empty, the controller builds.
    type: str
    default: ''
  built:
    description: Result of M(vllm_ray.cluster.release_info) for the builder. If empty, no host may build.
    type: dict
    default: {}
  trusted:
    description:
      - Path of the file in which M(vllm_ray.cluster.trusted_digest) stores the digests of built releases.
      - If empty, there is no such file.
    type: str
    default: ''
  hosts:
    description: Names and cluster addresses of hosts. Default of a host is the address that Ansible connects to.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the host.
        type: str
        required: true
      address:
        description: Cluster address of the host.
        type: str
        required: true
  look:
    description: Name of the variable with each host's registered result of M(vllm_ray.cluster.release_info).
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
- name: Select the host that provides the release
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
  description: Host that has the release, or gets it first.
  returned: success
  type: str
  sample: gpu01
path:
  description: Path of the release on RV(host), existing or planned.
  returned: success
  type: str
  sample: /opt/vllm-ray/releases/cpu-vllm0.32.0-py3.11.2-0f3b6c1d2a4e
bytes:
  description: Size of all files there in bytes, 0 if it does not exist yet.
  returned: success
  type: int
builds:
  description: Whether the release must be built.
  returned: success
  type: bool
copies:
  description: Whether the release is copied from the controller to RV(host).
  returned: success
  type: bool
lacking:
  description: Hosts without the release, which get it from RV(host).
  returned: success
  type: list
  elements: str
  sample: [gpu02, gpu03]
wanted:
  description: SHA-256 of the manifest that all hosts should have. Empty until the release is built.
  returned: success
  type: str
digest:
  description:
    - Digest of the tree of RV(wanted) from the record O(trusted).
    - Empty if the record does not have it, or if the release does not match the record. The builder then computes the
      digest of its tree.
  returned: success
  type: str
outside:
  description: Whether RV(host) is not in this play.
  returned: success
  type: bool
hosts:
  description: Option O(vllm_ray.cluster.tree_sync#module:hosts). Empty if all hosts have the release.
  returned: success
  type: list
  elements: dict
  sample: [{"name": "gpu01", "address": "192.0.2.11"}, {"name": "gpu02", "address": "192.0.2.12"}]
run:
  description:
    - Unique name of this transfer. The lookup P(vllm_ray.cluster.run_token#lookup) derives the option
      O(vllm_ray.cluster.tree_sync#module:token) from it.
  returned: success
  type: str
window:
  description: Option O(vllm_ray.cluster.tree_sync#module:window), in seconds.
  returned: success
  type: float
"""
