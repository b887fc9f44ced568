# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses, routes and listeners of this machine are those that ip and ss show, which the modules do not need."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._net import _netlink
from ansible_collections.vllm_ray.cluster.plugins.module_utils._net._listeners import Listener
from ansible_collections.vllm_ray.cluster.tests import reference

NETLINK = Path(__file__).parents[1] / "fixtures" / "netlink"
# A network namespace needs root.
ALONE = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]
NOBODY = 65534
# Opens sockets of all kinds, shows what ss and we find, and the same as somebody else.
LISTEN = f"""
import json, os, socket, subprocess, sys
from dataclasses import asdict
from ansible_collections.vllm_ray.cluster.plugins.module_utils._net import _port_io
from ansible_collections.vllm_ray.cluster.tests import reference
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
kept = []
def listen(kind, address, port, only=None):
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    if only is not None:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
    made.bind((address, port))
    if kind == socket.SOCK_STREAM:
        made.listen()
    kept.append(made)
listen(socket.SOCK_STREAM, "0.0.0.0", 7001)
listen(socket.SOCK_STREAM, "127.0.0.1", 7002)
listen(socket.SOCK_STREAM, "::", 7003, 0)
listen(socket.SOCK_STREAM, "::", 7004, 1)
listen(socket.SOCK_STREAM, "::ffff:127.0.0.1", 7005, 0)
listen(socket.SOCK_STREAM, "::1", 7006)
listen(socket.SOCK_DGRAM, "0.0.0.0", 7007)
listen(socket.SOCK_DGRAM, "::", 7008)
# Who is connected listens to nobody.
kept.append(socket.create_connection(("127.0.0.1", 7002)))
talks = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
talks.connect(("127.0.0.1", 7007))
def show():
    out = subprocess.run(reference.LISTENERS, capture_output=True, text=True, check=True).stdout
    found = {{"ss": reference.listeners(out), "ours": _port_io.listeners(("tcp", "udp"))}}
    print(json.dumps({{who: [asdict(entry) for entry in entries] for who, entries in found.items()}}))
show()
sys.stdout.flush()
if sys.argv[1:] and not os.fork():
    for made in kept:
        made.close()
    os.setuid({NOBODY})
    show()
    sys.stdout.flush()
    os._exit(0)
elif sys.argv[1:]:
    os.wait()
"""


@pytest.fixture(scope="module")
def told() -> dict[str, object]:
    """What the kernel and ip say in a network of veths and bridges; bonds and VLANs are among the captured."""
    script = '"$0/topology.sh" && exec "$1" "$0/capture.py"'
    done = subprocess.run(
        [*ALONE, "sh", "-c", script, str(NETLINK), sys.executable], capture_output=True, text=True, check=True
    )
    found: dict[str, object] = json.loads(done.stdout)
    return found


def messages(told: object) -> list[_netlink.Message]:
    assert isinstance(told, list)
    return [_netlink.Message(kind, flags, bytes.fromhex(body)) for kind, flags, body in told]


def test_addresses(told: dict[str, object]) -> None:
    wanted = reference.addresses(json.dumps(told["ip_address"]))
    assert _netlink.addresses(messages(told["addresses"]), _netlink.links(messages(told["links"]))) == wanted
    assert {"192.0.2.111", "fd00:2::11", "10.9.0.1"} <= {entry.address for entry in wanted}


def test_routes(told: dict[str, object]) -> None:
    nics = _netlink.links(messages(told["links"]))
    routes, by_ip = told["routes"], told["ip_route"]
    assert isinstance(routes, dict)
    assert isinstance(by_ip, dict)
    found = {
        target: None if isinstance(answer, int) else _netlink.route(messages(answer), nics)
        for target, answer in routes.items()
    }
    assert found == {target: reference.route(text) for target, text in by_ip.items()}
    assert sum(route is not None for route in found.values()) > 8


def test_listeners_and_who_holds_them() -> None:
    root = os.geteuid() == 0
    command = [*ALONE, sys.executable, "-c", LISTEN, *(["others"] if root else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    shown = [
        {who: {Listener(**entry) for entry in entries} for who, entries in json.loads(line).items()}
        for line in done.stdout.splitlines()
    ]
    assert len(shown) == (2 if root else 1)
    for found in shown:
        assert len(found["ours"]) == 8
        assert {replace(entry, user="", cgroup="") for entry in found["ours"]} == found["ss"]
    assert all(entry.pid and entry.cgroup for entry in shown[0]["ours"])
    if root:
        assert {(entry.pid, entry.process, entry.user) for entry in shown[1]["ours"]} == {(0, "", "root")}
