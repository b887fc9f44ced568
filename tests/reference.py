# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ip(8) and ss(8) print, in the words of our own readers, which have to find the same without them."""

from __future__ import annotations

import json
import re

from ansible_collections.vllm_ray.cluster.plugins.module_utils._net._listeners import Listener, plain_address
from ansible_collections.vllm_ray.cluster.plugins.module_utils._net._nic import Address, Route

LISTENERS = ("ss", "-H", "-l", "-t", "-u", "-n", "-p")


def addresses(text: str) -> list[Address]:
    """Parse what `ip -j address` prints."""
    return [
        Address(
            nic=link["ifname"],
            address=entry["local"],
            family=entry["family"],
            scope=entry.get("scope", ""),
            up=link["operstate"] in ("UP", "UNKNOWN"),
            mtu=link["mtu"],
        )
        for link in json.loads(text)
        for entry in link["addr_info"]
        if "local" in entry
    ]


def route(text: str) -> Route | None:
    """Parse what `ip -j route get ADDRESS` prints; None where there is no route."""
    routes = json.loads(text or "[]")
    if not routes or "dev" not in routes[0]:
        return None
    gateway = routes[0].get("gateway") or routes[0].get("via", {}).get("host", "")
    return Route(routes[0]["dev"], routes[0].get("prefsrc", ""), gateway)


def listeners(text: str, protocol: str = "") -> list[Listener]:
    """Parse what LISTENERS prints, or the same of one protocol, without its first column. It has no users."""
    found = []
    for line in text.splitlines():
        columns = [*([protocol] if protocol else []), *line.split()]
        address, _colon, port = columns[4].rpartition(":")
        address = "::" if address in ("*", "[::]") else address.split("%")[0].strip("[]")
        owner = re.search(r'\(\("([^"]*)",pid=(\d+)', line)
        process, pid = (owner.group(1), int(owner.group(2))) if owner else ("", 0)
        found.append(Listener(columns[0], plain_address(address), int(port), process, pid))
    return found
