# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster NIC of a host."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._net import _nic
from ansible_collections.vllm_ray.cluster.plugins.module_utils._net._nic import Address, Gid, Nic, RdmaPort, Route
from ansible_collections.vllm_ray.cluster.tests import reference


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


def tree_of(fixtures: Path, name: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((fixtures / "net" / name).read_text(encoding="utf-8"))
    return found


def test_hardware_and_what_software_made(fixtures: Path) -> None:
    found = {nic.name: nic for nic in _nic.parse_nics(tree_of(fixtures, "virtual_sys.json"))}
    assert found["eth0"] == Nic("eth0", "physical", True, 1400, None, "virtio_net")
    assert found["vb-2df2h1"] == Nic("vb-2df2h1", "virtual", True, 1500, 10000, "")
    assert {name: (nic.kind, nic.up) for name, nic in found.items()} == {
        "eth0": ("physical", True),
        "ifb0": ("virtual", False),
        "labbr2df2": ("virtual", True),
        "lo": ("loopback", True),
        "vb-2df2h1": ("virtual", True),
        "vb-2df2h2": ("virtual", True),
    }


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        pytest.param({"lower": "eth0\nvb-2df2h1"}, "bridge", id="a-bridge-with-hardware-in-it"),
        # DEVTYPE as the kernel's drivers name it: drivers/net/bonding/bond_main.c, net/8021q/vlan_dev.c.
        pytest.param({"uevent": "DEVTYPE=bond"}, "bond", id="bond"),
        pytest.param({"uevent": "DEVTYPE=vlan"}, "vlan", id="vlan"),
        pytest.param({"uevent": "DEVTYPE=vxlan"}, "virtual", id="vxlan"),
        # ARPHRD_INFINIBAND of include/uapi/linux/if_arp.h.
        pytest.param({"type": "32"}, "infiniband", id="infiniband"),
    ],
)
def test_other_kinds(fixtures: Path, change: dict[str, str], kind: str) -> None:
    tree = tree_of(fixtures, "virtual_sys.json")
    tree.update({f"/sys/class/net/labbr2df2/{name}": text for name, text in change.items()})
    assert _nic.kind_of(tree, "labbr2df2") == kind


def rdma_tree(fixtures: Path, *names: str) -> dict[str, str]:
    """Put what ibstatus, show_gids and ibdev2netdev print back to where they read it."""
    tree: dict[str, str] = {}
    here = ""
    files = {"default gid": "gids/0", "state": "state", "phys state": "phys_state", "rate": "rate"}
    for line in "\n".join((fixtures / "net" / name).read_text(encoding="utf-8") for name in names).splitlines():
        device = re.match(r"Infiniband device '(\w+)' port (\d+) status:", line)
        name, _colon, value = line.strip().partition(":")
        gid = re.match(r"(\w+)\t(\d+)\t(\d+)\t([0-9a-f:]+)\s+(?:[\d.]+\s+)?(v[12])\t(\w+)", line)
        netdev = re.match(r"(\w+) +port +1 +==> +(\w+)", line)
        if device:
            here = f"/sys/class/infiniband/{device.group(1)}/ports/{device.group(2)}"
            tree[f"{here}/gids"] = "0"
        elif gid:
            port = f"/sys/class/infiniband/{gid.group(1)}/ports/{gid.group(2)}"
            tree[f"{port}/gids"] = tree.get(f"{port}/gids", "") + f"\n{gid.group(3)}"
            tree[f"{port}/gids/{gid.group(3)}"] = gid.group(4)
            tree[f"{port}/gid_attrs/types/{gid.group(3)}"] = {"v1": "IB/RoCE v1", "v2": "RoCE v2"}[gid.group(5)]
            tree[f"{port}/gid_attrs/ndevs/{gid.group(3)}"] = gid.group(6)
        elif netdev:
            tree[f"/sys/class/infiniband/{netdev.group(1)}/device/net"] = netdev.group(2)
        elif name in files or name == "link_layer":
            tree[f"{here}/{files.get(name, name)}"] = value.strip()
    return tree


def test_roce_ports_with_their_gids(fixtures: Path) -> None:
    first, second = _nic.parse_rdma(rdma_tree(fixtures, "ibstatus_roce", "show_gids"))
    assert first == RdmaPort(
        device="mlx5_0",
        port=1,
        state="ACTIVE",
        physical="LinkUp",
        link_layer="Ethernet",
        rate=100.0,
        nics=("net1",),
        gids=(
            Gid(0, "fe80:0000:0000:0000:8ae9:a4ff:fe9c:7f1a", "", ""),
            Gid(4, "fe80:0000:0000:0000:a4ed:ccff:fe8b:1994", "IB/RoCE v1", "net1"),
            Gid(5, "fe80:0000:0000:0000:a4ed:ccff:fe8b:1994", "RoCE v2", "net1"),
            Gid(6, "0000:0000:0000:0000:0000:ffff:0a98:000c", "IB/RoCE v1", "net1"),
            Gid(7, "0000:0000:0000:0000:0000:ffff:0a98:000c", "RoCE v2", "net1"),
        ),
    )
    assert (second.device, second.nics, second.gids[-1].kind) == ("mlx5_1", ("net2",), "RoCE v2")
    gids: Any = first.as_dict()["gids"]
    assert gids[4] == {
        "index": 7,
        "gid": "0000:0000:0000:0000:0000:ffff:0a98:000c",
        "kind": "RoCE v2",
        "nic": "net1",
    }


