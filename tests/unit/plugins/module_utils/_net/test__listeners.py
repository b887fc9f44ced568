# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which processes listen on our ports, and which Rays are not ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._net import _listeners
from ansible_collections.vllm_ray.cluster.plugins.module_utils._net._listeners import Listener, Process
from ansible_collections.vllm_ray.cluster.tests import reference

OURS = (8000, 8265, 6379, 6380, 10001, 52365)


def captured(fixtures: Path, name: str) -> list[Listener]:
    return reference.listeners((fixtures / "ss" / name).read_text(encoding="utf-8"), "tcp")


def tree(*rows: tuple[int, int, str, str]) -> dict[int, Process]:
    return {pid: Process(pid, parent, name, "root", unit) for pid, parent, name, unit in rows}


# 138 is the main process of our node's unit, 1847 that of our engine.
PROCESSES = tree(
    (138, 1, "ray", "vllm-ray-node@default.service"),
    (150, 138, "gcs_server", "vllm-ray-node@default.service"),
    (447, 138, "raylet", "vllm-ray-node@default.service"),
    (470, 447, "python", "vllm-ray-node@default.service"),
    (185, 138, "python", "vllm-ray-node@default.service"),
    (186, 138, "python", "vllm-ray-node@default.service"),
    (1847, 1, "vllm", "vllm-ray-serve@default-main.service"),
)


@pytest.mark.parametrize(
    ("own", "foreign"),
    [
        pytest.param((138, 1847), [], id="all-ours"),
        pytest.param((138,), [8000], id="an-engine-of-another"),
        pytest.param((1847,), [6379, 6380, 8265, 10001, 10001, 52365, 52365], id="a-ray-of-another"),
    ],
)
def test_foreign_listeners(fixtures: Path, own: tuple[int, ...], foreign: list[int]) -> None:
    found = _listeners.foreign_listeners(captured(fixtures, "head"), OURS, own, PROCESSES)
    assert sorted(listener.port for listener in found) == foreign


def test_a_port_that_is_not_ours_does_not_matter(fixtures: Path) -> None:
    assert _listeners.foreign_listeners(captured(fixtures, "head"), (), (), PROCESSES) == []


def test_a_listener_whose_owner_is_not_seen_is_foreign() -> None:
    """But where our own are not seen either, one of their account is theirs; root has too many."""
    ann, root = (Listener("tcp", "::", 8000, user=user) for user in ("ann", "root"))
    ours = {138: Process(138, 1, "ray", "ann")}
    assert _listeners.foreign_listeners([ann, root], OURS, (138,), ours) == [ann, root]
    assert _listeners.foreign_listeners([ann, root], OURS, (138,), ours, blind=True) == [root]
    assert _listeners.foreign_listeners([root], OURS, (138,), PROCESSES, blind=True) == [root]
    assert _listeners.foreign_listeners([ann], OURS, (), ours, blind=True) == [ann]


def test_descent_ends_where_processes_went_away_or_go_in_a_circle() -> None:
    assert _listeners.is_descendant(470, {138}, PROCESSES)
    assert not _listeners.is_descendant(470, {1}, PROCESSES)
    assert not _listeners.is_descendant(99, {138}, PROCESSES)
    assert not _listeners.is_descendant(5, {138}, tree((5, 6, "a", ""), (6, 5, "b", "")))


def test_a_ray_of_a_sister_cluster_is_ours_too_and_one_by_hand_is_not() -> None:
    others = tree(
        (700, 1, "raylet", "vllm-ray-node@second.service"),
        (800, 1, "raylet", "session-3.scope"),
        (801, 800, "python", ""),
        (802, 1, "gcs_server", ""),
    )
    found = _listeners.foreign_ray({**PROCESSES, **others}, {138})
    assert [process.pid for process in found] == [800, 802]


@pytest.mark.parametrize(
    ("name", "command", "known"),
    [
        ("raylet", "/opt/x/raylet --a", "raylet"),
        ("python", "/opt/x/bin/python -u /opt/x/site-packages/ray/autoscaler/_private/monitor.py --a", "ray-monitor"),
        ("python", "/opt/x/bin/python -m ray.util.client.server --address=192.0.2.1:6379", "ray-client-server"),
        ("python3", "python3 -m http.server", "python3"),
        ("nano", "nano /opt/x/ray/dashboard/agent.py", "nano"),
    ],
)
def test_parts_of_a_ray_that_run_as_python_are_known(name: str, command: str, known: str) -> None:
    assert _listeners.known_as(name, command) == known


def test_all_of_a_ray_by_hand_is_told_and_its_workers_go_with_it() -> None:
    processes = tree(
        (30, 1, "gcs_server", ""), (31, 1, "ray-client-server", ""), (32, 1, "raylet", ""), (33, 32, "ray::X", "")
    )
    assert [process.pid for process in _listeners.foreign_ray(processes, set())] == [30, 31, 32]


