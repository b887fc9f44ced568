#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of this name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollback
short_description: Select the release for a rollback of a cluster
description:
  - Returns the previous release of the head, or the release in the extra variable C(vllm_ray_release_id). Shows what
    would change. Fails if no host has the release.
  - Changes nothing. One call covers all hosts, so set C(run_once) on the task.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
  - vllm_ray.cluster._attributes.controller
options:
  listed:
    description: Name of the variable with each host's registered result of M(vllm_ray.cluster.releases_info).
    type: str
    default: __vllm_ray_listed
seealso:
  - module: vllm_ray.cluster.releases_info
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Select the release
  vllm_ray.cluster.rollback:
    listed: listed
  run_once: true
  register: chosen
"""

RETURN = r"""
id:
  description: Id of the selected release.
  returned: success
  type: str
  sample: cuda-vllm0.32.0-py3.11.2-0f3b6c1d2a4e
"""
