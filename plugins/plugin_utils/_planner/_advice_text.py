# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts about layouts: why one was chosen, why another was not, and what prevents it. PRIVATE.

Sentences only: nothing is weighed or chosen here.
"""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ansible_collections.vllm_ray.cluster.plugins.module_utils._models import _quantization
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner import _candidates, _memory, _speed, _wishes
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._hardware import GIB

if t.TYPE_CHECKING:
    from collections.abc import Sequence

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._models._model_config import Model
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._hardware import ClusterHost, Link
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._weigh import Verdict
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._wishes import Wishes

# What vLLM can do to any model while it loads.
FP8 = "fp8_per_tensor"


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


def named(verdict: Verdict) -> str:
    """Return a layout's name for people."""
    candidate = verdict.candidate
    return f"TP={candidate.tp} PP={candidate.pp} on {plural(len(candidate.gpus), 'host')}"


def reasons(
    model: Model,
    hosts: Sequence[ClusterHost],
    link: Link,
    wishes: Wishes,
    verdicts: Sequence[Verdict],
    others: Sequence[Verdict],
) -> list[str]:
    """Say why the first of the verdicts. others: the next best."""
    best = verdicts[0]
    found = [choice(best, others), memory(best)]
    candidate = best.candidate
    spread = any(len(stage.hosts) > 1 for stage in candidate.stages)
    if spread:
        found.append(f"TP spans hosts because tensor-parallel-size is set: every layer waits twice for {link}")
    elif len(candidate.gpus) > 1:
        found.append(
            f"stages stay on hosts, so a layer never waits for the network ({link}), only what goes from stage to stage"
            + ("" if link.rdma else "; over TCP, PP=2 was measured 2.9 times as fast as TP=2")
        )
    if candidate.tp > 1 and not spread:
        kind = "NVLink" if hosts[0].link_inside == "nvlink" else "PCIe"
        found.append(f"the {candidate.tp} GPUs of a stage share each layer over {kind}")
    if candidate.uneven:
        layers = dict.fromkeys(candidate.gpus, 0)
        for stage, count in zip(candidate.stages, candidate.layers):
            for name in stage.hosts:
                layers[name] += count
        shares = ", ".join(f"{name} {count}" for name, count in layers.items())
        found.append(f"GPUs differ, so layers go by speed as far as memory allows: {shares} of {model.layers}")
    return found + left_over(model, hosts, wishes, verdicts)


def choice(best: Verdict, others: Sequence[Verdict]) -> str:
    """Say how fast a layout is beside the next best."""
    rate = f"about {thousands(best.rate)} tokens/s (an estimate, give or take {_speed.ERROR:.0%}) at {_speed.LOAD}"
    if not others:
        return f"{named(best)}: {rate}; no other layout fits"
    if others[0].rate > best.rate:
        return (
            f"{named(best)}: {rate}; {named(others[0])} would give {thousands(others[0].rate)}, the same within"
            " the error of the estimate, but with more hosts or stages, or less room for requests"
        )
    return f"{named(best)}: {rate}; the next best, {named(others[0])}, {thousands(others[0].rate)}"


def memory(best: Verdict) -> str:
    """Say what the fullest GPU of a layout holds."""
    tight = min(best.memory, key=lambda memory: memory.cache)
    return (
        f"weights take {gib(tight.weights)} and steps {gib(tight.reserve)} of the {gib(tight.budget)} GiB that vLLM may"
        f" use of the fullest GPU; {gib(tight.cache)} GiB of KV cache hold {thousands(best.cache.tokens)} tokens, "
        f"{best.cache.concurrency:.1f} requests of {best.cache.length:,}"
    )


def left_over(model: Model, hosts: Sequence[ClusterHost], wishes: Wishes, verdicts: Sequence[Verdict]) -> list[str]:
    """Say which GPUs the first of the verdicts leaves alone, and why: hosts by reason."""
    used = verdicts[0].candidate.gpus
    by_reason: dict[str, list[str]] = {}
    for host in hosts:
        idle = len(host.gpus) - used.get(host.name, 0)
        if idle:
            reason = why_idle(model, hosts, host, wishes, verdicts)
            by_reason.setdefault(reason, []).append(f"{host.name} {idle}")
    return [f"GPUs left over: {', '.join(idle)}; {reason}" for reason, idle in by_reason.items()]


