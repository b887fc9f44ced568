# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the NICs, RDMA devices and routes of a host. PRIVATE to the collection."""

from __future__ import annotations

import glob
import socket
import struct
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._probe_io import entries, tree
from ansible_collections.vllm_ray.cluster.plugins.module_utils._net import _nic
from ansible_collections.vllm_ray.cluster.plugins.module_utils._net._netlink_io import Network

if t.TYPE_CHECKING:
    from collections.abc import Sequence

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _look

# For hosts without peers: no packet is sent there.
ANYWHERE = "192.0.2.1"
# What a program needs to use RDMA: {what: where it is}. If one is missing, NCCL uses TCP and does not report it.
RDMA_NEEDS = {
    "/dev/infiniband/uverbs*": ("/dev/infiniband/uverbs*",),
    "libibverbs1": ("/usr/lib*/libibverbs.so.1", "/usr/lib/*/libibverbs.so.1"),
}


def resolve(name: str) -> str | None:
    """Return the first address that this host finds for a name, IPv4 before IPv6."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError:
        return None
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    return str(found[0][4][0])


def net_tree() -> dict[str, str]:
    """Return what /sys says of the NICs."""
    result = {}
    for name in entries(_nic.NET):
        here = f"{_nic.NET}/{name}"
        result.update(tree([here, *(f"{here}/{file}" for file in _nic.NIC_FILES)]))
        # A NIC on top of others has a link lower_NAME for each.
        result[f"{here}/lower"] = "\n".join(file[6:] for file in entries(here) if file.startswith("lower_"))
    return result


def rdma_tree() -> dict[str, str]:
    """Return what /sys says of the RDMA devices."""
    result = {}
    for device in entries(_nic.RDMA):
        here = f"{_nic.RDMA}/{device}"
        result.update(tree(f"{here}/{file}" for file in _nic.DEVICE_FILES))
        for port in (f"{here}/ports/{number}" for number in entries(f"{here}/ports")):
            result.update(tree(f"{port}/{file}" for file in _nic.PORT_FILES))
            gids = tree(f"{port}/gids/{index}" for index in entries(f"{port}/gids"))
            used = [path.rsplit("/", 1)[-1] for path, gid in gids.items() if _nic.is_used(gid)]
            result.update(gids)
            result.update(tree(f"{port}/gid_attrs/{file}/{index}" for index in used for file in _nic.GID_FILES))
    return result


def look(peers: Sequence[str], nic: str | None, address: str | None) -> _look.Network:
    """Return the cluster NIC and why it is that one, all NICs, RDMA ports and addresses, and the routes to the peers.

    error: why addresses and routes are not known, empty where they are.
    """
    ports = _nic.parse_rdma(rdma_tree())
    nics = _nic.parse_nics(net_tree(), ports)
    found = {peer: resolve(peer) for peer in peers}
    addresses: list[_nic.Address] = []
    routes: dict[str, _nic.Route | None] = dict.fromkeys(peers)
    ways, why = [], ""
    try:
        network = Network()
        addresses = network.addresses()
        routes = {peer: network.route(target) if target else None for peer, target in found.items()}
        ways = [route for route in (routes.values() if peers else [network.route(ANYWHERE)]) if route]
    except (OSError, ValueError, struct.error) as error:
        why = getattr(error, "strerror", None) or str(error)
    chosen = _nic.choose_cluster_nic(addresses, ways, nic, address, nics)
    return {
        "cluster_nic": chosen.as_dict() if chosen else None,
        "why_not": _nic.why_not(nics, addresses, ways, chosen),
        "addresses": [{"nic": a.nic, "address": a.address, "up": a.up} for a in addresses if a.scope == "global"],
        "nics": [entry.as_dict() for entry in nics],
        "rdma": [port.as_dict() for port in ports],
        "routes": [
            {
                "peer": peer,
                "address": found[peer],
                "nic": route.nic,
                "source": route.source,
                "gateway": route.gateway,
            }
            for peer, route in routes.items()
            if route
        ],
        "peers_without_route": [peer for peer, route in routes.items() if not route],
        "hostname_address": resolve(socket.gethostname()),
        "rdma_missing": [
            what for what, places in RDMA_NEEDS.items() if ports and not any(glob.glob(place) for place in places)
        ],
        "error": why,
    }
