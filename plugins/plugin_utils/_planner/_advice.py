# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choose the layout of an engine and say why; or say why none fits and what would. PRIVATE to the collection.

advise() takes the best of all layouts that vLLM accepts (_weigh). Sizes that the user set are kept. What it returns is
plain data for the plan; the sentences in it are _advice_text's.
"""

from __future__ import annotations

import typing as t

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner import (
    _advice_text,
    _candidates,
    _changes,
    _memory,
    _speed,
    _weigh,
    _wishes,
)
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._hardware import GIB

if t.TYPE_CHECKING:
    from collections.abc import Sequence

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._models._model_config import Model
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._changes import Replicas
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._hardware import ClusterHost, Link
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._weigh import Verdict
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._wishes import Wishes


class Figures(t.TypedDict):
    """Sizes and figures of a layout. gpus: of each host, the serve host first; tokens_per_second: an estimate."""

    tp: int
    pp: int
    gpus: dict[str, int]
    kv_tokens: int
    concurrency: float
    tokens_per_second: int


class Alternative(Figures):
    """A layout that was not chosen."""

    why_not: str


class Part(t.TypedDict):
    """What the GPUs of a host hold. layers_per_stage: of the stages on it; GiB: of its fullest GPU."""

    gpus: int
    layers: int
    layers_per_stage: list[int]
    usable_gib: float
    weights_gib: float
    reserve_gib: float
    kv_gib: float


class Advice(t.TypedDict, total=False):
    """What the planner says, ready for JSON; empty where it could not compute one.

    Where fits is false, refusals say why, and changes what would do, each alone. close is not empty where sizes that
    the user set miss by less than the estimate may be off: then, too, there is a layout (tp to hosts), and close says
    how narrow it is. notes: what was guessed. Lengths in tokens.
    """

    fits: bool
    close: str
    refusals: list[str]
    changes: list[str]
    notes: list[str]
    tp: int
    pp: int
    gpus: dict[str, int]
    kv_tokens: int
    concurrency: float
    tokens_per_second: int
    executor: str
    partition: list[int]
    max_model_len: int
    hosts: dict[str, Part]
    load: str
    error: dict[str, float]
    reasons: list[str]
    alternatives: list[Alternative]
    better: list[str]
    replicas: Replicas


def advise(model: Model, hosts: Sequence[ClusterHost], link: Link, wishes: Wishes) -> Advice:
    """Return the layout for an engine, with reasons, alternatives and what would be better; or refusals.

    hosts: what each offers to the engine, the serve host first. link: between hosts.
    """
    serve_host = hosts[0].name if hosts else ""
    hosts = [host for host in hosts if host.gpus]
    kinds = sorted({gpu.model for host in hosts for gpu in host.gpus if not gpu.known})
    notes = [*model.notes, *(f"{kind} is not in the table of GPUs: its speed is a guess" for kind in kinds)]
    notes += [f"{name} is set, but the plan does not take it into account" for name in wishes.unreckoned]
    if not hosts:
        return refused(["no host offers a GPU"], ["hosts with GPUs"], notes)
    if hosts[0].name != serve_host:
        # v1/executor/ray_utils.py, _verify_bundles
        return refused([f"the serve host {serve_host} offers no GPU"], ["vllm_ray_serve_host: a host with GPUs"], notes)
    unknown = _candidates.quantization_refusals(model, wishes)
    if unknown:
        return refused(unknown, _advice_text.other_quantization(model, wishes), notes)
    model = wishes.loaded(model)
    if wishes.length(model) > model.context and not wishes.may_be_longer:
        # config/model.py, _get_and_verify_max_len
        found = f"max-model-len is {wishes.length(model)}, and the model was made for {model.context} tokens"
        return refused([found], [f"max-model-len: at most {model.context}"], notes)
    verdicts = _weigh.weigh(model, hosts, link, wishes)
    if not verdicts:
        impossible = _advice_text.impossible(model, hosts, wishes)
        return refused(impossible, _advice_text.possible(model, hosts, wishes), notes)
    best = verdicts[0]
    if not best.fits:
        answer = refused(_advice_text.shortage(best), _changes.that_fit(model, hosts, link, wishes, best), notes)
        # Where the sizes are ours, there is a safer choice, or none that we should make.
        near = wishes.sizes and not best.crowded and best.lacking <= _memory.ERROR
        return {**answer, **layout(best), "close": _advice_text.close(best)} if near else answer
    if wishes.partition and len(best.candidate.gpus) > 2:
        notes.append(
            f"{_wishes.PARTITION} assigns layers by rank, and Ray itself orders the hosts after the serve host"
        )
    if best.lacking > -_memory.ERROR:
        notes.append(_advice_text.narrow(best))
    others = _weigh.distinct(verdicts)[1:3]
    return {
        "fits": True,
        "close": "",
        **layout(best),
        "load": str(_speed.LOAD),
        "error": {"tokens_per_second": _speed.ERROR, "reserve_gib": round(_memory.ERROR / GIB, 1)},
        "reasons": _advice_text.reasons(model, hosts, link, wishes, verdicts, others),
        "alternatives": [{**figures(other), "why_not": _advice_text.why_not(other, best)} for other in others],
        "better": _changes.better(model, hosts, link, wishes, best),
        "replicas": _changes.replicas(model, hosts, link, wishes, best),
        "refusals": [],
        "changes": [],
        "notes": notes,
    }


def refused(refusals: list[str], changed: list[str], notes: list[str]) -> Advice:
    """Return the answer where no layout fits: why, and each change that would do."""
    return {"fits": False, "close": "", "refusals": refusals, "changes": changed, "notes": notes}


def figures(verdict: Verdict) -> Figures:
    """Return the sizes and figures of a layout."""
    return {
        "tp": verdict.candidate.tp,
        "pp": verdict.candidate.pp,
        "gpus": verdict.candidate.gpus,
        "kv_tokens": verdict.cache.tokens,
        "concurrency": round(verdict.cache.concurrency, 2),
        "tokens_per_second": round(verdict.rate),
    }


def layout(verdict: Verdict) -> Advice:
    """Return a layout, ready to be used."""
    own = figures(verdict)
    return {
        "tp": own["tp"],
        "pp": own["pp"],
        "gpus": own["gpus"],
        "kv_tokens": own["kv_tokens"],
        "concurrency": own["concurrency"],
        "tokens_per_second": own["tokens_per_second"],
        "executor": "mp" if len(verdict.candidate.gpus) == 1 else "ray",
        "partition": list(verdict.candidate.layers) if verdict.candidate.own_partition else [],
        "max_model_len": verdict.cache.length,
        "hosts": per_host(verdict),
    }


def per_host(verdict: Verdict) -> dict[str, Part]:
    """Return what a host's GPUs hold: of several stages on it, layers of each and the figures of the fullest GPU."""
    found: dict[str, Part] = {}
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
