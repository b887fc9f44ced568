# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What memory holds, and in which order layouts come: properties that hold for any cluster."""

from __future__ import annotations

import random
from dataclasses import replace

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner import _candidates, _weigh
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._hardware import ClusterHost
from ansible_collections.vllm_ray.cluster.tests.unit.models import NAMES, model
from ansible_collections.vllm_ray.cluster.tests.unit.plugins.plugin_utils.planner_cases import IB, TCP10
from ansible_collections.vllm_ray.cluster.tests.unit.plugins.plugin_utils.planner_models import some_hosts, some_wishes


def test_memory_is_never_exceeded() -> None:
    """Weights, reserve and the promised number of requests fit into vLLM's share, in any order of hosts."""
    chance = random.Random(1)
    fitting = 0
    for _round in range(40):
        what, hosts, wishes = model(chance.choice(NAMES)), some_hosts(chance), some_wishes(chance)
        for verdict in _weigh.weigh(what, hosts, TCP10, wishes):
            if not verdict.fits:
                continue
            fitting += 1
            assert sum(verdict.candidate.layers) == what.layers
            assert min(verdict.candidate.layers) >= 1
            for order in _weigh.orders(verdict.candidate):
                alone = _weigh.judge(what, order, hosts, TCP10, wishes)
                for stage, memory, request in zip(order.stages, alone.memory, alone.cache.request):
                    smallest = min(gpu.usable for gpu in stage.gpus)
                    assert memory.total == smallest
                    assert memory.budget == int(smallest * wishes.utilization)
                    used = memory.weights + memory.reserve + request * verdict.cache.concurrency
                    assert used <= memory.budget + 1
    assert fitting > 300


def larger(hosts: list[ClusterHost], mib: int) -> list[ClusterHost]:
    return [
        replace(host, gpus=tuple(replace(gpu, memory_mib=gpu.memory_mib + mib) for gpu in host.gpus)) for host in hosts
    ]


def assert_no_less(before: list[_weigh.Verdict], after: list[_weigh.Verdict]) -> None:
    """What fitted fits, the largest KV cache is as large, and the fastest layout as fast, but for what a step more or
    less of a few requests makes."""
    least, most = (
        [
            max((verdict.rate for verdict in found if verdict.fits), default=0),
            max((verdict.cache.tokens for verdict in found if verdict.fits), default=0),
        ]
        for found in (before, after)
    )
    assert any(verdict.fits for verdict in after) >= any(verdict.fits for verdict in before)
    assert most[0] >= least[0] * 0.99
    assert most[1] >= least[1]


def test_more_memory_never_gives_less() -> None:
    """The same layout has at least as many KV tokens, and what fitted still fits.

    The step is set, because vLLM makes it larger on GPUs of 70 GiB and more, which does cost some of the cache.
    """
    chance = random.Random(2)
    compared = 0
    for _round in range(40):
        what, hosts = model(chance.choice(NAMES)), some_hosts(chance)
        wishes = replace(some_wishes(chance), batched_tokens=2048, sequences=256)
        grown = larger(hosts, chance.choice((512, 4096, 40000)))
        for candidate in _candidates.candidates(what, hosts, wishes):
            if candidate.uneven:
                # Other memory gives it other layers; the best of all is compared below.
                continue
            given = {host.name: host.gpus[0] for host in grown}
            stages = tuple(
                _candidates.Stage(tuple((name, given[name]) for name, _gpu in stage.ranks))
                for stage in candidate.stages
            )
            before = _weigh.judge(what, candidate, hosts, TCP10, wishes)
            after = _weigh.judge(what, replace(candidate, stages=stages), grown, TCP10, wishes)
            assert after.cache.tokens >= before.cache.tokens
            assert after.fits >= before.fits
            compared += 1
        assert_no_less(_weigh.weigh(what, hosts, TCP10, wishes), _weigh.weigh(what, grown, TCP10, wishes))
    assert compared > 200


def test_one_more_host_never_gives_less() -> None:
    """Of any kind: it may stay idle. Sizes are ours to choose; TP over hosts, when it is set, ends where a host can
    hold it alone."""
    chance = random.Random(5)
    fitting = 0
    for _round in range(60):
        what, wishes = model(chance.choice(NAMES)), some_wishes(chance)
        hosts = [
            replace(host, name=f"gpu{number}") for number, host in enumerate(some_hosts(chance) + some_hosts(chance))
        ]
        before, after = (_weigh.weigh(what, offered, TCP10, wishes) for offered in (hosts[:-1], hosts))
        assert_no_less(before, after)
        fitting += any(verdict.fits for verdict in before)
    assert fitting > 20


def test_the_chosen_one_is_near_the_fastest() -> None:
    chance = random.Random(3)
    for _round in range(40):
        what, hosts, wishes = model(chance.choice(NAMES)), some_hosts(chance), some_wishes(chance)
        verdicts = [v for v in _weigh.weigh(what, hosts, chance.choice((TCP10, IB)), wishes) if v.fits]
        if verdicts:
            assert verdicts[0].rate >= 0.9 * max(verdict.rate for verdict in verdicts)
