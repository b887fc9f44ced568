#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of this name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: proof
short_description: Show what was proved, how to use it, and what waits for consent
description:
  - Shows the node table, the answers, and ready-to-paste ways to ask the engine. No key is shown.
  - Lists the services that were held, because mending them would stop an engine that serves.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
  - vllm_ray.cluster._attributes.controller
options:
  plan:
    description: The plan, RV(vllm_ray.cluster.plan#module:plan).
    type: dict
    required: true
  endpoint:
    description: Where the engine that answered is reached, C(url) and C(model), and its C(name) for clients.
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
    description: The completions, RV(vllm_ray.cluster.wait_for_vllm#module:answers).
    type: list
    elements: dict
    required: true
  key_file:
    description: File on the controller that holds the API key.
    type: str
    required: true
  ca_file:
    description: File on the controller with the CA that signed the certificate of the API. Empty where clients know it.
    type: str
    default: ""
  renewed:
    description: Whether the engine shows its present certificate, RV(vllm_ray.cluster.wait_for_vllm#module:renewed).
    type: bool
    default: true
  held_in:
    description: Names of the variables in which results of M(vllm_ray.cluster.service_set) were registered.
    type: list
    elements: str
    required: true
  worked:
    description: Values by row and host of the last good run, RV(vllm_ray.cluster.plan#module:worked).
    type: dict
    default: {}
  look:
    description: Name of the variable in which each host's look was registered.
    type: str
    default: __vllm_ray_look
  release:
    description: Name of the variable in which each host's M(vllm_ray.cluster.release_info) was registered.
    type: str
    default: release_found
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Show the proof
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
  description: Why services were held, by host.
  returned: success
  type: dict
  sample: {"gpu02": ["/etc/vllm-ray/default/node.env is not what vllm-ray-node@default was started with"]}
worked:
  description:
    - Values by row and host to keep of this run, by which a later one can tell what changed.
    - Will be V(none) where they are as before, where nothing answered, and where something was held.
  returned: success
  type: dict
snippets:
  description: Ways to ask the engine, ready to paste.
  returned: success
  type: dict
  contains:
    curl:
      description: A command line.
      type: str
      returned: success
    python:
      description: A script that uses the OpenAI client.
      type: str
      returned: success
"""
