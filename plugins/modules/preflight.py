#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of this name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Evaluate the results of all checks
description:
  - Shows the results of the SSH check, host facts, plan, network check and release check. A table of problems shows the
    host, what was found, what is expected and how to fix it.
  - Writes a report as JSON and JUnit to the directory in C(vllm_ray_report), if set.
  - Fails on errors, and with C(vllm_ray_strict) also on warnings. Checks named in C(vllm_ray_checks_off) are ignored.
  - One call covers the whole cluster, so set C(run_once) on the task.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
  - vllm_ray.cluster._attributes.controller
options:
  ssh:
    description: Result of M(vllm_ray.cluster.ssh_info).
    type: dict
    default: {}
  plan:
    description: Result of M(vllm_ray.cluster.plan).
    type: dict
    required: true
  ranks:
    description: Result of M(vllm_ray.cluster.collective_ranks).
    type: dict
    default: {why: not part of this run, hosts: {}}
  look:
    description: Name of the variable with each host's registered result of M(vllm_ray.cluster.look).
    type: str
    default: __vllm_ray_look
  network:
    description: Names of variables that may have each host's registered result of M(vllm_ray.cluster.network_check).
    type: list
    elements: str
    default: [__vllm_ray_network_gathered, __vllm_ray_network_started]
  collective:
    description: Names of variables that may have each host's registered result of M(vllm_ray.cluster.collective_check).
    type: list
    elements: str
    default: [__vllm_ray_collective_gathered, __vllm_ray_collective_started]
  release:
    description: Name of the variable with each host's registered result of M(vllm_ray.cluster.release_info).
    type: str
    default: __vllm_ray_release
  parser:
    description: Name of the variable with the serve host's registered result of M(vllm_ray.cluster.serve_config_check).
    type: str
    default: vllm_check
seealso:
  - module: vllm_ray.cluster.plan
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Evaluate all checks
  vllm_ray.cluster.preflight:
    ssh: "{{ contacts }}"
    plan: "{{ planned }}"
  run_once: true
"""

RETURN = r"""
report:
  description: The report, as written to C(preflight.json). The file is also written on failure.
  returned: success
  type: dict
  contains:
    worst:
      description: The worst severity, V(none) if there is no problem.
      returned: always
      type: str
      sample: warning
    passed:
      description: Whether no problem would stop a run.
      returned: always
      type: bool
    problems:
      description: Problems, each with host, check, severity, found, wanted and fix.
      returned: always
      type: list
      elements: dict
    checks:
      description: Checks, each with name, stage and state. The state is V(done), or the reason why the check did not
        run.
      returned: always
      type: list
      elements: dict
    hosts:
      description: Results of M(vllm_ray.cluster.host_info) by host.
      returned: always
      type: dict
    parity:
      description: Compared values of the hosts, by row and host.
      returned: always
      type: dict
    changes:
      description: Differences from the last successful run.
      returned: always
      type: list
      elements: str
      sample: ["kernel: 6.1.0-50-amd64 -> 6.1.0-51-amd64 on gpu02"]
    network:
      description: Results of M(vllm_ray.cluster.network_check) by host.
      returned: always
      type: dict
    collective:
      description: Results of M(vllm_ray.cluster.collective_check) by host.
      returned: always
      type: dict
"""
