#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: model_copy
short_description: Copy a model from the controller to a host
description:
  - Sends the files that M(vllm_ray.cluster.model_manifest) found to be missing or to be others.
  - They are staged on the host, checked by their hashes, and then moved to their places, so that no half of a file or
    of a new directory is ever seen there. A copy that was interrupted goes on with the files that have not arrived yet.
  - The work is done by the action plugin of this name and by M(vllm_ray.cluster.model_install). From one host to the
    others the model goes by M(vllm_ray.cluster.tree_sync).
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.action
  - vllm_ray.cluster._attributes.actiongroup_cluster
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: M(vllm_ray.cluster.model_changes) shows what changes.
  idempotent:
    support: full
    details: Where O(compared) has nothing to copy or remove, nothing is done.
options:
  compared:
    description: What M(vllm_ray.cluster.model_manifest) returned for the host.
    type: dict
    required: true
  wanted:
    description: What M(vllm_ray.cluster.model_manifest) returned for the directory on the controller.
    type: dict
    required: true
  record_directory:
    description: Directory of the records of manifests on the host.
    type: path
    default: /var/lib/vllm-ray/manifests
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Copy what is missing
  vllm_ray.cluster.model_copy:
    compared: "{{ compared }}"
    wanted: "{{ source }}"
"""

RETURN = r"""
sent_bytes:
  description: What had to be sent. Files that an interrupted copy had brought are not sent again.
  returned: success
  type: int
"""
