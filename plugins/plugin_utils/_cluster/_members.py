# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts of an inventory form the cluster. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._specification_io import specification

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import HostVariables


def group_names(hostvars: HostVariables, groups: Mapping[str, Sequence[str]]) -> tuple[str, str]:
    """Return the names of the head's and the workers' group: as the first host that sets them says."""
    names = []
    for variable in ("vllm_ray_head_group", "vllm_ray_worker_group"):
        given = (hostvars[host].get(variable) for host in groups.get("all", []))
        names.append(next((name for name in given if name), specification()[variable]["default"]))
    return names[0], names[1]


def members(hostvars: HostVariables, groups: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Return {host: groups it is in, of "head" and "workers"}, the head first, then as in the inventory."""
    head_group, worker_group = group_names(hostvars, groups)
    result: dict[str, tuple[str, ...]] = {}
    for role, group in (("head", head_group), ("workers", worker_group)):
        for host in groups.get(group, []):
            result[host] = (*result.get(host, ()), role)
    return result


def downloader(hosts: Sequence[str], builder: str | None) -> str:
    """Return the host that asks a hub and downloads from it: the builder of releases, which has a way to the internet,
    or the first where none or the controller builds. hosts: of the cluster, the head first.
    """
    return builder if builder and builder in hosts else hosts[0]


def address_of(host: str, hostvars: HostVariables) -> str:
    """Return the address or name by which a host is known before it is probed."""
    variables = hostvars[host]
    return str(variables.get("vllm_ray_address") or variables.get("ansible_host") or host)
