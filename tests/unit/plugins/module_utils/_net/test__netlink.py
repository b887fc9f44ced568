# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel answers is what ip prints: on a machine with a bond, a VLAN, a bridge and routes of all kinds."""

from __future__ import annotations

import errno
import json
import struct
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._net import _netlink, _nic
from ansible_collections.vllm_ray.cluster.tests import reference

TOLD: dict[str, t.Any] = json.loads(
    (Path(__file__).parents[4] / "fixtures" / "netlink" / "bonds.json").read_text(encoding="utf-8")
)


def answer(told: list[tuple[int, int, str]]) -> list[_netlink.Message]:
    return [_netlink.Message(kind, flags, bytes.fromhex(body)) for kind, flags, body in told]


NICS = _netlink.links(answer(TOLD["links"]))


def test_addresses_are_those_of_ip() -> None:
    found = _netlink.addresses(answer(TOLD["addresses"]), NICS)
    assert found == reference.addresses(json.dumps(TOLD["ip_address"]))
    assert {"bond0", "v0.7", "br0", "v1"} <= {entry.nic for entry in found}


@pytest.mark.parametrize("target", TOLD["routes"])
def test_a_route_is_that_of_ip(target: str) -> None:
    told = TOLD["routes"][target]
    found = None if isinstance(told, int) else _netlink.route(answer(told), NICS)
    assert found == reference.route(TOLD["ip_route"][target])


def test_kinds_of_nics() -> None:
    kinds = {nic.name: (nic.kind, nic.up, nic.mtu) for nic in _nic.parse_nics(TOLD["sys"])}
    assert {name: kinds[name] for name in ("bond0", "v0.7", "br0", "lo")} == {
        "bond0": ("bond", True, 1500),
        "v0.7": ("vlan", True, 1400),
        # A bridge with no hardware in it.
        "br0": ("virtual", True, 1500),
        "lo": ("loopback", True, 65536),
    }


def test_a_nic_that_is_down() -> None:
    assert {link.name for link in NICS.values() if not link.up} >= {"p-d1", "d1"}


def test_what_is_refused_by_the_kernel_is_an_error_with_its_number() -> None:
    body = struct.pack("=i", -errno.ENETUNREACH) + bytes(16)
    (message,) = _netlink.messages(_netlink.HEADER.pack(36, _netlink.ERROR, 0, 1, 0) + body)
    assert _netlink.error(message) == errno.ENETUNREACH


@pytest.mark.parametrize("data", [b"\x08\0\0\0" + bytes(12), b"\xff\0\0\0" + bytes(12)])
def test_a_message_of_a_wrong_length_is_no_endless_loop(data: bytes) -> None:
    with pytest.raises(ValueError, match="bytes in 16"):
        list(_netlink.messages(data))


@pytest.mark.parametrize("data", [b"", b"\0\0\0\0", b"\x03\0\1\0", b"\xff\xff\1\0\0", b"\1"])
def test_attributes_of_a_wrong_length_are_left_out(data: bytes) -> None:
    assert _netlink.attributes(data) == {}


@pytest.mark.parametrize("address", ["", "gpu01", "192.0.2.0/24"])
def test_what_is_no_address_has_no_request(address: str) -> None:
    with pytest.raises(ValueError):
        _netlink.ask_route(address)


@pytest.mark.parametrize(
    ("address", "said", "scope"),
    [
        ("127.0.0.1", 0, "host"),
        ("::1", 0, "host"),
        ("fe80::1", 0, "link"),
        ("192.0.2.1", 0, "global"),
        ("10.8.0.1", 253, "link"),
    ],
)
def test_scopes_also_of_kernels_that_do_not_tell_them(address: str, said: int, scope: str) -> None:
    """gVisor says 0 of all."""
    assert _netlink.scope_of(address, said) == scope


def test_a_zone_is_not_ignored() -> None:
    with pytest.raises(ValueError, match="zone"):
        _netlink.ask_route("fe80::1%eth0")
    by = _netlink.ask_route("fe80::1", 7)
    assert len(by) == len(_netlink.ask_route("fe80::1")) + 8
