# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tries which ports of other hosts are open, by connecting and nothing else. PRIVATE to the collection."""

from __future__ import annotations

import errno
import selectors
import socket
import time
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._net import _port_io

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Connections that are tried at the same time.
TOGETHER = 256
OPEN, CLOSED, SILENT, NO_WAY = "open", "closed", "silent", "no route"
_NO_WAY = (errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
_REFUSED = (errno.ECONNREFUSED, errno.ECONNRESET)


def state_of(error: int) -> str:
    """Return what an error of connect says. Of others than the host itself, such as a router, comes no answer."""
    return OPEN if error == 0 else NO_WAY if error in _NO_WAY else CLOSED if error in _REFUSED else SILENT


def source_of(address: str) -> str:
    """Return the address from which this machine would talk to another one, empty where it has none."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))
            return str(probe.getsockname()[0])
    except OSError:
        return ""


def is_own(address: str) -> bool:
    """Return whether an address is one of this machine."""
    return not _port_io.bind_error(address, 0)


def reach(wanted: Iterable[tuple[str, int]], timeout: float) -> dict[tuple[str, int], str]:
    """Return what comes of a connection to each address and port: open, closed, silent or no route.

    timeout: seconds for each connection, of which TOGETHER are tried at the same time.
    """
    pending, results = list(dict.fromkeys(wanted)), {}
    while pending:
        batch, pending = pending[:TOGETHER], pending[TOGETHER:]
        results.update(_batch(batch, timeout))
    return results


def _batch(wanted: Sequence[tuple[str, int]], timeout: float) -> dict[tuple[str, int], str]:
    results: dict[tuple[str, int], str] = dict.fromkeys(wanted, SILENT)
    with selectors.DefaultSelector() as selector:
        for target in wanted:
            family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
            try:
                probe = socket.socket(family, socket.SOCK_STREAM)
            except OSError:
                # IPv6 is off here.
                results[target] = NO_WAY
                continue
            probe.setblocking(False)
            error = probe.connect_ex(target)
            if error in (errno.EINPROGRESS, 0):
                selector.register(probe, selectors.EVENT_WRITE, target)
            else:
                results[target] = state_of(error)
                probe.close()
        end = time.monotonic() + timeout
        while selector.get_map() and time.monotonic() < end:
            for key, _events in selector.select(max(0, end - time.monotonic())):
                probe = t.cast("socket.socket", key.fileobj)
                error = probe.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                results[key.data] = state_of(error)
                selector.unregister(probe)
                probe.close()
        for key in list(selector.get_map().values()):
            t.cast("socket.socket", key.fileobj).close()
    return results


class Target(t.TypedDict):
    """A host to be reached."""

    name: str
    addresses: list[str]
    ports: list[int]


class Open(t.TypedDict):
    address: str
    port: int


class There(t.TypedDict):
    """What was found of one host."""

    asked: int
    answered: int
    addresses: list[str]
    open: list[Open]
    no_route: list[str]


class Reached(t.TypedDict):
    """What was found of all hosts. own: addresses of this host; sources: by which it asks, by address."""

    hosts: dict[str, There]
    own: list[str]
    sources: dict[str, str]


def look(targets: Sequence[Target], timeout: float) -> Reached:
    """Return what is open of each target. targets: name, addresses and ports of hosts."""
    addresses = [address for target in targets for address in target["addresses"]]
    # A connection to an address of this host bypasses the firewall.
    own = sorted({address for address in addresses if is_own(address)})
    asked = [
        (address, port)
        for target in targets
        for address in target["addresses"]
        if address not in own
        for port in target["ports"]
    ]
    found = reach(asked, timeout)
    hosts: dict[str, There] = {}
    for target in targets:
        there = [address for address in target["addresses"] if address not in own]
        results = {(address, port): found[address, port] for address in there for port in target["ports"]}
        hosts[target["name"]] = {
            "asked": len(results),
            "answered": sum(state in (OPEN, CLOSED) for state in results.values()),
            "addresses": there,
            "open": [{"address": a, "port": port} for (a, port), state in results.items() if state == OPEN],
            "no_route": [a for a in there if results and all(results[a, p] == NO_WAY for p in target["ports"])],
        }
    return {"hosts": hosts, "own": own, "sources": {address: source_of(address) for address in addresses}}
