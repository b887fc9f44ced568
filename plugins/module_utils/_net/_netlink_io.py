# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks the kernel for addresses and routes. PRIVATE to the collection."""

from __future__ import annotations

import errno
import os
import socket
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._net import _netlink

if t.TYPE_CHECKING:
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._net._nic import Address, Route

SECONDS = 10
# Addresses that come and go while the kernel lists them make it start again.
TRIES = 5
# What kernels say where no route leads to an address, or one refuses; gVisor, and a Linux without IPv6, the last two.
NO_ROUTE = (
    *(errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EACCES, errno.EINVAL, errno.ENETDOWN),
    *(errno.EOPNOTSUPP, errno.EAFNOSUPPORT),
)


class Network:
    """Addresses and routes of the network namespace that this process is in. All raise OSError where it can't ask."""

    def __init__(self) -> None:
        self.nics: dict[int, _netlink.Link] = {}
        self.found = self.look()

    def look(self) -> list[Address]:
        """Return the addresses, sorted by NIC. The NICs after them, so that there are all that have one."""
        addresses = self.ask(_netlink.ask_addresses())
        self.nics = _netlink.links(self.ask(_netlink.ask_links()))
        return _netlink.addresses(addresses, self.nics)

    def addresses(self) -> list[Address]:
        """Return the addresses of this host."""
        return self.found

    def route(self, address: str) -> Route | None:
        """Return how this host reaches an IP address, which may have a zone."""
        target, _percent, zone = address.partition("%")
        nic = next((index for index, link in self.nics.items() if zone in (link.name, str(index))), 0) if zone else 0
        try:
            if zone and not nic:
                return None
            route = _netlink.route(self.ask(_netlink.ask_route(target, nic)), self.nics)
        except ValueError:
            return None
        except OSError as error:
            if error.errno in NO_ROUTE:
                return None
            raise
        return route._replace(source=source_to(target, nic)) if route and not route.source else route

    def ask(self, request: bytes) -> list[_netlink.Message]:
        """Return what the kernel answers."""
        for _try in range(TRIES):
            found, whole = once(request)
            if whole:
                return found
        raise OSError(errno.EAGAIN, f"addresses changed each of {TRIES} times while the kernel listed them")


def once(request: bytes) -> tuple[list[_netlink.Message], bool]:
    """Return the answer, and whether nothing changed while the kernel gave it."""
    many = bool(_netlink.HEADER.unpack_from(request)[2] & _netlink.DUMP)
    found: list[_netlink.Message] = []
    whole = True
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as asked:
        asked.settimeout(SECONDS)
        asked.sendto(request, (0, 0))
        while True:
            data, sender = asked.recvfrom(1 << 17)
            if sender[0]:
                continue  # only the kernel has the number 0
            for message in _netlink.messages(data):
                whole = whole and not message.flags & _netlink.INTERRUPTED
                ended = message.kind == _netlink.DONE
                number = _netlink.error(message) if ended or message.kind == _netlink.ERROR else 0
                if number:
                    raise OSError(number, os.strerror(number))
                if ended:
                    return found, whole
                found.append(message)
            if not many:
                return found, whole


def source_to(address: str, nic: int) -> str:
    """Return the address from which packets to another one would leave, empty where none can. None is sent."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((address, 9, 0, nic) if family == socket.AF_INET6 else (address, 9))
        except OSError:
            return ""
        return str(probe.getsockname()[0]).partition("%")[0]
