# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which layout an engine should have, and why; or why none fits and what would. PRIVATE to the collection.

advise() weighs all layouts that vLLM accepts: memory decides what is possible (_memory), estimated throughput what is
best (_speed). Sizes that the user set are kept. What it returns is plain data for the plan.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils import _candidates, _memory, _speed
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._hardware import GIB, ClusterHost, Link
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._wishes import AUTO

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._model_config import Model
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._wishes import Wishes

# A better link to compare with: one port of today's InfiniBand.
FAST_LINK = Link(400, rdma=True)
# Something is worth a sentence when it gives that much more.
WORTH = 1.15
# A KV cache beyond so many times what the load holds is ample; below it, one of less than ROOMY of another's counts as
# worse, however fast.
AMPLE, ROOMY = 4, 0.6
# Hosts that a refusal may ask for.
MORE_HOSTS = 32
# What vLLM can do to any model while it loads, and what a weight of a 4-bit checkpoint takes with its scales.
FP8, CHECKPOINT_BITS = "fp8_per_tensor", 5
# Lengths of requests in suggestions are multiples of it.
LENGTH_STEP = 1024


@dataclass(frozen=True)
class Verdict:
    """A layout with its memory (per stage, of its smallest GPU), KV cache and estimated output tokens per second."""

    candidate: _candidates.Candidate
    memory: tuple[_memory.Memory, ...]
    cache: _memory.Cache
    rate: float

    @property
    def fits(self) -> bool:
        return self.cache.enough and not self.crowded

    @property
    def crowded(self) -> list[str]:
        """GPUs with less free memory than vLLM's share: it would refuse (v1/worker/utils.py, request_memory)."""
        found = []
        for stage, memory in zip(self.candidate.stages, self.memory):
            share = memory.budget / memory.total
            found += [
                f"a GPU of {host} has {gib(gpu.free)} GiB free, and vLLM wants {gib(gpu.usable * share)}"
                for host, gpu in stage.ranks
                if gpu.free < gpu.usable * share
            ]
        return found

    @property
    def lacking(self) -> float:
        """Bytes that a GPU lacks for one request of full length: the worst stage's."""
        return max(self.needs(rank) - memory.budget for rank, memory in enumerate(self.memory))

    def needs(self, rank: int) -> float:
        """Bytes that a GPU of a stage needs for weights, reserve and one request of full length."""
        memory = self.memory[rank]
        return memory.weights + memory.reserve + self.cache.request[rank]


def gib(size: float) -> str:
    """Return bytes as GiB for people."""
    return f"{size / GIB:.1f}"


def plural(count: int, word: str) -> str:
    """Return "1 host" or "2 hosts"."""
    return f"{count} {word}{'' if count == 1 else 's'}"


def thousands(number: float) -> str:
    """Return a number of tokens for people: three digits of it are all that an estimate has."""
    digits = max(0, len(str(int(number))) - 3)
    return f"{round(number, -digits):,.0f}"


def judge(
    model: Model, candidate: _candidates.Candidate, hosts: Sequence[ClusterHost], link: Link, wishes: Wishes
) -> Verdict:
    """Reckon one layout. Where hosts differ, any but the serve host may come last: the worst order counts."""
    tokens, _sequences = _memory.batch(model, wishes, candidate.stages[0].gpus[0])
    caches: list[_memory.Cache] = []
    own: tuple[_memory.Memory, ...] = ()
    for order in orders(candidate):
        parts = _memory.parts(order.layers)
        memory = tuple(
            _memory.stage_memory(model, candidate.tp, part, stage.gpus, candidate.stages[0].gpus[0], wishes)
            for part, stage in zip(parts, order.stages)
        )
        own = own or memory
        caches.append(_memory.cache(model, candidate.tp, list(zip(parts, memory)), wishes, tokens))
    cache = replace(min(caches, key=lambda cache: cache.concurrency), request=caches[0].request)
    named = {host.name: host for host in hosts}
    rate = _speed.tokens_per_second(model, candidate, named, link, wishes, cache.tokens) if cache.enough else 0.0
    return Verdict(candidate, own, cache, rate)


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

    Among layouts that are as fast as the fastest, within what the estimate can tell, and have about as much room for
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


