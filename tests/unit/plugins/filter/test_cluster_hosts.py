# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts of a cluster, for a play."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.filter.cluster_hosts import FilterModule


@pytest.mark.parametrize(
    ("groups", "hosts"),
    [
        ({"all": ["w", "h", "x"], "head": ["h"], "workers": ["w"]}, ["h", "w"]),
        ({"all": ["a", "b"], "ungrouped": ["a", "b"]}, ["a", "b"]),
        ({}, []),
    ],
    ids=["head-first", "neither-group", "nothing"],
)
def test_cluster_hosts(groups: dict[str, list[str]], hosts: list[str]) -> None:
    hostvars: dict[str, dict[str, str]] = {host: {} for host in groups.get("all", [])}
    cluster_hosts: Any = FilterModule().filters()["cluster_hosts"]
    assert cluster_hosts(hostvars, groups) == hosts