def test_a_ray_below_our_supervisor_is_ours() -> None:
    processes = tree((20, 1, "ray", ""), (21, 20, "raylet", ""))
    assert _listeners.foreign_ray(processes, {20}) == []
    assert [process.pid for process in _listeners.foreign_ray(processes, set())] == [21]


def test_a_listener_with_its_owner(fixtures: Path) -> None:
    [listener] = [entry for entry in captured(fixtures, "head") if entry.port == 8000]
    facts = {"port": 8000, "address": "10.237.0.11", "pid": 1847, "process": "vllm"}
    unit = "vllm-ray-serve@default-main.service"
    assert _listeners.describe(listener, PROCESSES) == {**facts, "user": "root", "unit": unit}
    assert _listeners.describe(listener, {}) == {**facts, "user": "", "unit": ""}


def test_what_dead_rays_and_other_engines_leave() -> None:
    others = tree(
        (800, 1, "raylet", "session-3.scope"),
        (801, 800, "ray::IDLE", "session-3.scope"),
        (900, 1, "ray::RayWorkerP", "session-3.scope"),
        (901, 900, "VLLM::Worker_TP", "session-3.scope"),
        (902, 1, "vllm", "other.service"),
        (903, 902, "VLLM::EngineCor", "other.service"),
        (904, 1, "python", "session-3.scope"),
    )
    found = _listeners.strays({**PROCESSES, **others}, {138, 1847})
    assert [(process.pid, process.name) for process in found] == [(900, "ray::RayWorkerP"), (902, "vllm")]
    assert _listeners.facts(found[1]) == {"pid": 902, "process": "vllm", "user": "root"}


@pytest.mark.parametrize("own", [(138, 1847), ()])
def test_ours_and_those_of_sister_clusters_are_no_strays(own: tuple[int, ...]) -> None:
    below = {147: Process(147, 138, "ray::RayWorkerP", "vllm-ray", "vllm-ray-node@default.service")}
    assert _listeners.strays({**PROCESSES, **below}, own) == []


def test_ours_below_a_supervisor_are_no_strays() -> None:
    processes = tree((20, 1, "vllm", ""), (21, 20, "VLLM::EngineCor", ""))
    assert _listeners.strays(processes, {20}) == []


def sockets(fixtures: Path, port: int) -> list[_listeners.Socket]:
    texts = [(fixtures / "proc" / name).read_text(encoding="utf-8") for name in ("net_tcp", "net_tcp6")]
    return [found for text in texts for found in _listeners.parse_proc_net(text, port)]


def test_whose_the_ends_of_connections_are(fixtures: Path) -> None:
    found = {(one.local[0], one.remote): (one.state, one.uid, bool(one.inode)) for one in sockets(fixtures, 18000)}
    assert found == {
        ("127.0.0.1", ("0.0.0.0", 0)): (_listeners.LISTENS, 65534, True),
        # Accepted, and not yet.
        ("127.0.0.1", ("127.0.0.1", 0x8812)): (_listeners.ESTABLISHED, 65534, True),
        ("127.0.0.1", ("127.0.0.1", 0x8820)): (_listeners.ESTABLISHED, 65534, False),
    }
    # A connection by IPv4 to a socket of IPv6 has the addresses that its other end sees.
    assert {(one.local, one.remote, one.uid) for one in sockets(fixtures, 18001)} == {
        (("::", 18001), ("::", 0), 33),
        (("127.0.0.1", 18001), ("127.0.0.1", 0x8A18), 33),
        (("::1", 18001), ("::1", 0xE04A), 33),
    }
    assert sockets(fixtures, 18002) == []


@pytest.mark.parametrize(
    ("address", "bound"),
    [("192.0.2.11", "192.0.2.11"), ("192.0.2.12", "0.0.0.0"), ("2001:db8::1", "0.0.0.0")],
)
def test_who_takes_a_connection(address: str, bound: str) -> None:
    listening = [
        _listeners.Socket((local, 80), ("0.0.0.0", 0), _listeners.LISTENS, number, number)
        for number, local in enumerate(("::", "0.0.0.0", "192.0.2.11"), 1)
    ]
    found = _listeners.listener_of(listening, address)
    assert found is not None
    assert found.local[0] == bound
    assert _listeners.listener_of([listening[2]], "192.0.2.12") is None


@pytest.mark.parametrize(
    ("address", "plain"),
    [("127.0.0.1", "127.0.0.1"), ("::ffff:192.0.2.1", "192.0.2.1"), ("fe80::1%eth0", "fe80::1"), ("0:0::1", "::1")],
)
def test_addresses_in_their_usual_form(address: str, plain: str) -> None:
    assert _listeners.plain_address(address) == plain


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("127.0.0.1", True),
        ("127.0.0.53", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("fe80::1%eth0", False),
    ],
)
def test_loopback(address: str, local: bool) -> None:
    assert Listener("tcp", address, 80).is_local is local
