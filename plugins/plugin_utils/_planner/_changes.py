# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Suggestions: computes what other options, links or hosts would give. PRIVATE to the collection."""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner import _speed
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._advice_text import (
    FP8,
    named,
    plural,
    thousands,
)
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._hardware import ClusterHost, Link
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._weigh import judge, weigh
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._wishes import AUTO

if t.TYPE_CHECKING:
    from collections.abc import Sequence

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._models._model_config import Model
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._weigh import Verdict
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._wishes import Wishes

# A better link to compare with: one port of today's InfiniBand.
FAST_LINK = Link(400, rdma=True)
# Something is worth a sentence when it gives that much more.
WORTH = 1.15
# Hosts that a refusal may ask for.
MORE_HOSTS = 32
# What a weight of a 4-bit checkpoint takes with its scales.
CHECKPOINT_BITS = 5
# Lengths of requests in suggestions are multiples of it.
LENGTH_STEP = 1024


class Replicas(t.TypedDict, total=False):
    """Several engines, each within a host: sizes of one, figures of all. Empty where that is not worth it."""

    engines: int
    tp: int
    pp: int
    kv_tokens: int
    tokens_per_second: int


def better(model: Model, hosts: Sequence[ClusterHost], link: Link, wishes: Wishes, best: Verdict) -> list[str]:
    """Say what would make it better, each with its estimate; only what gives at least WORTH."""
    found = []
    if wishes.sizes:
        free = weigh(model, hosts, link, wishes.without_sizes)
        if free and free[0].fits and free[0].rate > best.rate * WORTH:
            found.append(f"without the sizes that are set, {named(free[0])}: about {thousands(free[0].rate)} tokens/s")
    if len(hosts) > 1 and not link.rdma:
        fast = weigh(model, hosts, FAST_LINK, wishes)
        if fast and fast[0].fits and fast[0].rate > best.rate * WORTH:
            found.append(
                f"{FAST_LINK} between the hosts: about {thousands(fast[0].rate)} tokens/s with {named(fast[0])}"
            )
    if best.cache.tokens < _speed.LOAD.tokens and wishes.kv_dtype == "auto":
        small = judge(model, best.candidate, hosts, link, replace(wishes, kv_dtype="fp8"))
        if small.cache.tokens > best.cache.tokens * WORTH:
            found.append(
                f"kv-cache-dtype: fp8: {thousands(small.cache.tokens)} tokens of KV cache instead of "
                f"{thousands(best.cache.tokens)}, about {thousands(small.rate)} tokens/s (compare its answers first)"
            )
    for host in hosts[1:]:
        if len(host.gpus) >= len(hosts[0].gpus) and host.gpus[0].usable > hosts[0].gpus[0].usable:
            alone = weigh(model, [host], link, wishes)
            if alone and alone[0].fits and alone[0].rate > best.rate * WORTH:
                found.append(f"{host.name} alone (vllm_ray_serve_host): about {thousands(alone[0].rate)} tokens/s")
                break
    return found


def replicas(model: Model, hosts: Sequence[ClusterHost], link: Link, wishes: Wishes, best: Verdict) -> Replicas:
    """Return what several engines, each within a host, would give together; empty where that is not worth it."""
    found = Replicas()
    sizes = {len(host.gpus) // share for host in hosts for share in (1, 2, 4, 8) if len(host.gpus) >= share}
    for size in sorted(sizes):
        able = [host for host in hosts if len(host.gpus) >= size]
        smallest = min(able, key=lambda host: min(gpu.usable for gpu in host.gpus))
        count = sum(len(host.gpus) // size for host in able)
        one = weigh(model, [replace(smallest, gpus=smallest.gpus[:size])], link, wishes)
        if count < 2 or not one or not one[0].fits:
            continue
        load = replace(_speed.LOAD, requests=max(1, _speed.LOAD.requests // count))
        alone = {smallest.name: smallest}
        candidate, room = one[0].candidate, one[0].cache.tokens
        rate = count * _speed.tokens_per_second(model, candidate, alone, link, wishes, room, load)
        if rate > max(best.rate * WORTH, found.get("tokens_per_second", 0)):
            found = {
                "engines": count,
                "tp": candidate.tp,
                "pp": candidate.pp,
                "kv_tokens": room * count,
                "tokens_per_second": round(rate),
            }
    return found


def that_fit(model: Model, hosts: Sequence[ClusterHost], link: Link, wishes: Wishes, best: Verdict) -> list[str]:
    """Return the changes that would fit, each alone, the smallest first; each was computed."""

    def fit(changed: Wishes, offered: Sequence[ClusterHost] = hosts, stored: Model = model) -> Verdict | None:
        verdicts = weigh(changed.loaded(stored), offered, link, changed)
        return verdicts[0] if verdicts and verdicts[0].fits else None

    found = []
    if best.crowded:
        share = min(gpu.free / gpu.usable for stage in best.candidate.stages for gpu in stage.gpus)
        low = replace(wishes, utilization=int(share * 100) / 100)
        if low.utilization > 0 and fit(low):
            found.append(f"gpu-memory-utilization: {low.utilization:g}")
        return [*found, "end the processes that hold memory of these GPUs"]
    if wishes.length(model) != AUTO:
        most = fit(replace(wishes, max_model_len=AUTO))
        length = most.cache.length // LENGTH_STEP * LENGTH_STEP if most else 0
        if length:
            found.append(f"max-model-len: {length} instead of {wishes.length(model)}")
    if wishes.kv_dtype == "auto" and fit(replace(wishes, kv_dtype="fp8")):
        found.append("kv-cache-dtype: fp8 (compare its answers first)")
    if wishes.utilization < 0.95 and fit(replace(wishes, utilization=0.95)):
        found.append(f"gpu-memory-utilization: 0.95 instead of {wishes.utilization:g}")
    if not wishes.eager and fit(replace(wishes, eager=True)):
        found.append("enforce-eager: true (no CUDA graphs, so slower)")
    free = fit(wishes.without_sizes) if wishes.sizes else None
    if free:
        found.append(f"without the sizes that are set: {named(free)}")
    if not model.quantization:
        small = replace(model, layer_bytes=tuple(size * CHECKPOINT_BITS // 16 for size in model.layer_bytes))
        if fit(replace(wishes, quantization=FP8)):
            found.append(f"quantization: {FP8} (halves the layers; compare its answers first)")
        elif fit(wishes, stored=small):
            found.append("a checkpoint in 4 bit (AWQ, GPTQ)")
    count, words = more_hosts(hosts, lambda offered: bool(fit(wishes, offered))), ""
    if not count and not found and wishes.sizes:
        count = more_hosts(hosts, lambda offered: bool(fit(wishes.without_sizes, offered)))
        words = ", without the sizes that are set"
    if count:
        gpus = f"{count * len(hosts[-1].gpus)} x {hosts[-1].gpus[0].model}"
        found.append(f"{plural(count, 'host')} more like {hosts[-1].name}, {gpus}{words}")
    return found


def more_hosts(hosts: Sequence[ClusterHost], fits: t.Callable[[Sequence[ClusterHost]], bool]) -> int:
    """Return how many more hosts like the last would do, 0 where MORE_HOSTS don't.

    More hosts never give less, so doubling their number and then halving the range finds the fewest.
    """

    def offered(count: int) -> list[ClusterHost]:
        return [*hosts, *(replace(hosts[-1], name=f"another-{number}") for number in range(count))]

    high = 1
    while not fits(offered(high)):
        if high >= MORE_HOSTS:
            return 0
        high *= 2
    low = high // 2 + 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(offered(middle)) else (middle + 1, high)
    return low
