#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of this name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: status
short_description: Show how a cluster is
description:
  - Shows whether the engine serves, judged by a completion, its KV cache, the nodes of Ray, and services and GPUs of
    every host, and what is wrong with hosts.
  - Changes nothing. One call shows the whole cluster, so a task sets C(run_once).
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
  - vllm_ray.cluster._attributes.action
attributes:
  action:
    support: full
    details: All of the work is done on the controller.
options:
  plan:
    description: What M(vllm_ray.cluster.plan) returned.
    type: dict
    required: true
  nodes:
    description: Lines about the nodes of Ray, of P(vllm_ray.cluster.node_lines#filter).
    type: list
    elements: str
    default: []
  log:
    description: Name of the variable in which each host's M(vllm_ray.cluster.service_log_info) was registered.
    type: str
    default: __vllm_ray_log
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
- name: Show it
  vllm_ray.cluster.status:
    plan: "{{ planned }}"
  run_once: true
"""

RETURN = r"""
serving:
  description: Whether the engine serves.
  returned: always
  type: bool
"""
