#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: model_copy
short_description: Copy a model from the controller to a host
description:
  - Copies the files that M(vllm_ray.cluster.model_manifest) found to be missing or to be others.
  - They are staged on the host, checked by SHA-256, and then moved to their places, so that no half of a file or of a
    new directory is ever seen there. A copy that was interrupted goes on with the files that have not arrived yet.
  - The work is done by the action plugin of this name and by M(vllm_ray.cluster.model_install).
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.action
  - vllm_ray.cluster._attributes.actiongroup_cluster
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: The two manifests are shown.
  idempotent:
    support: full
    details: Where O(compared) has nothing to copy or remove, nothing is done.
options:
  source:
    description: Directory on the controller with the files.
    type: path
    required: true
  compared:
    description: What M(vllm_ray.cluster.model_manifest) returned for the host.
    type: dict
    required: true
  wanted:
    description: What M(vllm_ray.cluster.model_manifest) returned for the source.
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
    source: /home/ann/models/Qwen3-32B
    compared: "{{ compared }}"
    wanted: "{{ source }}"
"""

RETURN = r"""
copied:
  description: Files that were copied, or would be.
  returned: success
  type: list
  elements: str
copied_bytes:
  description: Their size.
  returned: success
  type: int
sent_bytes:
  description: What had to be sent. Files that an interrupted copy had brought are not sent again.
  returned: success
  type: int
replaced:
  description: Those of them that were there with other content.
  returned: success
  type: list
  elements: str
removed:
  description: Files that were removed, or would be.
  returned: success
  type: list
  elements: str
digest:
  description: The digest that the directory has now, or would have.
  returned: success
  type: str
"""
