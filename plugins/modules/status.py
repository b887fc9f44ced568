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
  - Shows whether the engine serves, judged by a completion, its KV cache beside the planned one, its model, and the
    nodes of Ray.
  - Shows of every host its services, their errors and restarts, its GPUs and who holds them, the firewall rules of the
    cluster, its release, and what is wrong with it.
  - Fails after it has shown everything where there is an engine that does not serve, or that can't be judged. So
    C(status.yml) ends with a status other than 0 then.
  - Changes nothing. One call shows the whole cluster, so a task sets C(run_once).
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
  - vllm_ray.cluster._attributes.controller
options:
  plan:
    description: What M(vllm_ray.cluster.plan) returned.
    type: dict
    required: true
  look:
    description: Name of the variable in which each host's look was registered.
    type: str
    default: __vllm_ray_look
  head_look:
    description: The look at the head, where it was made apart because C(--limit) leaves the head out.
    type: dict
    default: {}
  serve_look:
    description:
      - The same of the serve host of the head's record, which is probed apart where C(--limit) leaves it out, too.
    type: dict
    default: {}
  fail:
    description: Whether to fail where there is an engine and RV(serving) is V(false).
    type: bool
    default: true
seealso:
  - module: vllm_ray.cluster.look
  - module: vllm_ray.cluster.preflight
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Look
  vllm_ray.cluster.look:
    details: true
  register: looked

- name: Show it
  vllm_ray.cluster.status:
    plan: "{{ planned }}"
    look: looked
  run_once: true
"""

RETURN = r"""
serving:
  description:
    - Whether the engine serves, which is so for the states V(serves), V(busy) and V(refuses).
    - Will be V(none) where that is not known.
  returned: always
  type: bool
state:
  description: State of the engine, as RV(vllm_ray.cluster.host_info#module:engine.state).
  returned: always
  type: str
  sample: serves
status:
  description: All that is shown, for programs.
  returned: always
  type: dict
  contains:
    cluster:
      description: Name of the cluster.
      returned: always
      type: str
    verdict:
      description: Whether it serves, why not, and how a busy or silent engine was judged.
      returned: always
      type: str
    state:
      description: State of the engine.
      returned: always
      type: str
    serving:
      description: Whether the engine serves. Will be V(none) where that is not known.
      returned: always
      type: bool
    kv_cache:
      description: What the engine told of its KV cache, as of M(vllm_ray.cluster.service_log_info).
      returned: always
      type: dict
    planned:
      description: What the planner reckoned. Empty where it did not.
      returned: always
      type: dict
    model:
      description: Path, revision and digest of the model.
      returned: always
      type: dict
    ray:
      description: The nodes of Ray, as of M(vllm_ray.cluster.ray_cluster_info).
      returned: always
      type: dict
    names:
      description: Names of hosts by their addresses.
      returned: always
      type: dict
    hosts:
      description: Address, services, gpus, firewall and release by host, V(none) where it did not answer.
      returned: always
      type: dict
    problems:
      description: What is wrong.
      returned: always
      type: list
      elements: dict
"""
