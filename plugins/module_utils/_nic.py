# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NICs and routes of a host. PRIVATE to the collection."""

from __future__ import annotations

import json
import typing as t
from dataclasses import asdict, dataclass

if t.TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class Address:
    """An address of this host and the NIC that has it."""

    nic: str
    address: str
    family: str
    scope: str
    up: bool
    mtu: int


@dataclass(frozen=True)
class ClusterNic:
    """The NIC and the address by which a host reaches its peers, and why this one."""

    nic: str
    address: str
    mtu: int
    why: str

    def as_dict(self) -> dict[str, t.Any]:
        return asdict(self)


def parse_addresses(text: str) -> list[Address]:
    """Parse the output of `ip -j address`."""
    return [
        Address(
            nic=link["ifname"],
            address=entry["local"],
            family=entry["family"],
            scope=entry.get("scope", ""),
            # Loopback and some virtual links have the state UNKNOWN while they work.
            up=link.get("operstate") in ("UP", "UNKNOWN"),
            mtu=link.get("mtu", 0),
        )
        for link in json.loads(text or "[]")
        for entry in link.get("addr_info", [])
        if "local" in entry
    ]


def parse_route(text: str) -> tuple[str, str] | None:
    """Parse the output of `ip -j route get ADDRESS` to (NIC, source address), or None where there is no route."""
    routes = json.loads(text or "[]")
    if not routes or "dev" not in routes[0]:
        return None
    return routes[0]["dev"], routes[0].get("prefsrc", "")


def choose_cluster_nic(
    addresses: Iterable[Address],
    routes: Iterable[tuple[str, str]],
    nic: str | None = None,
    address: str | None = None,
) -> ClusterNic | None:
    """Choose the cluster NIC and address of a host.

    routes: (NIC, source address) of the route to each peer, or of the default route where there are no peers.
    nic, address: what the user wants; either may be missing.
    Returns None where nothing fits: the wanted NIC or address is not there, or the host has no address at all.
    """
    usable = [entry for entry in addresses if entry.scope == "global"]
    by_address = {entry.address: entry for entry in usable}
    if address or nic:
        fitting = [e for e in usable if (not address or e.address == address) and (not nic or e.nic == nic)]
        fitting.sort(key=lambda entry: entry.family != "inet")
        why = "set by " + " and ".join(["vllm_ray_nic"] * bool(nic) + ["vllm_ray_address"] * bool(address))
        return _cluster_nic(fitting[0], why) if fitting else None
    sources = [source for _nic, source in routes if source in by_address]
    if sources:
        best = max(dict.fromkeys(sources), key=sources.count)
        return _cluster_nic(by_address[best], "holds the route to the other hosts")
    usable.sort(key=lambda entry: (not entry.up, entry.family != "inet"))
    return _cluster_nic(usable[0], "the first with a global address") if usable else None


def _cluster_nic(entry: Address, why: str) -> ClusterNic:
    return ClusterNic(nic=entry.nic, address=entry.address, mtu=entry.mtu, why=why)
