#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of this name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: model_changes
short_description: Say what makes a model directory the wanted one
description:
  - Names the files that are copied, replaced and removed, as M(vllm_ray.cluster.model_manifest) found it.
  - It changes nothing itself, and reports as changed what is done by other tasks, or would be in check mode.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.controller
  - vllm_ray.cluster._attributes.actiongroup_cluster
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: The two manifests are shown.
  idempotent:
    support: full
    details: Where O(compared) has nothing to copy or remove, nothing is reported.
options:
  compared:
    description: What M(vllm_ray.cluster.model_manifest) returned for the host.
    type: dict
    required: true
  wanted:
    description: What M(vllm_ray.cluster.model_manifest) returned for the source.
    type: dict
    required: true
  synced:
    description: What M(vllm_ray.cluster.tree_sync) returned, where it has run.
    type: dict
    default: {}
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Say what changes
  vllm_ray.cluster.model_changes:
    compared: "{{ compared }}"
    wanted: "{{ source }}"
"""

RETURN = r"""
copied:
  description: Files that are copied.
  returned: success
  type: list
  elements: str
copied_bytes:
  description: Their size.
  returned: success
  type: int
replaced:
  description: Those of them that were there with other content.
  returned: success
  type: list
  elements: str
removed:
  description: Files that are removed.
  returned: success
  type: list
  elements: str
digest:
  description: The digest that the directory will have.
  returned: success
  type: str
"""
