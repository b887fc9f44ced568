#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of this name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: model_changes
short_description: Report the changes to a model directory
description:
  - Lists the files that are copied, replaced and removed, from the results of M(vllm_ray.cluster.model_manifest).
  - Changes nothing itself. Reports C(changed) for changes that other tasks make, or would make in check mode.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.controller
  - vllm_ray.cluster._attributes.actiongroup_cluster
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: The diff shows both manifests.
  idempotent:
    support: full
    details: If O(compared) has nothing to copy or remove, no change is reported.
options:
  compared:
    description: Result of M(vllm_ray.cluster.model_manifest) for the host.
    type: dict
    required: true
  wanted:
    description: Result of M(vllm_ray.cluster.model_manifest) for the source.
    type: dict
    required: true
  synced:
    description: Result of M(vllm_ray.cluster.tree_sync), if it has run.
    type: dict
    default: {}
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Report the changes
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
  description: Size of the copied files, in bytes.
  returned: success
  type: int
replaced:
  description: Copied files that existed with different content.
  returned: success
  type: list
  elements: str
removed:
  description: Files that are removed.
  returned: success
  type: list
  elements: str
digest:
  description: Digest of the directory after the changes.
  returned: success
  type: str
"""