def test_ports_that_are_down(fixtures: Path) -> None:
    ports = _nic.parse_rdma(rdma_tree(fixtures, "ibstatus_down", "ibdev2netdev"))
    assert [(p.device, p.state, p.physical, p.link_layer, p.rate, p.nics) for p in ports] == [
        ("mlx5_11", "DOWN", "Disabled", "InfiniBand", 10.0, ("ibp220s0",)),
        ("mlx5_2", "DOWN", "Disabled", "Ethernet", 40.0, ("enp27s0f1np1",)),
    ]


def test_free_places_of_a_gid_table_are_none(fixtures: Path) -> None:
    """As github.com/NVIDIA/nccl/issues/1573 quotes them."""
    tree = rdma_tree(fixtures, "ibstatus_roce")
    tree["/sys/class/infiniband/mlx5_0/ports/1/gids/0"] = "0000:0000:0000:0000:0000:0000:0000:0000"
    assert _nic.parse_rdma(tree)[0].gids == ()


def test_a_host_without_rdma() -> None:
    assert _nic.parse_rdma({}) == []


def test_a_nic_knows_its_rdma_device(fixtures: Path) -> None:
    ports = _nic.parse_rdma(rdma_tree(fixtures, "ibstatus_roce", "show_gids"))
    tree = {
        path.replace("eth0", "net1"): text
        for path, text in tree_of(fixtures, "virtual_sys.json").items()
        if "eth0" in path
    }
    [nic] = _nic.parse_nics(tree, ports)
    assert nic.as_dict()["rdma"] == ["mlx5_0"]


@pytest.mark.parametrize(
    ("text", "rate"),
    # The first from the sysfs of an H100 host: github.com/leptonai/gpud, .../testdata/sys-class-infiniband-h100.0.
    [("400 Gb/sec (4X NDR)", 400.0), ("2.5 Gb/sec (1X SDR)", 2.5), ("", None)],
)
def test_rates(text: str, rate: float | None) -> None:
    assert _nic.rate_of(text) == rate


@pytest.mark.parametrize(("text", "speed"), [("10000", 10000), ("-1", None), ("", None), ("0", None)])
def test_speeds(text: str, speed: int | None) -> None:
    assert _nic.speed_of(text) == speed


def test_why_the_others_were_not_chosen(fixtures: Path) -> None:
    addresses = reference.addresses((fixtures / "net" / "virtual_address.json").read_text(encoding="utf-8"))
    nics = _nic.parse_nics(tree_of(fixtures, "virtual_sys.json"))
    routes = [Route("eth0", "192.0.2.2", "192.0.2.1")]
    chosen = _nic.choose_cluster_nic(addresses, routes, nics=nics)
    assert chosen and chosen.nic == "eth0"
    assert _nic.why_not(nics, addresses, routes, chosen) == {"labbr2df2": "virtual"}
    wished = _nic.choose_cluster_nic(addresses, routes, "labbr2df2")
    assert _nic.why_not(nics, addresses, routes, wished) == {"eth0": "holds the route to 1 of 1 peers"}


def nic(name: str, kind: str = "physical", up: bool = True, speed: int | None = None) -> Nic:
    return Nic(name, kind, up, 1500, speed, "")


def test_each_reason() -> None:
    nics = [
        nic("ens1"),
        nic("eno1"),
        nic("eno0", up=False),
        nic("eno2"),
        nic("docker0", "virtual"),
        nic("lo", "loopback"),
    ]
    routes = [ROUTE, ROUTE, ("eno1", "198.51.100.11")]
    addresses = [*ALL, address("docker0", "172.17.0.1"), address("eno3", "198.51.100.99")]
    chosen = _nic.choose_cluster_nic(addresses, routes)
    assert _nic.why_not([*nics, nic("eno3")], addresses, routes, chosen) == {
        "eno1": "holds the route to 1 of 3 peers",
        "eno0": "down",
        "eno2": "has no address",
        "docker0": "virtual",
        "eno3": "no route to the peers leaves by it",
    }


@pytest.mark.parametrize(
    ("nics", "wanted"),
    [
        pytest.param([nic("eno1", "virtual"), nic("ens1")], "192.0.2.11", id="hardware-first"),
        pytest.param([nic("eno1", speed=1000), nic("ens1", speed=100000)], "192.0.2.11", id="the-faster"),
        pytest.param([nic("eno1"), nic("ens1")], "198.51.100.11", id="as-listed"),
    ],
)
def test_without_a_route_what_the_nic_is_decides(nics: list[Nic], wanted: str) -> None:
    chosen = _nic.choose_cluster_nic(ALL, [], nics=nics)
    assert chosen and chosen.address == wanted
