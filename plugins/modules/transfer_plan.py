#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of this name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: transfer_plan
short_description: Select the hosts that take part in a model transfer
description:
  - Computes the common arguments of M(vllm_ray.cluster.tree_sync) for all hosts from the results of
    M(vllm_ray.cluster.model_manifest) on each host of the play.
  - If any host differs, all hosts take part. Hosts that have the model are sources. If hosts share the file system of
    the model, one of them writes. If only the controller has the model, one host copies it from there first.
  - Fails if a model that the collection created was changed, and no host has an intact copy.
  - One call covers all hosts of the play, so set C(run_once) on the task.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
  - vllm_ray.cluster._attributes.controller
options:
  source:
    description: Result of M(vllm_ray.cluster.model_manifest) for the source.
    type: dict
    required: true
  compared:
    description: Name of the variable with each host's registered result of M(vllm_ray.cluster.model_manifest).
    type: str
    required: true
  addresses:
    description: Names and addresses at which hosts reach one another. Default of a host is the address that Ansible
      connects to.
    type: list
    elements: dict
    default: []
seealso:
  - module: vllm_ray.cluster.tree_sync
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Select the hosts that take part
  vllm_ray.cluster.transfer_plan:
    source: "{{ source }}"
    compared: compared
  run_once: true
  register: transfer
"""

RETURN = r"""
dry:
  description: Whether check mode is on, for the play or only for the task.
  returned: success
  type: bool
needed:
  description: Whether a transfer is needed.
  returned: success
  type: bool
source:
  description: Name of the host with the source model, or V(the controller). It is the same for all hosts.
  returned: success
  type: str
hosts:
  description: Names and addresses of all hosts that run M(vllm_ray.cluster.tree_sync) together. Empty if only one host
    needs the model and gets it from the controller.
  returned: success
  type: list
  elements: dict
  sample: [{"name": "gpu01", "address": "192.0.2.11"}]
seed:
  description: Host that copies the model from the controller first, empty for none.
  returned: success
  type: str
waiting:
  description: Hosts that wait, because another host writes the model to a shared file system.
  returned: success
  type: list
  elements: str
outside:
  description: Host of RV(hosts) that is not in the play, empty for none.
  returned: success
  type: str
window:
  description: Seconds that the last host may start after the first host.
  returned: success
  type: float
run:
  description:
    - Unique name of this transfer. The lookup P(vllm_ray.cluster.run_token#lookup) derives the option
      O(vllm_ray.cluster.tree_sync#module:token) from it.
  returned: success
  type: str
"""
