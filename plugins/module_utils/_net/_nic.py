# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NICs and routes of a host. PRIVATE to the collection."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _look

NET = "/sys/class/net"
RDMA = "/sys/class/infiniband"
# What is read of each NIC, RDMA device, port of one, and GID of a port.
NIC_FILES = ("operstate", "mtu", "speed", "type", "uevent", "device/driver", "lower")
DEVICE_FILES = ("device/net", "ports")
PORT_FILES = ("state", "phys_state", "link_layer", "rate", "gids")
GID_FILES = ("types", "ndevs")
# Of /sys/class/net/*/type, from the kernel's if_arp.h.
TYPES = {"772": "loopback", "32": "infiniband"}
# Made by software, and yet what leaves by them leaves by a wire.
STACKED = ("bond", "vlan", "bridge")


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

    def as_dict(self) -> _look.ClusterNic:
        return {"nic": self.nic, "address": self.address, "mtu": self.mtu, "why": self.why}


class Route(t.NamedTuple):
    """How a host reaches an address. gateway: empty where it is on the same link."""

    nic: str
    source: str
    gateway: str = ""


@dataclass(frozen=True)
class Nic:
    """A NIC as /sys shows it.

    kind: physical, infiniband, bond, vlan, bridge, virtual or loopback. speed: Mbit/s, None if it is unknown.
    rdma: the RDMA devices that are the same hardware.
    """

    name: str
    kind: str
    up: bool
    mtu: int
    speed: int | None
    driver: str
    rdma: tuple[str, ...] = ()

    def as_dict(self) -> _look.Nic:
        return {
            "name": self.name,
            "kind": self.kind,
            "up": self.up,
            "mtu": self.mtu,
            "speed": self.speed,
            "driver": self.driver,
            "rdma": list(self.rdma),
        }


@dataclass(frozen=True)
class Gid:
    """An address of an RDMA port. kind: IB/RoCE v1 or RoCE v2."""

    index: int
    gid: str
    kind: str
    nic: str

    def as_dict(self) -> _look.Gid:
        return {"index": self.index, "gid": self.gid, "kind": self.kind, "nic": self.nic}


@dataclass(frozen=True)
class RdmaPort:
    """A port of an RDMA device. state: ACTIVE, DOWN, INIT, ARMED. rate: Gbit/s. nics: the same hardware as NICs."""

    device: str
    port: int
    state: str
    physical: str
    link_layer: str
    rate: float | None
    nics: tuple[str, ...]
    gids: tuple[Gid, ...] = ()

    def as_dict(self) -> _look.RdmaPort:
        return {
            "device": self.device,
            "port": self.port,
            "state": self.state,
            "physical": self.physical,
            "link_layer": self.link_layer,
            "rate": self.rate,
            "nics": list(self.nics),
            "gids": [gid.as_dict() for gid in self.gids],
        }


def parse_nics(tree: Mapping[str, str], ports: Iterable[RdmaPort] = ()) -> list[Nic]:
    """Return the NICs. tree: {path: text} of NIC_FILES of each NIC in NET, and of its link."""
    rdma: dict[str, set[str]] = {}
    for port in ports:
        for name in port.nics:
            rdma.setdefault(name, set()).add(port.device)
    names = sorted(path.split("/")[4] for path in tree if path.startswith(f"{NET}/") and path.endswith("/operstate"))
    return [
        Nic(
            name=name,
            kind=kind_of(tree, name),
            # Loopback and some virtual links have the state unknown while they work.
            up=tree[f"{NET}/{name}/operstate"] in ("up", "unknown"),
            mtu=int(tree.get(f"{NET}/{name}/mtu") or 0),
            speed=speed_of(tree.get(f"{NET}/{name}/speed", "")),
            driver=tree.get(f"{NET}/{name}/device/driver", "").rsplit("/", 1)[-1],
            rdma=tuple(sorted(rdma.get(name, ()))),
        )
        for name in names
    ]


def speed_of(text: str) -> int | None:
    """Return Mbit/s; a NIC that does not know, or is down, says -1 or nothing."""
    return int(text) if text.isdigit() and int(text) else None


def kind_of(tree: Mapping[str, str], name: str) -> str:
    """Return the kind of a NIC. A bridge without hardware in it, such as that of docker, is virtual."""
    here = f"{NET}/{name}"
    by_type = TYPES.get(tree.get(f"{here}/type", ""))
    if by_type or "/virtual/" not in tree.get(here, ""):
        return by_type or "physical"
    made = next((line[8:] for line in tree.get(f"{here}/uevent", "").splitlines() if line.startswith("DEVTYPE=")), "")
    below = tree.get(f"{here}/lower", "").split()
    if made not in STACKED or (made == "bridge" and all(kind_of(tree, lower) == "virtual" for lower in below)):
        return "virtual"
    return made


