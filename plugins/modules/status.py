#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of this name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: status
short_description: Show the status of a cluster
description:
  - Shows whether the engine serves (tested by a completion), its KV cache compared with the plan, its model, and the
    Ray nodes.
  - Shows for each host the services with errors and restarts, the GPUs with their processes, the firewall rules of the
    cluster, the release, and problems.
  - After showing everything, fails if there is an engine that does not serve, or whose state is unknown. C(status.yml)
    then exits with a status other than 0.
  - Changes nothing. One call covers the whole cluster, so set C(run_once) on the task.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
  - vllm_ray.cluster._attributes.controller
options:
  plan:
    description: Result of M(vllm_ray.cluster.plan).
    type: dict
    required: true
  look:
    description: Name of the variable with each host's registered result of M(vllm_ray.cluster.look).
    type: str
    default: __vllm_ray_look
  head_look:
    description: Separate result of M(vllm_ray.cluster.look) for the head, if C(--limit) excludes the head.
    type: dict
    default: {}
  serve_look:
    description:
      - Separate result of M(vllm_ray.cluster.look) for the serve host in the head's record, if C(--limit) excludes it.
    type: dict
    default: {}
  fail:
    description: Whether to fail if there is an engine and RV(serving) is V(false).
    type: bool
    default: true
seealso:
  - module: vllm_ray.cluster.look
  - module: vllm_ray.cluster.preflight
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Gather facts about the hosts
  vllm_ray.cluster.look:
    details: true
  register: looked

- name: Show the status
  vllm_ray.cluster.status:
    plan: "{{ planned }}"
    look: looked
  run_once: true
"""

RETURN = r"""
serving:
  description:
    - Whether the engine serves. V(true) for the states V(serves), V(busy) and V(refuses).
    - Will be V(none) if unknown.
  returned: always
  type: bool
state:
  description: State of the engine, as RV(vllm_ray.cluster.host_info#module:engine.state).
  returned: always
  type: str
  sample: serves
status:
  description: Everything that is shown, as data.
  returned: always
  type: dict
  contains:
    cluster:
      description: Name of the cluster.
      returned: always
      type: str
    verdict:
      description: Whether the engine serves, why not, and how the state of a busy or silent engine was determined.
      returned: always
      type: str
    state:
      description: State of the engine.
      returned: always
      type: str
    serving:
      description: Whether the engine serves. Will be V(none) if unknown.
      returned: always
      type: bool
    kv_cache:
      description: KV cache as reported by the engine, see M(vllm_ray.cluster.service_log_info).
      returned: always
      type: dict
    planned:
      description: Estimates of the planner. Empty if there are none.
      returned: always
      type: dict
    model:
      description: Path, revision and digest of the model.
      returned: always
      type: dict
    ray:
      description: Ray nodes, as returned by M(vllm_ray.cluster.ray_cluster_info).
      returned: always
      type: dict
    names:
      description: Names of hosts by address.
      returned: always
      type: dict
    hosts:
      description: Address, services, gpus, firewall and release by host. V(none) for a host that did not answer.
      returned: always
      type: dict
    problems:
      description: Problems that were found.
      returned: always
      type: list
      elements: dict
"""
