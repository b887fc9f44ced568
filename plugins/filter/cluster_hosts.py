# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: cluster_hosts
short_description: List the hosts of the cluster
description:
  - Returns the hosts of the head's and the workers' groups, the head first.
  - If the inventory has neither group, returns all hosts. The plan then reports the missing groups.
positional: groups
options:
  _input:
    description: Magic variable C(hostvars).
    type: dict
    required: true
  groups:
    description: Magic variable C(groups).
    type: dict
    required: true
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Add the hosts of the cluster to a group
  ansible.builtin.add_host:
    name: "{{ item }}"
    groups: [vllm_ray_hosts]
  loop: "{{ hostvars | vllm_ray.cluster.cluster_hosts(groups) }}"
"""

RETURN = r"""
_value:
  description: Inventory names of the hosts.
  type: list
  elements: str
"""

import typing as t

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._members import members

if t.TYPE_CHECKING:
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import HostVariables


def cluster_hosts(hostvars: HostVariables, groups: dict[str, list[str]]) -> list[str]:
    """Return the hosts of the cluster, the head first."""
    return list(members(hostvars, groups)) or list(groups.get("all", []))


class FilterModule:
    def filters(self) -> dict[str, object]:
        return {"cluster_hosts": cluster_hosts}
