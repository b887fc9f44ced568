# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages of rtnetlink(7), by which the kernel reports addresses and routes. PRIVATE to the collection.

/proc and /sys have neither IPv4 addresses nor rules of routing, so this asks as ip(8) does. Numbers and layouts are
those of linux/netlink.h, rtnetlink.h, if_link.h and if_addr.h.
"""

from __future__ import annotations

import ipaddress
import struct
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._net._nic import Address, Route

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
ERROR, DONE = 2, 3
GET_LINK, GET_ADDRESS, GET_ROUTE = 18, 22, 26
NEW_LINK, NEW_ADDRESS, NEW_ROUTE = 16, 20, 24
REQUEST, DUMP, INTERRUPTED = 0x1, 0x300, 0x10
LINK = struct.Struct("=BxHiII")  # family, type, index, flags, change
ADDRESS = struct.Struct("=BBBBI")  # family, prefix, flags, scope, index
ROUTE = struct.Struct("=BBBBBBBBI")  # family, prefix, prefix of the source, TOS, table, protocol, scope, type, flags
ATTRIBUTE = struct.Struct("=HH")  # length, type
NAME, MTU, STATE = 3, 4, 16  # of a link
PREFIX_ADDRESS, LOCAL = 1, 2  # of an address: with a peer, the first is the peer's
TO, OUT, GATEWAY, SOURCE, VIA = 1, 4, 5, 7, 18  # of a route
IPV4, IPV6 = 2, 10
SCOPES = {0: "global", 200: "site", 253: "link", 254: "host", 255: "nowhere"}
# States of a link that works: loopback and some virtual links have the state unknown (0) while they do.
UP_STATES = (0, 6)
# Types of a route that leads somewhere: unicast, local, broadcast, anycast, multicast. Others refuse.
LEADS = (1, 2, 3, 4, 5)


class Message(t.NamedTuple):
    """One message. body: what follows its header."""

    kind: int
    flags: int
    body: bytes


class Link(t.NamedTuple):
    """A NIC as the kernel reports it."""

    name: str
    mtu: int
    up: bool


def _message(kind: int, flags: int, body: bytes) -> bytes:
    return HEADER.pack(HEADER.size + len(body), kind, REQUEST | flags, 1, 0) + body


def ask_links() -> bytes:
    """Return the request for all NICs."""
    return _message(GET_LINK, DUMP, LINK.pack(0, 0, 0, 0, 0))


def ask_addresses() -> bytes:
    """Return the request for all addresses of this host."""
    return _message(GET_ADDRESS, DUMP, ADDRESS.pack(0, 0, 0, 0, 0))


def ask_route(address: str, nic: int = 0) -> bytes:
    """Return the request for the route to an IP address, by a NIC where its index is given.

    Raises ValueError where it is no address, or has a zone, which belongs to the NIC.
    """
    parsed = ipaddress.ip_address(address)
    if getattr(parsed, "scope_id", None):
        raise ValueError(f"{address} has a zone")
    target = parsed.packed
    family = IPV4 if len(target) == 4 else IPV6
    wanted = ATTRIBUTE.pack(ATTRIBUTE.size + len(target), TO) + target
    if nic:
        wanted += ATTRIBUTE.pack(ATTRIBUTE.size + 4, OUT) + struct.pack("=I", nic)
    return _message(GET_ROUTE, 0, ROUTE.pack(family, 8 * len(target), 0, 0, 0, 0, 0, 0, 0) + wanted)


def messages(data: bytes) -> Iterator[Message]:
    """Yield the messages of one datagram."""
    while len(data) >= HEADER.size:
        length, kind, flags, _sequence, _port = HEADER.unpack_from(data)
        if not HEADER.size <= length <= len(data):
            raise ValueError(f"a message of {length} bytes in {len(data)}")
        yield Message(kind, flags, data[HEADER.size : length])
        data = data[-(-length // 4) * 4 :]


def error(message: Message) -> int:
    """Return the number of the error that a message of the type ERROR has, or one of the type DONE may have."""
    return -int(struct.unpack_from("=i", message.body)[0]) if len(message.body) >= 4 else 0


def attributes(data: bytes) -> dict[int, bytes]:
    """Return {type: value}."""
    found = {}
    while len(data) >= ATTRIBUTE.size:
        length, kind = ATTRIBUTE.unpack_from(data)
        if not ATTRIBUTE.size <= length <= len(data):
            break
        # The two highest bits are flags.
        found[kind & 0x3FFF] = data[ATTRIBUTE.size : length]
        data = data[-(-length // 4) * 4 :]
    return found


def _number(data: bytes) -> int:
    return int(struct.unpack("=I", data)[0]) if len(data) == 4 else 0


def _address(data: bytes) -> str:
    return str(ipaddress.ip_address(data)) if len(data) in (4, 16) else ""


def links(answers: Iterable[Message]) -> dict[int, Link]:
    """Return {index: NIC}."""
    found = {}
    for message in answers:
        if message.kind == NEW_LINK:
            _family, _type, index, _flags, _change = LINK.unpack_from(message.body)
            has = attributes(message.body[LINK.size :])
            name = has.get(NAME, b"").rstrip(b"\0").decode(errors="replace")
            found[index] = Link(name, _number(has.get(MTU, b"")), (has.get(STATE) or b"\0")[0] in UP_STATES)
    return found


def scope_of(address: str, said: int) -> str:
    """Return the scope of an address. Not all kernels report it: gVisor says 0 of all."""
    parsed = ipaddress.ip_address(address)
    if parsed.is_loopback:
        return "host"
    return "link" if parsed.version == 6 and parsed.is_link_local else SCOPES.get(said, "")


def addresses(answers: Iterable[Message], nics: dict[int, Link]) -> list[Address]:
    """Return the addresses of this host, sorted by NIC, those of IPv4 first."""
    found = []
    for message in answers:
        if message.kind == NEW_ADDRESS:
            family, _prefix, _flags, scope, index = ADDRESS.unpack_from(message.body)
            has = attributes(message.body[ADDRESS.size :])
            own = _address(has.get(LOCAL) or has.get(PREFIX_ADDRESS, b""))
            nic = nics.get(index)
            if own and nic:
                name = {IPV4: "inet", IPV6: "inet6"}.get(family, "")
                found.append((index, Address(nic.name, own, name, scope_of(own, scope), nic.up, nic.mtu)))
    return [entry for _index, entry in sorted(found, key=lambda pair: (pair[0], pair[1].family))]


def route(answers: Iterable[Message], nics: dict[int, Link]) -> Route | None:
    """Return the route of an answer to ask_route; None where it leads nowhere. gVisor gives no source: it is empty."""
    for message in answers:
        if message.kind == NEW_ROUTE:
            has = attributes(message.body[ROUTE.size :])
            nic = nics.get(_number(has.get(OUT, b"")))
            if nic and ROUTE.unpack_from(message.body)[7] in LEADS:
                # An IPv4 route may go by a gateway of IPv6: its family comes before the address.
                gateway = has.get(GATEWAY) or has.get(VIA, b"")[2:]
                return Route(nic.name, _address(has.get(SOURCE, b"")), _address(gateway))
    return None