def parse_rdma(tree: Mapping[str, str]) -> list[RdmaPort]:
    """Return the ports of the RDMA devices.

    tree: {path: text} of DEVICE_FILES of each device in RDMA, PORT_FILES of its ports and GID_FILES of their GIDs.
    """
    ports = []
    for path in sorted(path for path in tree if path.startswith(f"{RDMA}/") and path.endswith("/state")):
        here = path.rsplit("/", 1)[0]
        device, port = here.split("/")[4], here.split("/")[6]
        gids = gids_of(tree, here)
        # The hardware of a port that is down has no GID with a NIC.
        nics = {gid.nic for gid in gids if gid.nic} or set(tree.get(f"{RDMA}/{device}/device/net", "").split())
        ports.append(
            RdmaPort(
                device=device,
                port=int(port),
                state=tree[path].split(": ")[-1],
                physical=tree.get(f"{here}/phys_state", "").split(": ")[-1],
                link_layer=tree.get(f"{here}/link_layer", ""),
                rate=rate_of(tree.get(f"{here}/rate", "")),
                nics=tuple(sorted(nics)),
                gids=tuple(gids),
            )
        )
    return ports


def gids_of(tree: Mapping[str, str], port: str) -> list[Gid]:
    """Return the GIDs of a port that are in use. port: its directory."""
    indices = sorted(int(name) for name in tree.get(f"{port}/gids", "").split())
    return [
        Gid(
            index=index,
            gid=tree[f"{port}/gids/{index}"],
            kind=tree.get(f"{port}/gid_attrs/types/{index}", ""),
            nic=tree.get(f"{port}/gid_attrs/ndevs/{index}", ""),
        )
        for index in indices
        if is_used(tree.get(f"{port}/gids/{index}", ""))
    ]


def is_used(gid: str) -> bool:
    """Return whether a GID is one; free places of a table hold zeros."""
    return bool(gid.strip("0:"))


def rate_of(text: str) -> float | None:
    """Return Gbit/s of a rate such as `100 Gb/sec (4X EDR)`."""
    value = text.split(" ")[0]
    return float(value) if value.replace(".", "", 1).isdigit() else None


def choose_cluster_nic(
    addresses: Iterable[Address],
    routes: Iterable[tuple[str, ...]],
    nic: str | None = None,
    address: str | None = None,
    nics: Iterable[Nic] = (),
) -> ClusterNic | None:
    """Choose the cluster NIC and address of a host.

    routes: (NIC, source address …) of the route to each peer, or of the default route where there are no peers.
    nic, address: what the user wants; either may be missing.
    nics: what decides where no route does: hardware before software, fast before slow.
    Returns None where nothing fits: the wanted NIC or address is not there, or the host has no address at all.
    """
    usable = [entry for entry in addresses if entry.scope == "global"]
    by_address = {entry.address: entry for entry in usable}
    if address or nic:
        fitting = [e for e in usable if (not address or e.address == address) and (not nic or e.nic == nic)]
        fitting.sort(key=lambda entry: entry.family != "inet")
        why = "set by " + " and ".join(["vllm_ray_nic"] * bool(nic) + ["vllm_ray_address"] * bool(address))
        return _cluster_nic(fitting[0], why) if fitting else None
    sources = [route[1] for route in routes if route[1] in by_address]
    if sources:
        best = max(dict.fromkeys(sources), key=sources.count)
        return _cluster_nic(by_address[best], "holds the route to the other hosts")
    known = {entry.name: entry for entry in nics}

    def rank(entry: Address) -> tuple[bool, bool, int, bool]:
        its = known.get(entry.nic)
        return not entry.up, bool(its and its.kind == "virtual"), -((its and its.speed) or 0), entry.family != "inet"

    usable.sort(key=rank)
    return _cluster_nic(usable[0], "the first with a global address") if usable else None


def _cluster_nic(entry: Address, why: str) -> ClusterNic:
    return ClusterNic(nic=entry.nic, address=entry.address, mtu=entry.mtu, why=why)


def why_not(
    nics: Iterable[Nic], addresses: Iterable[Address], routes: Sequence[tuple[str, ...]], chosen: ClusterNic | None
) -> dict[str, str]:
    """Return why each other NIC is not the cluster NIC: {NIC: why}. Those that nobody would think of are left out.

    routes: as for choose_cluster_nic.
    """
    with_address = {entry.nic for entry in addresses if entry.scope == "global"}
    mine = chosen.nic if chosen else ""
    reasons = {}
    for nic in nics:
        if nic.name == mine or nic.kind == "loopback" or (nic.kind == "virtual" and nic.name not in with_address):
            continue
        count = sum(route[0] == nic.name for route in routes)
        if not nic.up:
            reasons[nic.name] = "down"
        elif nic.name not in with_address:
            reasons[nic.name] = "has no address"
        elif count:
            reasons[nic.name] = f"holds the route to {count} of {len(routes)} peers"
        elif nic.kind == "virtual":
            reasons[nic.name] = "virtual"
        else:
            reasons[nic.name] = "no route to the peers leaves by it"
    return reasons
