# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be wrong with an inventory: each problem names host, value found and fix."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks import _inventory_checks
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _settings
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._host import Host


def host(name: str, *groups: str, **given: Any) -> Host:
    absent, limited = given.pop("absent", None), given.pop("limited", False)
    values = {f"vllm_ray_{key}": value for key, value in given.items()}
    settings = _settings.check(name, {"vllm_ray_model": "/srv/demo", **values}).values
    return Host(name, groups, settings, None, absent, limited)


@pytest.mark.parametrize(
    ("hosts", "found"),
    [
        ([host("a", "head"), host("b", "workers")], []),
        ([host("b", "workers")], ["0 hosts in the group head"]),
        ([host("a", "head"), host("b", "head")], ["2 hosts in the group head: a, b"]),
        ([host("a", "head", "workers")], ["in head and in workers"]),
        (
            [host("a", "head", cluster="x"), host("b", "workers", cluster="y")],
            ["vllm_ray_cluster: x on a, y on b"],
        ),
    ],
    ids=["healthy", "no head", "two heads", "in both groups", "two clusters"],
)
def test_inventories(hosts: list[Host], found: list[str]) -> None:
    problems = _inventory_checks.check_inventory(hosts, "head", "workers")
    assert [problem.found for problem in problems] == found
    assert all(problem.severity == "error" and problem.fix for problem in problems)


@pytest.mark.parametrize(
    ("given", "used", "known", "severity"),
    [
        ({}, {"b": 1}, [], "error"),
        ({"absent_ok": True}, {"b": 1}, [], "error"),
        ({}, {}, [], "error"),
        ({"absent_ok": True}, {}, [], "warning"),
        ({"limited": True}, {"b": 1}, ["b"], "info"),
        ({"limited": True}, {}, [], "warning"),
    ],
    ids=["used", "used, allowed", "unused", "unused, allowed", "limited, known", "limited, new"],
)
def test_absent_hosts(given: dict[str, Any], used: dict[str, int], known: list[str], severity: str) -> None:
    problems = _inventory_checks.check_absent([host("b", "workers", absent="timed out", **given)], used, known)
    assert [(problem.host, problem.severity, problem.found) for problem in problems] == [("b", severity, "timed out")]


def test_a_host_that_left_is_an_error_with_a_fix() -> None:
    problem = _inventory_checks.removed_while_it_serves("b")
    assert (problem.host, problem.severity) == ("b", "error")
    assert "vllm_ray_restart=true" in problem.fix
