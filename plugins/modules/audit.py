#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of this name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: audit
short_description: Evaluate the audit of a cluster's protections
description:
  - Evaluates the results of M(vllm_ray.cluster.audit_host), M(vllm_ray.cluster.audit_reach) and
    M(vllm_ray.cluster.ufw_peers) (in check mode) on all hosts, row by row.
  - Shows how many rows passed. For each failed row, shows what was found, what is expected and how to fix it.
  - A row that could not be checked counts as failed. In scope C(user), rows that require root are warnings.
  - Writes C(audit.json) with all rows and C(audit.xml) (JUnit) to the directory in C(vllm_ray_report), if set.
  - Fails if a row failed. To ignore a row, add C(audit_ROW) to C(vllm_ray_checks_off), such as V(audit_kernel).
  - Changes nothing on hosts. One call covers the whole cluster, so set C(run_once) on the task.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
  - vllm_ray.cluster._attributes.controller
  - vllm_ray.cluster._attributes.actiongroup_cluster
options:
  plan:
    description: Result of M(vllm_ray.cluster.plan).
    type: dict
    required: true
  outside:
    description: Result of M(vllm_ray.cluster.audit_reach) on a host outside the cluster.
    type: dict
    default: {}
  stranger:
    description: Name of the host outside the cluster.
    type: str
    default: localhost
  look:
    description: Name of the variable with each host's registered result of M(vllm_ray.cluster.look).
    type: str
    default: __vllm_ray_look
  inside:
    description: Name of the variable with each host's registered result of M(vllm_ray.cluster.audit_host).
    type: str
    default: __vllm_ray_audit_host
  rules:
    description: Name of the variable with each host's registered result of M(vllm_ray.cluster.ufw_peers).
    type: str
    default: __vllm_ray_audit_rules
  peers:
    description: Name of the variable with each host's registered result of M(vllm_ray.cluster.audit_reach).
    type: str
    default: __vllm_ray_audit_peers
seealso:
  - module: vllm_ray.cluster.preflight
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Evaluate the audit
  vllm_ray.cluster.audit:
    plan: "{{ planned }}"
    outside: "{{ outside }}"
  run_once: true
"""

RETURN = r"""
report:
  description: The report, as written to C(audit.json).
  returned: success
  type: dict
  contains:
    passed:
      description: Whether all rows passed, except warnings.
      type: bool
    worst:
      description: The worst severity of a failed row, V(none) if all passed.
      type: str
    rows:
      description: All rows, each with host, row, group, state, found, expected, fix, severity and holds.
      type: list
      elements: dict
"""