def why_idle(
    model: Model, hosts: Sequence[ClusterHost], host: ClusterHost, wishes: Wishes, verdicts: Sequence[Verdict]
) -> str:
    """Say why the first of the verdicts does not use all GPUs of a host."""
    best = verdicts[0]
    taken = best.candidate.gpus.get(host.name, 0)
    more = [verdict for verdict in verdicts if verdict.candidate.gpus.get(host.name, 0) > taken]
    if not more and wishes.sizes:
        return f"the sizes that are set ({wishes.sizes}) leave no place for them"
    # A stage can't take all GPUs of a host that gives some of them.
    undivided = _candidates.tp_refusals(model, len(host.gpus), wishes)[:1] if taken else []
    rates = [verdict.rate for verdict in more if verdict.fits]
    if rates:
        gain = "hardly" if max(rates) > best.rate else "no"
        return ", and ".join([*undivided, f"with them the engine would be {gain} faster, by the estimate"])
    # Where a model can be cut into any number of stages, one on each GPU is a layout.
    uncut = _candidates.pp_refusals(model, sum(len(each.gpus) for each in hosts), wishes)[:1]
    if more or not uncut:
        return "no layout with them fits the memory"
    return ", and ".join([*undivided, *uncut])


def why_not(other: Verdict, best: Verdict) -> str:
    """Say what an alternative would be like beside the chosen layout."""
    speed = other.rate / best.rate
    room = other.cache.tokens / best.cache.tokens if best.cache.tokens else 1.0
    pace = (
        "as fast, within the error of the estimate" if abs(speed - 1) <= _speed.CLOSE else f"{speed:.0%} of the speed"
    )
    size = f"{plural(len(other.candidate.gpus), 'host')}, {plural(other.candidate.pp, 'stage')}"
    return f"{pace}, {room:.0%} of the KV cache, {size}"


def shortage(best: Verdict) -> list[str]:
    """Say what the nearest layout lacks, with numbers."""
    if best.crowded:
        share = best.memory[0].budget / best.memory[0].total
        found = [
            f"a GPU of {host} has {gib(gpu.free)} GiB free, but vLLM needs {gib(gpu.usable * share)}"
            for host, gpu in best.crowded
        ]
        return list(dict.fromkeys(found))
    rank = max(range(best.candidate.pp), key=lambda rank: best.needs[rank] - best.memory[rank].budget)
    memory = best.memory[rank]
    where = ", ".join(best.candidate.stages[rank].hosts)
    parts = f"weights {gib(memory.weights)}, reserve {gib(memory.reserve)}"
    needed = gib(memory.weights + memory.reserve)
    if memory.cache > 0:
        needed = gib(best.needs[rank])
        parts += f", one request of {best.cache.length:,} tokens {gib(best.cache.request[rank])}"
    return [f"{named(best)} needs {needed} GiB per GPU on {where} ({parts}), and vLLM may use {gib(memory.budget)}"]


def narrow(best: Verdict) -> str:
    """Say that a layout fits by less than the estimate may be off."""
    return (
        f"it fits with {gib(-best.lacking)} GiB to spare, and the estimated reserve may be off by {gib(_memory.ERROR)}:"
        " if vLLM refuses to start, lower max-model-len"
    )


def close(best: Verdict) -> str:
    """Say that a layout misses by less than the estimate may be off."""
    return (
        f"that is {gib(best.lacking)} GiB too much, and the reserve may be off by {gib(_memory.ERROR)}, so vLLM may"
        " still start"
    )


def impossible(model: Model, hosts: Sequence[ClusterHost], wishes: Wishes) -> list[str]:
    """Say why no layout can be made of the sizes that are set."""
    tp, pp = wishes.tp, wishes.pp or len(wishes.partition) or None
    found = _candidates.tp_refusals(model, tp, wishes, _candidates.all_fp8(hosts)) if tp else []
    found += _candidates.pp_refusals(model, pp, wishes) if pp else []
    total = sum(len(host.gpus) for host in hosts)
    offered = ", ".join(f"{host.name} {len(host.gpus)}" for host in hosts)
    if (tp or 1) * (pp or 1) > total:
        found.append(
            f"TP={tp or 1} x PP={pp or 1} needs {(tp or 1) * (pp or 1)} GPUs and {total} are available ({offered})"
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
        found.append(f"{_wishes.PARTITION} with a number for each stage, {model.layers} in all; or without it")
    if wishes.pp:
        found.append(f"pipeline-parallel-size: at most {min(model.layers, sum(len(host.gpus) for host in hosts))}")
    return found


def other_quantization(model: Model, wishes: Wishes) -> list[str]:
    """Say what to do about a quantisation that vLLM refuses."""
    if not model.quantization:
        return [f"quantization: {FP8}, or without it"]
    if wishes.quantization and not _candidates.quantization_refusals(model, replace(wishes, quantization="")):
        return ["without quantization: vLLM finds it in the model's config.json"]
    if model.quantization in _quantization.DEPRECATED:
        return ["allow-deprecated-quantization: true"]
    return [f"the model in a format that vLLM knows (AWQ, GPTQ, FP8), or unquantised with quantization: {FP8}"]
