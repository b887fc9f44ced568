#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of this name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: proof
short_description: Show the result of a deployment, how to use the engine, and held restarts
description:
  - Shows the node table, the answers, and ready-to-paste requests to the engine. The API key is not shown.
  - Lists the services whose changes were held, because they would stop a serving engine.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
  - vllm_ray.cluster._attributes.controller
options:
  plan:
    description: Plan of the cluster, RV(vllm_ray.cluster.plan#module:plan).
    type: dict
    required: true
  endpoint:
    description: C(url) and C(model) of the engine that answered, and its C(name) for clients.
    type: dict
    required: true
  nodes:
    description: Lines of the node table, RV(vllm_ray.cluster.wait_for_ray#module:lines).
    type: list
    elements: str
    required: true
  models:
    description: Names of the models, RV(vllm_ray.cluster.wait_for_vllm#module:models).
    type: list
    elements: str
    required: true
  answers:
    description: Answers to the test completions, RV(vllm_ray.cluster.wait_for_vllm#module:answers).
    type: list
    elements: dict
    required: true
  key_file:
    description: File on the controller with the API key.
    type: str
    required: true
  ca_file:
    description: File on the controller with the CA that signed the certificate of the API. Empty if clients trust it
      already.
    type: str
    default: ""
  renewed:
    description: Whether the engine presents its current certificate, RV(vllm_ray.cluster.wait_for_vllm#module:renewed).
    type: bool
    default: true
  held_in:
    description: Names of the variables with registered results of M(vllm_ray.cluster.service_set).
    type: list
    elements: str
    required: true
  worked:
    description: Values of the last successful run, by row and host, RV(vllm_ray.cluster.plan#module:worked).
    type: dict
    default: {}
  look:
    description: Name of the variable with each host's registered result of M(vllm_ray.cluster.look).
    type: str
    default: __vllm_ray_look
  release:
    description: Name of the variable with each host's registered result of M(vllm_ray.cluster.release_info).
    type: str
    default: release_found
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Show the result
  vllm_ray.cluster.proof:
    plan: "{{ __vllm_ray_plan.plan }}"
    endpoint: "{{ __vllm_ray_plan.plan.engine.endpoint }}"
    nodes: "{{ table.lines }}"
    models: "{{ proof.models }}"
    answers: "{{ proof.answers }}"
    key_file: ~/.config/vllm-ray/default.key
    held_in: [ray_services, vllm_services]
"""

RETURN = r"""
held:
  description: Reasons why changes of services were held, by host.
  returned: success
  type: dict
  sample: {"gpu02": ["/etc/vllm-ray/default/node.env is not what vllm-ray-node@default was started with"]}
worked:
  description:
    - Values of this run to store, by row and host. A later run compares its values with them.
    - Will be V(none) if the values did not change, if the engine did not answer, or if a change was held.
  returned: success
  type: dict
snippets:
  description: Ready-to-paste requests to the engine.
  returned: success
  type: dict
  contains:
    curl:
      description: Command line with curl.
      type: str
      returned: success
    python:
      description: Script that uses the OpenAI client.
      type: str
      returned: success
"""