def advise(model: Model, hosts: Sequence[ClusterHost], link: Link, wishes: Wishes) -> dict[str, t.Any]:
    """Return the layout for an engine, with reasons, alternatives and what would be better; or refusals.

    hosts: what each offers to the engine, the serve host first. link: between hosts.
    Figures: bytes as GiB, lengths in tokens, tokens_per_second is an estimate of output at _speed.LOAD.
    """
    serve_host = hosts[0].name if hosts else ""
    hosts = [host for host in hosts if host.gpus]
    kinds = sorted({gpu.model for host in hosts for gpu in host.gpus if not gpu.known})
    notes = [*model.notes, *(f"{kind} is not in the table of GPUs: its speed is a guess" for kind in kinds)]
    notes += [f"{name} is set, with which the plan does not reckon" for name in wishes.unreckoned]
    if not hosts:
        return refused(["no host offers a GPU"], ["hosts with GPUs"], notes)
    if hosts[0].name != serve_host:
        # v1/executor/ray_utils.py, _verify_bundles
        return refused([f"the serve host {serve_host} offers no GPU"], ["vllm_ray_serve_host: a host with GPUs"], notes)
    unknown = _candidates.quantization_refusals(model, wishes)
    if unknown:
        return refused(unknown, other_quantization(model, wishes), notes)
    model = wishes.loaded(model)
    if wishes.length(model) > model.context and not wishes.may_be_longer:
        # config/model.py, _get_and_verify_max_len
        found = f"max-model-len is {wishes.length(model)}, and the model was made for {model.context} tokens"
        return refused([found], [f"max-model-len: at most {model.context}"], notes)
    verdicts = weigh(model, hosts, link, wishes)
    if not verdicts:
        return refused(impossible(model, hosts, wishes), possible(model, hosts, wishes), notes)
    best = verdicts[0]
    if not best.fits:
        return refused(shortage(best), changes(model, hosts, link, wishes, best), notes)
    if wishes.partition and len(best.candidate.gpus) > 2:
        notes.append(f"{_candidates.PARTITION} goes by rank, and Ray orders the hosts after the serve host by itself")
    if best.lacking > -_memory.ERROR:
        notes.append(
            f"it fits with {gib(-best.lacking)} GiB to spare, and the reserve may be off by {gib(_memory.ERROR)}:"
            " should vLLM refuse, lower max-model-len"
        )
    others = distinct(verdicts)[1:3]
    return {
        "fits": True,
        **summary(best),
        "executor": "mp" if len(best.candidate.gpus) == 1 else "ray",
        "partition": list(best.candidate.layers) if best.candidate.own_partition else [],
        "max_model_len": best.cache.length,
        "hosts": per_host(best),
        "load": str(_speed.LOAD),
        "error": {"tokens_per_second": _speed.ERROR, "reserve_gib": round(_memory.ERROR / GIB, 1)},
        "reasons": reasons(model, hosts, link, best, others),
        "alternatives": [{**summary(other), "why_not": why_not(other, best)} for other in others],
        "better": better(model, hosts, link, wishes, best),
        "replicas": replicas(model, hosts, link, wishes, best),
        "refusals": [],
        "changes": [],
        "notes": notes,
    }


def refused(refusals: list[str], changed: list[str], notes: list[str]) -> dict[str, t.Any]:
    """Return the answer where no layout fits: why, and each change that would do."""
    return {"fits": False, "refusals": refusals, "changes": changed, "notes": notes}


def summary(verdict: Verdict) -> dict[str, t.Any]:
    """Return the sizes and figures of a layout."""
    return {
        "tp": verdict.candidate.tp,
        "pp": verdict.candidate.pp,
        "gpus": verdict.candidate.gpus,
        "kv_tokens": verdict.cache.tokens,
        "concurrency": round(verdict.cache.concurrency, 2),
        "tokens_per_second": round(verdict.rate),
    }


def per_host(verdict: Verdict) -> dict[str, t.Any]:
    """Return what a host's GPUs hold: of several stages on it, layers of each and the figures of the fullest GPU."""
    found: dict[str, t.Any] = {}
    stages = list(zip(verdict.candidate.stages, verdict.candidate.layers, verdict.memory))
    for name, count in verdict.candidate.gpus.items():
        own = [(layers, memory) for stage, layers, memory in stages if name in stage.hosts]
        fullest = min((memory for _layers, memory in own), key=lambda memory: memory.cache)
        found[name] = {
            "gpus": count,
            "layers": sum(layers for layers, _memory_ in own),
            "layers_per_stage": [layers for layers, _memory_ in own],
            "usable_gib": round(fullest.total / GIB, 2),
            "weights_gib": round(max(memory.weights for _layers, memory in own) / GIB, 2),
            "reserve_gib": round(fullest.reserve / GIB, 2),
            "kv_gib": round(fullest.cache / GIB, 2),
        }
    return found


