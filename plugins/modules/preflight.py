#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of this name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Judge what all checks found
description:
  - Gathers what the first contact, the looks, the plan, the network and the releases showed, and shows it. A table of
    problems says what was found on which host, what is wanted and what mends it.
  - Writes the same for programs, as JSON and as JUnit, where C(vllm_ray_report) names a directory.
  - Fails on errors, and with C(vllm_ray_strict) on warnings too. C(vllm_ray_checks_off) leaves checks out by name.
  - One call judges the whole cluster, so a task sets C(run_once).
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
  - vllm_ray.cluster._attributes.controller
options:
  ssh:
    description: What M(vllm_ray.cluster.ssh_info) returned.
    type: dict
    default: {}
  plan:
    description: What M(vllm_ray.cluster.plan) returned.
    type: dict
    required: true
  ranks:
    description: What M(vllm_ray.cluster.collective_ranks) returned.
    type: dict
    default: {why: not a part of this run, hosts: {}}
  look:
    description: Name of the variable in which each host's look was registered.
    type: str
    default: __vllm_ray_look
  network:
    description: Names of variables in which each host's M(vllm_ray.cluster.network_check) may be registered.
    type: list
    elements: str
    default: [__vllm_ray_network_gathered, __vllm_ray_network_started]
  collective:
    description: Names of variables in which each host's M(vllm_ray.cluster.collective_check) may be registered.
    type: list
    elements: str
    default: [__vllm_ray_collective_gathered, __vllm_ray_collective_started]
  release:
    description: Name of the variable in which each host's M(vllm_ray.cluster.release_info) was registered.
    type: str
    default: __vllm_ray_release
  parser:
    description: Name of the variable in which M(vllm_ray.cluster.serve_config_check) was registered on the serve host.
    type: str
    default: vllm_check
seealso:
  - module: vllm_ray.cluster.plan
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Judge
  vllm_ray.cluster.preflight:
    ssh: "{{ contacts }}"
    plan: "{{ planned }}"
  run_once: true
"""

RETURN = r"""
report:
  description: The report as it is written to C(preflight.json), which is written on failure, too.
  returned: success
  type: dict
  contains:
    worst:
      description: The worst severity, V(none) where there is no problem.
      returned: always
      type: str
      sample: warning
    passed:
      description: Whether nothing stops a run.
      returned: always
      type: bool
    problems:
      description: What is wrong, each with host, check, severity, found, wanted and fix.
      returned: always
      type: list
      elements: dict
    checks:
      description: The checks, each with name, stage, and state. V(done) is a state; others say why it was not made.
      returned: always
      type: list
      elements: dict
    hosts:
      description: What M(vllm_ray.cluster.host_info) returned, by host.
      returned: always
      type: dict
    parity:
      description: Values by row and host.
      returned: always
      type: dict
    changes:
      description: What is not as in the last good run.
      returned: always
      type: list
      elements: str
      sample: ["kernel: 6.1.0-50-amd64 -> 6.1.0-51-amd64 on gpu02"]
    network:
      description: What M(vllm_ray.cluster.network_check) returned, by host.
      returned: always
      type: dict
    collective:
      description: What M(vllm_ray.cluster.collective_check) returned, by host.
      returned: always
      type: dict
"""
