#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of this name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: judge
short_description: Judge what one stage of checks found
description:
  - Shows what the hosts found about the network between them, or what came of their ranks together, with a table of
    problems that says what is wanted and what mends it.
  - Fails on errors, and with C(vllm_ray_strict) on warnings too. C(vllm_ray_checks_off) leaves checks out by name.
  - One call judges all hosts of the play, so a task sets C(run_once).
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
  - vllm_ray.cluster._attributes.controller
options:
  stage:
    description: What is judged, M(vllm_ray.cluster.network_check) or M(vllm_ray.cluster.collective_check).
    type: str
    choices: [network, collective]
    required: true
  plan:
    description: What M(vllm_ray.cluster.plan) returned.
    type: dict
    required: true
  planned:
    description: What M(vllm_ray.cluster.collective_ranks) returned, for O(stage=collective).
    type: dict
    default: {}
  answers:
    description: Names of variables in which each host's result may be registered.
    type: list
    elements: str
    required: true
  look:
    description: Name of the variable in which each host's look was registered.
    type: str
    default: __vllm_ray_look
seealso:
  - module: vllm_ray.cluster.preflight
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Judge the network
  vllm_ray.cluster.judge:
    stage: network
    plan: "{{ __vllm_ray_plan }}"
    answers: [tested]
  run_once: true
"""

RETURN = r"""
state:
  description: V(done), or why it was not checked.
  returned: success
  type: str
  sample: left out, the engine serves
problems:
  description: What is wrong, each with host, check, severity, found, wanted and fix.
  returned: success
  type: list
  elements: dict
"""
