# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks the kernel for addresses and routes. PRIVATE to the collection."""

from __future__ import annotations

import errno
import os
import socket
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils import _netlink

if t.TYPE_CHECKING:
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._nic import Address, Route

SECONDS = 10
# Addresses that come and go while the kernel lists them make it begin anew.
TRIES = 5
# What the kernel says where no route leads to an address, or one refuses.
NO_ROUTE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EACCES, errno.EINVAL, errno.ENETDOWN)


class Network:
    """Addresses and routes of the network namespace that this process is in. All raise OSError where it can't ask."""

    def __init__(self) -> None:
        self.nics = _netlink.links(self.ask(_netlink.ask_links()))

    def addresses(self) -> list[Address]:
        """Return the addresses of this host."""
        return _netlink.addresses(self.ask(_netlink.ask_addresses()), self.nics)

    def route(self, address: str) -> Route | None:
        """Return how this host reaches an IP address."""
        try:
            return _netlink.route(self.ask(_netlink.ask_route(address)), self.nics)
        except ValueError:
            return None
        except OSError as error:
            if error.errno in NO_ROUTE:
                return None
            raise

    def ask(self, request: bytes) -> list[_netlink.Message]:
        """Return what the kernel answers."""
        for _try in range(TRIES):
            found = self.once(request)
            if not any(message.flags & _netlink.INTERRUPTED for message in found):
                break
        return found

    def once(self, request: bytes) -> list[_netlink.Message]:
        many = bool(_netlink.HEADER.unpack_from(request)[2] & _netlink.DUMP)
        found: list[_netlink.Message] = []
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as asked:
            asked.settimeout(SECONDS)
            asked.sendto(request, (0, 0))
            while True:
                data, sender = asked.recvfrom(1 << 17)
                if sender[0]:
                    continue  # only the kernel has the number 0
                for message in _netlink.messages(data):
                    if message.kind == _netlink.ERROR:
                        number = _netlink.error(message)
                        raise OSError(number, os.strerror(number))
                    if message.kind == _netlink.DONE:
                        return found
                    found.append(message)
                if not many:
                    return found
