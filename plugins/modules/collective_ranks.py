#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of this name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: collective_ranks
short_description: Say what each host has to do in a collective check
description:
  - Turns the plan into the arguments of M(vllm_ray.cluster.collective_check) on each host of the engine. The ranks have
    the GPUs and the environment that the engine will have.
  - Says why where there can be none, such as an engine that serves or starts, an engine with one GPU, no release, or a
    network that is not open yet.
  - One call is about all hosts of the play, so a task sets C(run_once).
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
  - vllm_ray.cluster._attributes.controller
options:
  plan:
    description: What M(vllm_ray.cluster.plan) returned.
    type: dict
    required: true
  network:
    description: Names of variables in which each host's M(vllm_ray.cluster.network_check) may be registered.
    type: list
    elements: str
    default: [__vllm_ray_network_gathered, __vllm_ray_network_started]
  release:
    description: Names of variables in which each host's M(vllm_ray.cluster.release_info) may be registered.
    type: list
    elements: str
    default: [__vllm_ray_release, release_found]
seealso:
  - module: vllm_ray.cluster.collective_check
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: See which ranks there are
  vllm_ray.cluster.collective_ranks:
    plan: "{{ __vllm_ray_plan }}"
  run_once: true
  register: ranks
"""

RETURN = r"""
why:
  description: Why there can be no collective check now, empty where there can.
  returned: success
  type: str
  sample: not needed, the engine uses one GPU
hosts:
  description: Arguments of M(vllm_ray.cluster.collective_check), by host.
  returned: success
  type: dict
background:
  description: Whether there are more hosts than forks, so that they must be started in the background.
  returned: success
  type: bool
"""
