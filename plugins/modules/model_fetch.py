#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: model_fetch
short_description: Get files of a model from a host to the controller
description:
  - Gets files from the host that the task is delegated to, checks them by SHA-256, and keeps them for
    M(vllm_ray.cluster.model_copy). Hosts that need the same files wait for the first one's.
  - Files that are there already are not fetched again.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.action
  - vllm_ray.cluster._attributes.actiongroup_cluster
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: It only fills a directory of the controller on the way to other hosts.
  idempotent:
    support: full
options:
  source:
    description: The model directory on the host.
    type: path
    required: true
  destination:
    description: Directory on the controller. Nobody else may read it.
    type: path
    required: true
  files:
    description: What to fetch, as in RV(vllm_ray.cluster.model_manifest#module:to_copy).
    type: list
    elements: dict
    required: true
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Fetch what this host lacks from the host that has it
  vllm_ray.cluster.model_fetch:
    source: /data/models/Qwen3-32B
    destination: ~/.ansible/vllm-ray/transfer/Qwen3-32B
    files: "{{ compared.to_copy }}"
  delegate_to: gpu01
"""

RETURN = r"""
fetched:
  description: Files that were fetched in this call.
  returned: success
  type: list
  elements: str
fetched_bytes:
  description: Their size.
  returned: success
  type: int
"""
