# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hosts must agree on: clocks, MTU, accelerator; and what they must not share: addresses."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks import _agreement_checks
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _settings
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._cluster import Cluster, cluster_of
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._host import Host
from ansible_collections.vllm_ray.cluster.tests.unit.looks import look

NOW = look(1)["host"]["time"]


def cluster(*looks: Any, **given: Any) -> Cluster:
    values = {"vllm_ray_model": "/srv/demo", **{f"vllm_ray_{key}": value for key, value in given.items()}}
    hosts = [
        Host(f"gpu0{number}", ("workers",) if number > 1 else ("head",), _settings.check("x", values).values, seen)
        for number, seen in enumerate(looks, 1)
    ]
    return cluster_of(hosts, hosts[0])


def test_hosts_that_agree() -> None:
    healthy = cluster(look(1), look(2), None)
    assert _agreement_checks.check_clocks(healthy) == []
    assert _agreement_checks.check_mtu(healthy) == []
    assert _agreement_checks.check_accelerator(healthy) == []
    assert _agreement_checks.check_addresses(healthy) == []
    assert _agreement_checks.check_environments(healthy) == []


@pytest.mark.parametrize(
    ("offsets", "found"),
    [
        pytest.param([0, 0, 4], [], id="within-the-limit"),
        pytest.param([0, 0, 600], [("gpu03", "its clock is 600 s ahead of the others'")], id="one-ahead"),
        pytest.param([0, -600], [("gpu02", "its clock is 600 s behind the others'")], id="one-of-two"),
        pytest.param([600], [("gpu01", "its clock is 600 s ahead of the others'")], id="one-host"),
        pytest.param(
            [600, 601, 599], [("-", "the controller's clock is 600 s behind the hosts'")], id="the-controller"
        ),
        pytest.param(
            [600, 600, 900],
            [
                ("-", "the controller's clock is 600 s behind the hosts'"),
                ("gpu03", "its clock is 300 s ahead of the others'"),
            ],
            id="both",
        ),
    ],
)
def test_clocks(offsets: list[float], found: list[tuple[str, str]]) -> None:
    # The controller read its clock half a second before and after the host did.
    shown = [offset + (0.5 if offset > 0 else -0.5) * (offset != 0) for offset in offsets]
    looks = [look(number, host_time=NOW + offset) for number, offset in enumerate(shown, 1)]
    seen = _agreement_checks.check_clocks(cluster(*looks))
    assert [(problem.host, problem.found) for problem in seen] == found
    assert all(problem.fix for problem in seen)


def test_a_slow_call_is_no_difference_of_clocks() -> None:
    slow: Any = {**look(1, host_time=NOW + 59), "asked": {"sent": NOW - 60, "received": NOW + 60}}
    assert _agreement_checks.clock_offset(slow) == 0


def test_clocks_in_the_parity_matrix() -> None:
    def row(*offsets: float) -> list[str]:
        seen = {f"gpu0{number}": look(number, host_time=NOW + offset) for number, offset in enumerate(offsets)}
        return list(_agreement_checks.clock_row(seen).values())

    # The host read its clock within half a second of the controller's readings.
    assert row(0.4, -1.2, 1.4) == ["0 s", "0 s", "0 s"]
    assert row(0, 600.1, -3.5) == ["0 s", "+600 s", "-3 s"]
    # If the controller's clock is wrong, hosts that agree are right.
    assert row(600.5, 600.5, 900.5) == ["0 s", "0 s", "+300 s"]
    assert row() == []


@pytest.mark.parametrize(
    ("mtus", "differ"),
    [([9000, 9000, 9000], {}), ([1500, 1500, 1400], {"gpu03": 1500}), ([1400, 1500], {"gpu01": 1500}), ([9000], {})],
    ids=["alike", "one-differs", "a-tie", "one-host"],
)
def test_mtu(mtus: list[int], differ: dict[str, int]) -> None:
    looks = [look(number) for number in range(1, len(mtus) + 1)]
    for seen, mtu in zip(looks, mtus, strict=True):
        seen["network"]["cluster_nic"]["mtu"] = mtu
    found = _agreement_checks.check_mtu(cluster(*looks))
    assert {problem.host: int(problem.wanted.split(",")[0]) for problem in found} == differ
    assert all(f"ip link set eno{problem.host[-1]} mtu" in problem.fix for problem in found)


@pytest.mark.parametrize(
    ("accelerator", "of_head", "of_worker", "found"),
    [
        ("auto", 0, 2, ["the head has no GPUs, but other hosts have some (gpu02 2): the engine would run on "]),
        ("cpu", 0, 1, []),
        ("auto", 0, 0, []),
        ("auto", 1, 0, []),
    ],
)
def test_a_head_without_gpus_among_hosts_with_gpus(
    accelerator: str, of_head: int, of_worker: int, found: list[str]
) -> None:
    problems = _agreement_checks.check_accelerator(
        cluster(look(1, gpus=of_head), look(2, gpus=of_worker), None, accelerator=accelerator)
    )
    assert [problem.found[: len(start)] for problem, start in zip(problems, found)] == found
    assert len(problems) == len(found)
    assert all((problem.host, problem.severity) == ("gpu01", "error") for problem in problems)


def test_one_address_twice_names_both() -> None:
    same = look(2)
    same["network"]["cluster_nic"]["address"] = "192.0.2.11"
    problems = _agreement_checks.check_addresses(cluster(look(1), same, look(3)))
    assert [(p.host, p.found) for p in problems] == [
        ("gpu01", "cluster address 192.0.2.11, also of gpu02"),
        ("gpu02", "cluster address 192.0.2.11, also of gpu01"),
    ]


def test_an_address_in_vllm_ray_env_of_all_hosts() -> None:
    [problem] = _agreement_checks.check_environments(cluster(look(1), look(2), env={"SOME_IP": "192.0.2.11"}))
    assert (problem.check, problem.host) == ("env", "-")
