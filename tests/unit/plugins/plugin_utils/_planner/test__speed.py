# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Estimates of speed, against what was measured."""

from __future__ import annotations

import pytest

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner import _advice, _candidates, _speed
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._hardware import Link
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._wishes import Wishes
from ansible_collections.vllm_ray.cluster.tests.unit.models import model
from ansible_collections.vllm_ray.cluster.tests.unit.plugins.plugin_utils import planner_measured
from ansible_collections.vllm_ray.cluster.tests.unit.plugins.plugin_utils.planner_measured import Measured
from ansible_collections.vllm_ray.cluster.tests.unit.plugins.plugin_utils.planner_models import (
    H100,
    H200,
    cluster,
)


def rate(
    name: str, hosts: list, tp: int, pp: int, link: Link, load: _speed.Load = _speed.LOAD, **wishes: object
) -> float:
    asked = Wishes(tp=tp, pp=pp, **wishes)  # type: ignore[arg-type]
    candidate = next(iter(_candidates.candidates(model(name), hosts, asked)))
    named = {host.name: host for host in hosts}
    return _speed.tokens_per_second(model(name), candidate, named, link, asked, 2_000_000, load)


# Two H200s as two hosts over TCP, vLLM 0.24.0, eager mode, 100 prompts of 256 tokens, 64 out: another machine, and
# not among what the constants were fitted to.
MEASURED = _speed.Load(100, 256, 64)


@pytest.mark.parametrize(("tp", "pp", "measured"), [(1, 2, 4145), (2, 1, 1452)])
def test_measured_on_two_h200(tp: int, pp: int, measured: float) -> None:
    hosts = cluster((H200, 1), (H200, 1))
    estimate = rate("measured-8b", hosts, tp, pp, Link(100), MEASURED, eager=True, max_model_len=4096)
    assert estimate == pytest.approx(measured, rel=0.13)


@pytest.mark.parametrize("row", planner_measured.ROWS, ids=str)
def test_measured_on_four_h200(row: Measured) -> None:
    hosts = row.cluster()
    estimate = rate(row.model, hosts, row.tp, row.pp, planner_measured.LINK, eager=row.eager, max_model_len=8192)
    assert estimate == pytest.approx(row.rate, rel=row.off)


@pytest.mark.parametrize(("name", "eager"), planner_measured.SETS)
def test_the_choice_is_within_five_percent_of_the_fastest(name: str, eager: bool) -> None:
    wishes = Wishes(eager=eager, max_model_len=planner_measured.LENGTH)
    found = _advice.advise(model(name), planner_measured.HOSTS, planner_measured.LINK, wishes)
    rates = {row.layout: row.rate for row in planner_measured.ROWS if row.set == (name, eager)}
    assert rates[found["tp"], found["pp"], len(found["gpus"])] >= 0.95 * max(rates.values())


def test_pp_beats_tp_over_tcp_by_three() -> None:
    hosts = cluster((H200, 1), (H200, 1))
    by_pp, by_tp = (rate("measured-8b", hosts, tp, pp, Link(100), MEASURED, eager=True) for tp, pp in ((1, 2), (2, 1)))
    assert by_pp / by_tp == pytest.approx(2.9, rel=0.3)


def test_what_makes_it_faster() -> None:
    one, two = cluster((H100, 8)), cluster((H100, 8), (H100, 8))
    slow, fast = Link(10), Link(400, rdma=True)
    # More GPUs over NVLink, a faster link, graphs, NVLink instead of PCIe.
    assert rate("llama-3.3-70b", one, 4, 1, slow) < rate("llama-3.3-70b", one, 8, 1, slow)
    assert rate("llama-3.3-70b", two, 8, 2, slow) < rate("llama-3.3-70b", two, 8, 2, fast)
    assert rate("llama-3.3-70b", two, 16, 1, slow) < rate("llama-3.3-70b", two, 16, 1, fast)
    assert rate("llama-3.1-8b", one, 8, 1, slow, eager=True) < rate("llama-3.1-8b", one, 8, 1, slow)
    pcie = cluster((H100, 8), inside="pcie")
    assert rate("llama-3.3-70b", pcie, 8, 1, slow) < rate("llama-3.3-70b", one, 8, 1, slow)


def test_in_eager_mode_python_bounds_what_gpus_would_do_faster() -> None:
    """More GPUs don't help a small model there; a large one keeps its GPUs busy."""
    host, slow = cluster((H100, 8)), Link(10)
    small, large = (
        [rate(name, host, tp, 1, slow, eager=True) for tp in (4, 8)] for name in ("llama-3.1-8b", "llama-3.3-70b")
    )
    assert small[1] < small[0] * 1.1
    assert large[1] > large[0] * 1.15


def test_room_bounds_the_requests_that_run() -> None:
    hosts = cluster((H100, 1))
    candidate = next(iter(_candidates.candidates(model("llama-3.1-8b"), hosts, Wishes())))
    named = {host.name: host for host in hosts}
    few, many = (
        _speed.tokens_per_second(model("llama-3.1-8b"), candidate, named, Link(), Wishes(), room)
        for room in (10_000, 1_000_000)
    )
    assert few < many / 2


def test_experts_are_read_as_far_as_they_are_visited() -> None:
    """One request of Mixtral reads a quarter of what many do."""
    hosts = cluster((H100, 2))
    one = rate("mixtral-8x7b", hosts, 2, 1, Link(), _speed.Load(1, 16, 256))
    dense = rate("qwen3-32b", hosts, 2, 1, Link(), _speed.Load(1, 16, 256))
    # Mixtral is larger than Qwen3 32B (87 GiB and 61), and faster alone.
    assert one > dense
