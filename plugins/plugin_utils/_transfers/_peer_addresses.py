# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses by which the hosts of a transfer reach one another. PRIVATE to the collection."""

from __future__ import annotations

import ipaddress
import typing as t

from ansible.errors import AnsibleActionFail

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _members

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import HostVariables


def peers(
    names: Iterable[str],
    given: Iterable[Mapping[str, str]],
    hostvars: HostVariables,
    option: str,
    resolve: Callable[[str], str],
) -> list[dict[str, str]]:
    """Return names and addresses of hosts, as tree_sync expects them. given: what the user says; option: where.

    resolve: returns the first address of a name.
    """
    known = {host["name"]: host["address"] for host in given}
    return [{"name": name, "address": known.get(name) or address(name, hostvars, option, resolve)} for name in names]


def address(name: str, hostvars: HostVariables, option: str, resolve: Callable[[str], str]) -> str:
    """Return the address of a host whose cluster address is not set: the one by which Ansible reaches it."""
    place = _members.address_of(name, hostvars)
    try:
        return str(ipaddress.ip_address(place))
    except ValueError:
        try:
            return resolve(place)
        except OSError as error:
            raise AnsibleActionFail(
                f"{name}: {place} has no address: {error}. Expected: the address by which the other hosts reach it. "
                f"Give it in {option}, or as ansible_host."
            ) from error
