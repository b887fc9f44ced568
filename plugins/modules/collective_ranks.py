#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of this name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: collective_ranks
short_description: Compute the arguments of a collective check for each host
description:
  - Computes the arguments of M(vllm_ray.cluster.collective_check) for each host of the engine from the plan. The ranks
    get the GPUs and the environment that the engine will use.
  - Returns the reason if the check cannot run. Examples are an engine that serves or starts, an engine with one GPU, no
    release, or a blocked network.
  - One call covers all hosts of the play, so set C(run_once) on the task.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
  - vllm_ray.cluster._attributes.controller
options:
  plan:
    description: Result of M(vllm_ray.cluster.plan).
    type: dict
    required: true
  network:
    description: Names of variables that may have each host's registered result of M(vllm_ray.cluster.network_check).
    type: list
    elements: str
    default: [__vllm_ray_network_gathered, __vllm_ray_network_started]
  release:
    description: Names of variables that may have each host's registered result of M(vllm_ray.cluster.release_info).
    type: list
    elements: str
    default: [__vllm_ray_release, release_found]
seealso:
  - module: vllm_ray.cluster.collective_check
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Compute the ranks
  vllm_ray.cluster.collective_ranks:
    plan: "{{ __vllm_ray_plan }}"
  run_once: true
  register: ranks
"""

RETURN = r"""
why:
  description: Why the collective check cannot run now. Empty if it can.
  returned: success
  type: str
  sample: not needed, the engine uses one GPU
hosts:
  description: Arguments of M(vllm_ray.cluster.collective_check) by host.
  returned: success
  type: dict
background:
  description: Whether the tasks must be started in the background, because there are more hosts than forks.
  returned: success
  type: bool
"""
