# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster NIC of a host."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils import _nic
from ansible_collections.vllm_ray.cluster.plugins.module_utils._nic import Address


def text(fixtures: Path, name: str) -> str:
    return (fixtures / "ip" / name).read_text(encoding="utf-8")


def test_addresses(fixtures: Path) -> None:
    found = _nic.parse_addresses(text(fixtures, "address.json"))
    assert [(entry.nic, entry.address, entry.family, entry.scope, entry.up) for entry in found][:4] == [
        ("lo", "127.0.0.1", "inet", "host", True),
        ("lo", "::1", "inet6", "host", True),
        ("host0", "10.237.0.11", "inet", "global", True),
        ("host0", "fd42:1ee::b", "inet6", "global", True),
    ]
    assert (found[4].scope, found[4].mtu) == ("link", 1500)


def test_no_address() -> None:
    assert _nic.parse_addresses("") == []


@pytest.mark.parametrize(
    ("name", "route"),
    [
        ("route_peer.json", ("host0", "10.237.0.11")),
        ("route_gateway.json", ("host0", "10.237.0.11")),
        ("route_loopback.json", ("lo", "127.0.0.1")),
        ("route_ipv6.json", ("host0", "fd42:1ee::b")),
    ],
)
def test_a_route(fixtures: Path, name: str, route: tuple[str, str]) -> None:
    assert _nic.parse_route(text(fixtures, name)) == route


@pytest.mark.parametrize("output", ["", "[]", '[{"type":"unreachable","dst":"192.0.2.1"}]'])
def test_no_route(output: str) -> None:
    assert _nic.parse_route(output) is None


def address(nic: str, value: str, *, up: bool = True, scope: str = "global") -> Address:
    return Address(nic, value, "inet6" if ":" in value else "inet", scope, up, 1500)


LOOPBACK = address("lo", "127.0.0.1", scope="host")
MANAGEMENT = address("eno1", "198.51.100.11")
FAST = address("ens1", "192.0.2.11")
FAST6 = address("ens1", "fd00::11")
SECOND = address("ens1", "192.0.2.111")
DOWN = address("eno0", "203.0.113.11", up=False)
ROUTE = ("ens1", "192.0.2.11")
ALL = [LOOPBACK, DOWN, MANAGEMENT, FAST6, FAST, SECOND]


@pytest.mark.parametrize(
    ("addresses", "routes", "nic", "wished", "wanted"),
    [
        pytest.param(ALL, [ROUTE], None, None, "192.0.2.11", id="route-to-the-peer"),
        pytest.param(ALL, [("eno1", "198.51.100.11"), ROUTE, ROUTE], None, None, "192.0.2.11", id="most-peers"),
        pytest.param(ALL, [("eno1", "198.51.100.11"), ROUTE], None, None, "198.51.100.11", id="a-tie"),
        pytest.param(ALL, [("ens1", "fd00::11")], None, None, "fd00::11", id="ipv6-route"),
        pytest.param(ALL, [("lo", "127.0.0.1")], None, None, "198.51.100.11", id="loopback-is-no-cluster-nic"),
        pytest.param(ALL, [], None, None, "198.51.100.11", id="no-route-takes-what-is-up"),
        pytest.param([LOOPBACK, DOWN], [], None, None, "203.0.113.11", id="what-is-down-if-need-be"),
        pytest.param(ALL, [("eno1", "198.51.100.11")], "ens1", None, "192.0.2.11", id="wished-nic-ipv4-first"),
        pytest.param(ALL, [ROUTE], None, "198.51.100.11", "198.51.100.11", id="wished-address"),
        pytest.param(ALL, [ROUTE], "ens1", "192.0.2.111", "192.0.2.111", id="wished-nic-and-address"),
        pytest.param(ALL, [ROUTE], "ens1", "198.51.100.11", None, id="they-disagree"),
        pytest.param(ALL, [ROUTE], "ens9", None, None, id="no-such-nic"),
        pytest.param(ALL, [ROUTE], None, "192.0.2.99", None, id="no-such-address"),
        pytest.param([LOOPBACK], [], None, None, None, id="loopback-only"),
        pytest.param([], [], None, None, None, id="nothing"),
    ],
)
def test_choose(
    addresses: list[Address], routes: list[tuple[str, str]], nic: str | None, wished: str | None, wanted: str | None
) -> None:
    chosen = _nic.choose_cluster_nic(addresses, routes, nic, wished)
    assert (chosen.address if chosen else None) == wanted


def test_the_choice_says_why() -> None:
    by_route = _nic.choose_cluster_nic(ALL, [ROUTE])
    by_wish = _nic.choose_cluster_nic(ALL, [ROUTE], "ens1", "192.0.2.11")
    assert by_route and by_route.as_dict() == {
        "nic": "ens1",
        "address": "192.0.2.11",
        "mtu": 1500,
        "why": "holds the route to the other hosts",
    }
    assert by_wish and by_wish.why == "set by vllm_ray_nic and vllm_ray_address"
