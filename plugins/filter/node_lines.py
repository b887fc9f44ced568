# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: node_lines
short_description: Format a node table as lines of text
description:
  - Returns one line for each Ray node, the head first.
positional: names
options:
  _input:
    description: Nodes as M(vllm_ray.cluster.ray_cluster_info) returns them.
    type: list
    elements: dict
    required: true
  names:
    description: Names of hosts by their cluster address.
    type: dict
    required: true
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Show the nodes
  ansible.builtin.debug:
    msg: "{{ table.nodes | vllm_ray.cluster.node_lines({'192.0.2.11': 'gpu01'}) }}"
"""

RETURN = r"""
_value:
  description: One line for each node.
  type: list
  elements: str
"""


from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine._ray import table_lines


class FilterModule:
    def filters(self) -> dict[str, object]:
        return {"node_lines": table_lines}
