#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of this name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: transfer_plan
short_description: Say who takes part in making a model the same on all hosts
description:
  - From what M(vllm_ray.cluster.model_manifest) found on each host of the play, it makes the arguments of
    M(vllm_ray.cluster.tree_sync) that all hosts must agree on.
  - All hosts take part where one of them differs, those that have the model as sources. Of hosts that share the file
    system of the model, one writes. Where only the controller has the model, one host gets it from there first.
  - Fails where a model that the collection made was changed, and nobody has it whole.
  - One call is about all hosts of the play, so a task sets C(run_once).
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
  - vllm_ray.cluster._attributes.controller
options:
  source:
    description: What M(vllm_ray.cluster.model_manifest) returned for the source.
    type: dict
    required: true
  compared:
    description: Name of the variable in which each host's M(vllm_ray.cluster.model_manifest) is registered.
    type: str
    required: true
  addresses:
    description: Name and address of hosts, by which they reach one another. What is not listed is reached by the
      address that Ansible uses.
    type: list
    elements: dict
    default: []
seealso:
  - module: vllm_ray.cluster.tree_sync
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: See who takes part
  vllm_ray.cluster.transfer_plan:
    source: "{{ source }}"
    compared: compared
  run_once: true
  register: transfer
"""

RETURN = r"""
dry:
  description: Whether this is check mode, for the play or for the task alone.
  returned: success
  type: bool
needed:
  description: Whether there is something to do.
  returned: success
  type: bool
source:
  description: Name of the host that has the wanted model, or V(the controller); all hosts are told the same.
  returned: success
  type: str
hosts:
  description: Name and address of all who run M(vllm_ray.cluster.tree_sync) together. Empty where only one host lacks
    the model, and gets it from the controller.
  returned: success
  type: list
  elements: dict
  sample: [{"name": "gpu01", "address": "192.0.2.11"}]
seed:
  description: The host that gets the model from the controller first, empty for none.
  returned: success
  type: str
waiting:
  description: Hosts that find the model on a file system to which another host writes it.
  returned: success
  type: list
  elements: str
outside:
  description: The one of RV(hosts) that is not in the play, empty for none.
  returned: success
  type: str
window:
  description: How many seconds later than the first host the last one may start.
  returned: success
  type: float
run:
  description:
    - Name of this transfer, another one each time. The lookup P(vllm_ray.cluster.run_token#lookup) makes the option
      O(vllm_ray.cluster.tree_sync#module:token) of it.
  returned: success
  type: str
"""