def distinct(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Return the layouts that fit, the best of each TP size and set of hosts."""
    found: dict[tuple[object, ...], Verdict] = {}
    for verdict in verdicts:
        if verdict.fits:
            found.setdefault((verdict.candidate.tp, *verdict.candidate.gpus), verdict)
    return list(found.values())


def named(verdict: Verdict) -> str:
    """Return a layout's name for people."""
    candidate = verdict.candidate
    return f"TP={candidate.tp} PP={candidate.pp} on {plural(len(candidate.gpus), 'host')}"


def reasons(
    model: Model, hosts: Sequence[ClusterHost], link: Link, best: Verdict, others: Sequence[Verdict]
) -> list[str]:
    """Say why this layout."""
    candidate, memory = best.candidate, best.memory
    first = hosts[0]
    found = []
    rate = f"about {thousands(best.rate)} tokens/s (an estimate, give or take {_speed.ERROR:.0%}) at {_speed.LOAD}"
    if not others:
        found.append(f"{named(best)}: {rate}; no other layout fits")
    elif others[0].rate > best.rate:
        found.append(
            f"{named(best)}: {rate}; {named(others[0])} would give {thousands(others[0].rate)}, the same within what"
            " the estimate can tell, with more hosts or stages, or less room for requests"
        )
    else:
        found.append(f"{named(best)}: {rate}; the next best, {named(others[0])}, {thousands(others[0].rate)}")
    tightest = min(range(candidate.pp), key=lambda rank: memory[rank].cache)
    tight = memory[tightest]
    found.append(
        f"weights take {gib(tight.weights)} and steps {gib(tight.reserve)} of the {gib(tight.budget)} GiB that vLLM may"
        f" use of the fullest GPU; {gib(tight.cache)} GiB of KV cache hold {thousands(best.cache.tokens)} tokens, "
        f"{best.cache.concurrency:.1f} requests of {best.cache.length:,}"
    )
    spread = any(len(stage.hosts) > 1 for stage in candidate.stages)
    if spread:
        found.append(f"TP goes over hosts because tensor-parallel-size says so: every layer waits twice for {link}")
    elif len(candidate.gpus) > 1:
        found.append(
            f"stages stay on hosts, so a layer never waits for the network ({link}), only what goes from stage to stage"
            + ("" if link.rdma else "; over TCP, PP=2 was measured 2.9 times as fast as TP=2")
        )
    if candidate.tp > 1 and not spread:
        kind = "NVLink" if first.link_inside == "nvlink" else "PCIe"
        found.append(f"the {candidate.tp} GPUs of a stage share each layer over {kind}")
    if candidate.uneven:
        shares = ", ".join(f"{name} {part['layers']}" for name, part in per_host(best).items())
        found.append(f"GPUs differ, so layers go by speed as far as memory allows: {shares} of {model.layers}")
    used = candidate.gpus
    idle = [f"{host.name} {len(host.gpus) - used.get(host.name, 0)}" for host in hosts]
    idle = [entry for entry in idle if not entry.endswith(" 0")]
    if idle:
        found.append(f"GPUs left over: {', '.join(idle)}; with them the engine would be hardly faster, by the estimate")
    return found


def why_not(other: Verdict, best: Verdict) -> str:
    """Say what an alternative would be like beside the chosen layout."""
    speed = other.rate / best.rate
    room = other.cache.tokens / best.cache.tokens if best.cache.tokens else 1.0
    pace = (
        "as fast, within what the estimate can tell" if abs(speed - 1) <= _speed.CLOSE else f"{speed:.0%} of the speed"
    )
    size = f"{plural(len(other.candidate.gpus), 'host')}, {plural(other.candidate.pp, 'stage')}"
    return f"{pace}, {room:.0%} of the KV cache, {size}"


def better(model: Model, hosts: Sequence[ClusterHost], link: Link, wishes: Wishes, best: Verdict) -> list[str]:
    """Say what would make it better, each with its estimate; only what gives at least WORTH."""
    found = []
    if wishes.tp or wishes.pp or wishes.partition:
        free = weigh(model, hosts, link, replace(wishes, tp=None, pp=None, partition=()))
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


def replicas(model: Model, hosts: Sequence[ClusterHost], link: Link, wishes: Wishes, best: Verdict) -> dict[str, t.Any]:
    """Return what several engines, each within a host, would give together; empty where that is not worth it."""
    found: dict[str, t.Any] = {}
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
            sized = {"engines": count, "tp": candidate.tp, "pp": candidate.pp}
            found = {**sized, "kv_tokens": room * count, "tokens_per_second": round(rate)}
    return found


def other_quantization(model: Model, wishes: Wishes) -> list[str]:
    """Say what to do about a quantisation that vLLM refuses."""
    if not model.quantization:
        return [f"quantization: {FP8}, or without it"]
    if wishes.quantization and not _candidates.quantization_refusals(model, replace(wishes, quantization="")):
        return ["without quantization: vLLM finds it in the model's config.json"]
    if model.quantization in _candidates.DEPRECATED:
        return ["allow-deprecated-quantization: true"]
    return [f"the model in a format that vLLM knows (AWQ, GPTQ, FP8), or unquantised with quantization: {FP8}"]


def impossible(model: Model, hosts: Sequence[ClusterHost], wishes: Wishes) -> list[str]:
    """Say why no layout can be made of the sizes that are set."""
    tp, pp = wishes.tp, wishes.pp or len(wishes.partition) or None
    found = _candidates.tp_refusals(model, tp, wishes, _candidates.all_fp8(hosts)) if tp else []
    found += _candidates.pp_refusals(model, pp, wishes) if pp else []
    total = sum(len(host.gpus) for host in hosts)
    offered = ", ".join(f"{host.name} {len(host.gpus)}" for host in hosts)
    if (tp or 1) * (pp or 1) > total:
        found.append(
            f"TP={tp or 1} x PP={pp or 1} needs {(tp or 1) * (pp or 1)} GPUs and {total} are on offer ({offered})"
        )
    elif not found and tp and tp > len(hosts[0].gpus):
        found.append(f"the serve host {hosts[0].name} has {plural(len(hosts[0].gpus), 'GPU')} for a stage of {tp}")
    elif not found:
        found.append(f"TP={tp or 'any'} x PP={pp or 'any'} can't be placed on whole stages ({offered})")
    return found


def possible(model: Model, hosts: Sequence[ClusterHost], wishes: Wishes) -> list[str]:
    """Say which sizes vLLM would accept."""
    largest = max(len(host.gpus) for host in hosts)
    fp8 = _candidates.all_fp8(hosts)
    sizes = [tp for tp in range(1, largest + 1) if not _candidates.tp_refusals(model, tp, wishes, fp8)]
    found = [f"tensor-parallel-size: one of {', '.join(map(str, sizes))}"]
    if wishes.partition:
        found.append(f"{_candidates.PARTITION} with a number for each stage, {model.layers} in all; or without it")
    if wishes.pp:
        found.append(f"pipeline-parallel-size: at most {min(model.layers, sum(len(host.gpus) for host in hosts))}")
    return found


def shortage(best: Verdict) -> list[str]:
    """Say what the nearest layout lacks, with numbers."""
    if best.crowded:
        return best.crowded
    rank = max(range(best.candidate.pp), key=lambda rank: best.needs(rank) - best.memory[rank].budget)
    memory = best.memory[rank]
    where = ", ".join(best.candidate.stages[rank].hosts)
    parts = f"weights {gib(memory.weights)}, reserve {gib(memory.reserve)}"
    needed = gib(memory.weights + memory.reserve)
    if memory.cache > 0:
        needed = gib(best.needs(rank))
        parts += f", one request of {best.cache.length:,} tokens {gib(best.cache.request[rank])}"
    return [f"{named(best)} needs {needed} GiB per GPU on {where} ({parts}), and vLLM may use {gib(memory.budget)}"]


def changes(model: Model, hosts: Sequence[ClusterHost], link: Link, wishes: Wishes, best: Verdict) -> list[str]:
    """Return the changes that would fit, each alone, the smallest first; each was reckoned."""

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
    unbound = replace(wishes, tp=None, pp=None, partition=())
    if unbound != wishes:
        free = fit(unbound)
        if free:
            found.append(f"without the sizes that are set: {named(free)}")
    if not model.quantization:
        small = replace(model, layer_bytes=tuple(size * CHECKPOINT_BITS // 16 for size in model.layer_bytes))
        if fit(replace(wishes, quantization=FP8)):
            found.append(f"quantization: {FP8} (halves the layers; compare its answers first)")
        elif fit(wishes, stored=small):
            found.append("a checkpoint in 4 bit (AWQ, GPTQ)")
    count, words = more_hosts(hosts, lambda offered: bool(fit(wishes, offered))), ""
    if not count and not found and unbound != wishes:
        count, words = (
            more_hosts(hosts, lambda offered: bool(fit(unbound, offered))),
            ", without the sizes that are set",
        )
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
