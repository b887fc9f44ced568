# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parity matrix: which hosts differ, how bad that is, and what changed."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks import _parity
from ansible_collections.vllm_ray.cluster.tests.unit.looks import look

HOSTS = ["gpu01", "gpu02", "gpu03"]
MATRIX = {
    "driver": {"gpu01": "580.95", "gpu02": "570.10", "gpu03": "580.95"},
    "python": {"gpu01": "3.11.2", "gpu02": "3.11.2", "gpu03": "3.11.9"},
    "disk": {"gpu01": "1", "gpu02": "2", "gpu03": "3"},
}


@pytest.mark.parametrize(
    ("values", "usual", "differ"),
    [
        ({}, "", {}),
        ({"a": "1"}, "1", {}),
        ({"a": "1", "b": "2"}, "1", {"b": "2"}),
        ({"a": "1", "b": "2", "c": "2"}, "2", {"a": "1"}),
    ],
    ids=["nothing", "one host", "a draw: the first host, which is the head", "majority"],
)
def test_hosts_that_differ(values: dict[str, str], usual: str, differ: dict[str, str]) -> None:
    assert _parity.majority(values) == usual
    assert _parity.differing(values) == differ


def test_only_rows_that_must_agree_make_problems() -> None:
    assert [(p.host, p.severity, p.found, p.wanted) for p in _parity.problems(MATRIX)] == [
        ("gpu02", "warning", "driver 570.10", "580.95 as on most hosts"),
        ("gpu03", "error", "python 3.11.9", "3.11.2 as on most hosts"),
    ]


def test_what_another_check_told_is_not_said_again() -> None:
    assert [p.host for p in _parity.problems(MATRIX, {("gpu02", "driver"), ("gpu03", "driver")})] == ["gpu03"]


def test_the_table_marks_hosts_that_differ() -> None:
    matrix = {"driver": MATRIX["driver"], "nccl": {"gpu01": "2.27"}}
    assert _parity.lines(matrix, HOSTS, 80) == [
        "          gpu01   gpu02    gpu03",
        "  driver  580.95  570.10*  580.95",
        "  nccl    2.27    -        -",
    ]
    assert _parity.lines({}, HOSTS, 80) == []


def test_many_hosts_are_grouped() -> None:
    values = {f"gpu{number:02}": "570.10" if number in (7, 9) else "580.95" for number in range(1, 17)}
    assert _parity.lines({"driver": values}, list(values), 80) == [
        "  driver  580.95 on 14 hosts; * 570.10 on gpu07, gpu09"
    ]


def test_what_changed_since_it_worked() -> None:
    now = {
        "driver": dict.fromkeys(HOSTS, "590.1"),
        "python": {"gpu01": "3.11.2", "gpu02": "3.11.2"},
        "disk": MATRIX["disk"],
    }
    assert _parity.changes(MATRIX, now) == [
        "driver: 580.95 -> 590.1 on gpu01, gpu03",
        "driver: 570.10 -> 590.1 on gpu02",
        "python: 3.11.9 -> nothing on gpu03",
    ]
    assert _parity.changes(MATRIX, MATRIX) == []


def test_hosts_that_came_and_went_since_it_worked() -> None:
    before = {"kernel": {"gpu01": "6.1", "gpu02": "6.1", "gpu03": "6.1"}, "driver": {"gpu01": "580.95"}}
    now = {"kernel": {"gpu01": "6.2", "gpu04": "6.2"}}
    # gpu02 did not answer; gpu03 is no longer in the inventory.
    assert _parity.since(before, now, ["gpu01", "gpu02", "gpu04"], ["gpu01", "gpu04"]) == [
        "gpu04 is new",
        "gpu03 is no longer in the inventory",
        "kernel: 6.1 -> 6.2 on gpu01",
        "driver: 580.95 -> nothing on gpu01",
    ]


def test_changes_are_notes() -> None:
    (note,) = _parity.changed(["gpu04 is new"])
    assert (note.host, note.check, note.severity, note.found) == ("-", "changes", "info", "gpu04 is new")


def test_what_is_recorded_of_a_good_run() -> None:
    before = {"kernel": {"gpu01": "6.1", "gpu02": "6.1", "gpu03": "6.1"}, "nccl": {"gpu03": "2.29.7"}}
    now = {"kernel": {"gpu01": "6.2"}, "driver": {"gpu01": "580.95"}}
    # gpu02 was left out by --limit and keeps what it had; gpu03 has left the cluster.
    assert _parity.good_run(before, now, ["gpu01", "gpu02"], ["gpu01"]) == {
        "kernel": {"gpu02": "6.1", "gpu01": "6.2"},
        "driver": {"gpu01": "580.95"},
    }


def test_nothing_that_moves_by_itself_is_recorded() -> None:
    first, second = look(1), look(1, host_time=0.0, host_memory=1, asked_sent=0.0)
    second["host"]["disks"] = [{**disk, "free": 1} for disk in second["host"]["disks"]]
    second["host"]["shared_memory"]["free"] = 1
    assert _parity.matrix({"gpu01": first}, {}) == _parity.matrix({"gpu01": second}, {})


def test_the_rows_of_hosts() -> None:
    gpu = {"name": "NVIDIA H200", "memory_mib": 143771, "driver": "580.159.04", "cuda": "13.0"}
    look: Any = {
        "host": {
            "os": {"id": "debian", "version": "12"},
            "kernel": "6.1.0",
            "machine": "x86_64",
            "glibc": "2.36",
            "gpus": [gpu, gpu],
        },
        "network": {"cluster_nic": {"mtu": 9000}},
    }
    bare: Any = {
        "host": {"os": {"id": "debian", "version": ""}, "kernel": "6.1.0", "machine": "x86_64", "gpus": []},
        "network": {"cluster_nic": None},
    }
    release: Any = {"python": {"version": "3.11.2"}, "versions": {"vllm": "0.32.0", "ray": ""}}
    assert _parity.matrix({"gpu01": look, "gpu02": bare}, {"gpu01": release, "gpu02": {"python": None}}) == {
        "os": {"gpu01": "debian 12", "gpu02": "debian"},
        "kernel": {"gpu01": "6.1.0", "gpu02": "6.1.0"},
        "machine": {"gpu01": "x86_64", "gpu02": "x86_64"},
        "glibc": {"gpu01": "2.36"},
        "mtu": {"gpu01": "9000"},
        "gpu model": {"gpu01": "NVIDIA H200"},
        "gpu count": {"gpu01": "2"},
        "gpu memory": {"gpu01": "140 GiB"},
        "driver": {"gpu01": "580.159.04"},
        "cuda": {"gpu01": "13.0"},
        "python": {"gpu01": "3.11.2"},
        "vllm": {"gpu01": "0.32.0"},
    }
