#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of this name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: audit
short_description: Judge whether the protections of a cluster hold
description:
  - Judges what M(vllm_ray.cluster.audit_host), M(vllm_ray.cluster.audit_reach) and M(vllm_ray.cluster.ufw_peers) (in
    check mode) found on all hosts, row by row. Shows the rows that do not hold, each with what was found, what is
    expected and how to fix it, and how many rows hold.
  - A row that could not be asked does not hold. In scope C(user), what needs root is a warning.
  - Writes C(audit.json), with all rows, and JUnit's C(audit.xml) where C(vllm_ray_report) names a directory.
  - Fails where a row does not hold. C(audit_ROW) in C(vllm_ray_checks_off) leaves out a row, such as V(audit_kernel).
  - Changes nothing on hosts. One call judges the whole cluster, so a task sets C(run_once).
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
  - vllm_ray.cluster._attributes.controller
  - vllm_ray.cluster._attributes.actiongroup_cluster
options:
  plan:
    description: What M(vllm_ray.cluster.plan) returned.
    type: dict
    required: true
  outside:
    description: What M(vllm_ray.cluster.audit_reach) returned on a host outside of the cluster.
    type: dict
    default: {}
  stranger:
    description: Name of that host.
    type: str
    default: localhost
  look:
    description: Name of the variable in which each host's look was registered.
    type: str
    default: __vllm_ray_look
  inside:
    description: Name of the variable in which M(vllm_ray.cluster.audit_host) was registered.
    type: str
    default: __vllm_ray_audit_host
  rules:
    description: Name of the variable in which M(vllm_ray.cluster.ufw_peers) was registered.
    type: str
    default: __vllm_ray_audit_rules
  peers:
    description: Name of the variable in which each host registered M(vllm_ray.cluster.audit_reach).
    type: str
    default: __vllm_ray_audit_peers
seealso:
  - module: vllm_ray.cluster.preflight
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Judge
  vllm_ray.cluster.audit:
    plan: "{{ planned }}"
    outside: "{{ outside }}"
  run_once: true
"""

RETURN = r"""
report:
  description: The report, as it is in C(audit.json).
  returned: success
  type: dict
  contains:
    passed:
      description: Whether all rows hold, apart from warnings.
      type: bool
    worst:
      description: The worst severity of a row that does not hold, V(none) where all hold.
      type: str
    rows:
      description: All rows, each with host, row, group, state, found, expected, fix, severity and holds.
      type: list
      elements: dict
"""
