#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of this name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollback
short_description: Choose the release to which a cluster goes back
description:
  - Returns the release that was current before on the head, or the one that the extra variable C(vllm_ray_release_id)
    names, and shows what would change. It fails where no host has it.
  - Changes nothing. One call is about all hosts, so a task sets C(run_once).
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
  - vllm_ray.cluster._attributes.controller
options:
  listed:
    description: Name of the variable in which each host's M(vllm_ray.cluster.releases_info) was registered.
    type: str
    default: __vllm_ray_listed
seealso:
  - module: vllm_ray.cluster.releases_info
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Choose
  vllm_ray.cluster.rollback:
    listed: listed
  run_once: true
  register: chosen
"""

RETURN = r"""
id:
  description: Id of the release.
  returned: success
  type: str
  sample: cuda-vllm0.32.0-py3.11.2-0f3b6c1d2a4e
"""
