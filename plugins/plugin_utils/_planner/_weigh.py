# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compute layouts and sort them, the best first. PRIVATE to the collection.

Memory decides what is possible (_memory), estimated throughput what is best (_speed).
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner import _candidates, _memory, _speed

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._models._model_config import Model
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._hardware import ClusterHost, Gpu, Link
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._wishes import Wishes

# A KV cache beyond so many times what the load holds is ample; below it, one of less than ROOMY of another's counts as
# worse, however fast.
AMPLE, ROOMY = 4, 0.6


@dataclass(frozen=True)
class Verdict:
    """A layout with its memory (per stage, of its smallest GPU), KV cache and estimated output tokens per second.

    lacking: bytes that a GPU lacks for one request of full length, in the worst order of hosts; negative: to spare.
    """

    candidate: _candidates.Candidate
    memory: tuple[_memory.Memory, ...]
    cache: _memory.Cache
    rate: float
    lacking: float

    @property
    def fits(self) -> bool:
        return self.cache.enough and not self.crowded

    @property
    def crowded(self) -> list[tuple[str, Gpu]]:
        """GPUs that others hold so much of that vLLM would refuse them, each with its host."""
        return [
            (host, gpu)
            for stage, memory in zip(self.candidate.stages, self.memory)
            for host, gpu in stage.ranks
            if gpu.crowded(memory.budget / memory.total)
        ]

    @property
    def needs(self) -> list[float]:
        """Bytes that a GPU of each stage needs for weights, reserve and one request of full length."""
        return needed(self.memory, self.cache.request)


def needed(memory: Sequence[_memory.Memory], request: Sequence[float]) -> list[float]:
    """Return the bytes that a GPU of each stage needs. request: bytes of one of full length."""
    return [stage.weights + stage.reserve + size for stage, size in zip(memory, request)]


def judge(
    model: Model, candidate: _candidates.Candidate, hosts: Sequence[ClusterHost], link: Link, wishes: Wishes
) -> Verdict:
    """Estimate one layout. If hosts differ, any host except the serve host may be last: the worst order counts."""
    tokens, _sequences = _memory.batch(model, wishes, candidate.stages[0].gpus[0])
    found: list[tuple[tuple[_memory.Memory, ...], _memory.Cache]] = []
    for order in orders(candidate):
        parts = _memory.parts(order.layers)
        memory = tuple(
            _memory.stage_memory(model, candidate.tp, part, stage.gpus, candidate.stages[0].gpus[0], wishes)
            for part, stage in zip(parts, order.stages)
        )
        found.append((memory, _memory.cache(model, candidate.tp, list(zip(parts, memory)), wishes, tokens)))
    own, own_cache = found[0]
    worst = min((cache for _own, cache in found), key=lambda cache: cache.concurrency)
    cache = replace(worst, request=own_cache.request)
    lacking = max(
        need - stage.budget
        for memory, its_cache in found
        for stage, need in zip(memory, needed(memory, its_cache.request))
    )
    named = {host.name: host for host in hosts}
    rate = _speed.tokens_per_second(model, candidate, named, link, wishes, cache.tokens) if cache.enough else 0.0
    return Verdict(candidate, own, cache, rate, lacking)


def orders(candidate: _candidates.Candidate) -> Iterator[_candidates.Candidate]:
    """Yield the layout as given, then with each other host's stages last (Ray orders hosts by node ids)."""
    yield candidate
    names = list(candidate.gpus)
    if not candidate.uneven:
        return
    pairs = list(zip(candidate.stages, candidate.layers))
    for name in names[1:-1]:
        moved = [pair for pair in pairs if pair[0].hosts != [name]] + [
            pair for pair in pairs if pair[0].hosts == [name]
        ]
        yield replace(candidate, stages=tuple(stage for stage, _n in moved), layers=tuple(n for _stage, n in moved))


def weigh(model: Model, hosts: Sequence[ClusterHost], link: Link, wishes: Wishes) -> list[Verdict]:
    """Return all layouts, the best first: those that fit, by throughput; then those that don't, by what they lack.

    Among layouts that are as fast as the fastest, within the accuracy of the estimate, and have about as much room for
    requests, fewer hosts and then fewer stages come first: less can break, and answers come sooner.
    """
    verdicts = [
        judge(model, candidate, hosts, link, wishes) for candidate in _candidates.candidates(model, hosts, wishes)
    ]
    fastest = max((verdict.rate for verdict in verdicts if verdict.fits), default=0.0)
    ample = AMPLE * _speed.LOAD.tokens

    def close(verdict: Verdict) -> bool:
        return verdict.fits and verdict.rate >= fastest * (1 - _speed.CLOSE)

    most = max((min(verdict.cache.tokens, ample) for verdict in verdicts if close(verdict)), default=0)

    def key(verdict: Verdict) -> tuple[float, ...]:
        if not verdict.fits:
            return 2, verdict.lacking, 0, 0
        if not close(verdict) or verdict.cache.tokens < most * ROOMY:
            return 1, -verdict.rate, 0, 0
        return 0, len(verdict.candidate.gpus), verdict.candidate.pp, -verdict.rate

    return sorted(verdicts, key=key)


def distinct(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Return the layouts that fit: the best of each TP size and set of hosts, then those that differ in PP alone.

    Each part is in the given order.
    """
    best: dict[tuple[object, ...], Verdict] = {}
    rest: dict[tuple[object, ...], Verdict] = {}
    for verdict in verdicts:
        if verdict.fits:
            candidate = verdict.candidate
            best.setdefault((candidate.tp, *candidate.gpus), verdict)
            rest.setdefault((candidate.tp, candidate.pp, *candidate.gpus), verdict)
    chosen = list(best.values())
    return chosen + [verdict for verdict in rest.values() if verdict not in chosen]
