#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: model_copy
short_description: Copy a model from the controller to a host
description:
  - Sends the files that are missing or different according to M(vllm_ray.cluster.model_manifest).
  - The files are staged on the host, checked by their hashes and then moved, so that no partial file or directory is
    visible. An interrupted copy continues with the files that have not arrived yet.
  - The action plugin of this name and M(vllm_ray.cluster.model_install) do the work. To copy a model between hosts, use
    M(vllm_ray.cluster.tree_sync).
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.action
  - vllm_ray.cluster._attributes.actiongroup_cluster
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: M(vllm_ray.cluster.model_changes) shows the changes.
  idempotent:
    support: full
    details: If O(compared) has nothing to copy or remove, nothing is done.
options:
  compared:
    description: Result of M(vllm_ray.cluster.model_manifest) for the host.
    type: dict
    required: true
  wanted:
    description: Result of M(vllm_ray.cluster.model_manifest) for the directory on the controller.
    type: dict
    required: true
  record_directory:
    description: Directory on the host for the records of manifests.
    type: path
    default: /var/lib/vllm-ray/manifests
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Copy missing files
  vllm_ray.cluster.model_copy:
    compared: "{{ compared }}"
    wanted: "{{ source }}"
"""

RETURN = r"""
sent_bytes:
  description: Bytes sent in this call. Files from an interrupted copy are not sent again.
  returned: success
  type: int
"""
