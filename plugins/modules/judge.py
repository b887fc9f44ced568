#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of this name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: judge
short_description: Evaluate the results of one stage of checks
description:
  - Shows the results of the network check or the collective check of all hosts. A table of problems shows what was
    found, what is expected and how to fix it.
  - Fails on errors, and with C(vllm_ray_strict) also on warnings. Checks named in C(vllm_ray_checks_off) are ignored.
  - One call covers all hosts of the play, so set C(run_once) on the task.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
  - vllm_ray.cluster._attributes.controller
options:
  stage:
    description: Stage to evaluate, M(vllm_ray.cluster.network_check) or M(vllm_ray.cluster.collective_check).
    type: str
    choices: [network, collective]
    required: true
  plan:
    description: Result of M(vllm_ray.cluster.plan).
    type: dict
    required: true
  planned:
    description: Result of M(vllm_ray.cluster.collective_ranks), for O(stage=collective).
    type: dict
    default: {}
  answers:
    description: Names of variables that may have each host's registered result.
    type: list
    elements: str
    required: true
  look:
    description: Name of the variable with each host's registered result of M(vllm_ray.cluster.look).
    type: str
    default: __vllm_ray_look
seealso:
  - module: vllm_ray.cluster.preflight
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Evaluate the network check
  vllm_ray.cluster.judge:
    stage: network
    plan: "{{ __vllm_ray_plan }}"
    answers: [tested]
  run_once: true
"""

RETURN = r"""
state:
  description: V(done), or the reason why the check did not run.
  returned: success
  type: str
  sample: left out, the engine serves
problems:
  description: Problems, each with host, check, severity, found, wanted and fix.
  returned: success
  type: list
  elements: dict
"""
