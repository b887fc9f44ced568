# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What other options, links or hosts would give."""

from __future__ import annotations

import pytest

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner import _changes, _weigh
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._hardware import ClusterHost, Link
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._wishes import Wishes
from ansible_collections.vllm_ray.cluster.tests.unit.models import model
from ansible_collections.vllm_ray.cluster.tests.unit.plugins.plugin_utils.planner_cases import IB, TCP10
from ansible_collections.vllm_ray.cluster.tests.unit.plugins.plugin_utils.planner_models import H100, RTX4090, cluster

TWO, WEAK_HEAD = cluster((H100, 8), (H100, 8)), cluster((RTX4090, 1), (H100, 8))
SMALL = cluster(*[(RTX4090, 1)] * 4)


@pytest.mark.parametrize(
    ("name", "hosts", "link", "wishes", "start"),
    [
        ("llama-3.3-70b", TWO, IB, Wishes(tp=16), "without the sizes that are set, TP=8 PP=2"),
        ("llama-3.3-70b", TWO, TCP10, Wishes(tp=16), "400 Gbit/s with RDMA between the hosts: about "),
        ("llama-3.1-8b", WEAK_HEAD, TCP10, Wishes(max_model_len=8192), "gpu02 alone (vllm_ray_serve_host): about "),
        ("qwen3-32b", SMALL, TCP10, Wishes(max_model_len=8192), "kv-cache-dtype: fp8: "),
    ],
)
def test_what_would_be_better(name: str, hosts: list[ClusterHost], link: Link, wishes: Wishes, start: str) -> None:
    best = _weigh.weigh(model(name), hosts, link, wishes)[0]
    found = _changes.better(model(name), hosts, link, wishes, best)
    assert any(entry.startswith(start) for entry in found), found


@pytest.mark.parametrize("wanted", range(2, 40))
def test_the_fewest_hosts_that_would_do(wanted: int) -> None:
    hosts = cluster((H100, 8))
    found = _changes.more_hosts(hosts, lambda offered: len(offered) >= wanted)
    assert found == (wanted - 1 if wanted - 1 <= _changes.MORE_HOSTS else 0)
