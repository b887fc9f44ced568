# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: ray_start_argv
short_description: Return the command line of a Ray node
description:
  - Returns the arguments of C(ray start) for a node that runs in the foreground.
options:
  _input:
    description: Settings of the node, as in the C(vars) of the role P(vllm_ray.cluster.ray#role).
    type: dict
    required: true
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Show the command line
  ansible.builtin.debug:
    msg: "{{ node | vllm_ray.cluster.ray_start_argv }}"
"""

RETURN = r"""
_value:
  description: Command line of the node.
  type: list
  elements: str
"""


from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine._ray import start_argv


class FilterModule:
    def filters(self) -> dict[str, object]:
        return {"ray_start_argv": start_argv}
