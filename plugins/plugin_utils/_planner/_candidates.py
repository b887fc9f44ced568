# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All layouts of an engine that vLLM accepts on a set of hosts. PRIVATE to the collection.

Names of files are of vLLM 0.32.0 (below vllm/).
"""

from __future__ import annotations

import heapq
import typing as t
from dataclasses import dataclass
from math import gcd

from ansible_collections.vllm_ray.cluster.plugins.module_utils._models._quantization import DEPRECATED, KNOWN
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner import _memory
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._wishes import AUTO, PARTITION

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._models._model_config import Model
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._hardware import ClusterHost, Gpu
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._wishes import Wishes

RELEASE = "vLLM 0.32"
# Names of `--quantization` by which a checkpoint can be loaded, besides its own.
SAME = {
    "awq": ("auto_awq", "awq_marlin"),
    "gptq": ("auto_gptq", "gptq_marlin"),
}
# Their classes in models/*.py give each rank kv_heads // tp KV heads: none where TP is larger.
OWN_KEYS = frozenset(("GptOssForCausalLM", "HrmTextForCausalLM"))
# vLLM pads these to whole groups (layers/quantization/mxfp4.py, maybe_roundup_sizes).
PADDED = frozenset(("mxfp4", "gpt_oss_mxfp4"))
# The finest blocks into which it cuts the FP8 scales of experts, with Triton, so on GPUs with FP8.
FINEST_BLOCK = 32
# These can't be cut into stages: their classes in models/*.py lack SupportsPP (config/model.py,
# verify_with_parallel_config).
NO_STAGES = frozenset(
    {
        "Gemma3nForCausalLM",
        "Gemma3nForConditionalGeneration",
        "HrmTextForCausalLM",
        "IQuestLoopCoderForCausalLM",
        "Mamba2ForCausalLM",
        "Zamba2ForCausalLM",
    }
)


@dataclass(frozen=True)
class Stage:
    """One pipeline stage: the host and GPU of each of its TP ranks."""

    ranks: tuple[tuple[str, Gpu], ...]

    @property
    def gpus(self) -> list[Gpu]:
        return [gpu for _host, gpu in self.ranks]

    @property
    def hosts(self) -> list[str]:
        return list(dict.fromkeys(host for host, _gpu in self.ranks))

    @property
    def kind(self) -> tuple[object, ...]:
        """What makes stages alike: the least memory and the least speed among its GPUs."""
        return (min(gpu.usable for gpu in self.gpus), *self.speed)

    @property
    def speed(self) -> tuple[float, float]:
        """Bytes/s and FLOP/s of its slowest GPU."""
        return min(gpu.speed[0] for gpu in self.gpus), min(gpu.speed[1] for gpu in self.gpus)


@dataclass(frozen=True)
class Candidate:
    """A layout: stages in the order of ranks if hosts keep the order given here, serve host first, and their layers.

    own_partition: whether layers go with hosts, so that VLLM_PP_LAYER_PARTITION must be set in the order of ranks.
    """

    tp: int
    stages: tuple[Stage, ...]
    layers: tuple[int, ...]
    own_partition: bool = False

    @property
    def pp(self) -> int:
        return len(self.stages)

    @property
    def gpus(self) -> dict[str, int]:
        """GPUs of each host, serve host first."""
        counts: dict[str, int] = {}
        for stage in self.stages:
            for host, _gpu in stage.ranks:
                counts[host] = counts.get(host, 0) + 1
        return counts

    @property
    def uneven(self) -> bool:
        """Whether the stages' GPUs differ."""
        return len({stage.kind for stage in self.stages}) > 1


def quantization_refusals(model: Model, wishes: Wishes) -> list[str]:
    """Return why vLLM would refuse the quantisation of a model, or the requested one (config/model.py,
    _verify_quantization). model: as it is stored."""
    found = []
    for name, what in ((model.quantization, "the model is quantised by"), (wishes.quantization, "quantization is")):
        if name and name not in KNOWN:
            found.append(f"{what} {name}, which {RELEASE} does not know")
        elif name in DEPRECATED and not wishes.deprecated:
            found.append(f"{what} {name}, which {RELEASE} accepts only with allow-deprecated-quantization")
    own = {model.quantization, *SAME.get(model.quantization, ())}
    if not found and model.quantization and wishes.quantization and wishes.quantization not in own:
        found.append(f"quantization is {wishes.quantization}, and the model is quantised by {model.quantization}")
    return found


def tp_refusals(model: Model, tp: int, wishes: Wishes, fp8: bool = False) -> list[str]:
    """Return why vLLM would refuse a TP size for this model, empty where it would not.

    fp8: whether all GPUs compute in FP8.
    """
    found = []

    def must(holds: bool, what: str) -> None:
        if not holds:
            found.append(what)

    # config/model.py, verify_with_parallel_config
    must(model.heads % tp == 0, f"{model.heads} attention heads can't be divided by {tp}")
    # layers/linear.py, QKVParallelLinear; MLA has no KV heads to divide
    whole = tp % model.kv_heads == 0 if tp >= model.kv_heads else model.kv_heads % tp == 0
    must(model.mla or whole, f"{model.kv_heads} KV heads and TP={tp}: one must divide the other")
    copied = tp > model.kv_heads and model.architecture in OWN_KEYS
    must(not copied, f"{model.architecture} can't repeat its {model.kv_heads} KV heads for TP={tp}")
    # layers/vocab_parallel_embedding.py
    rows = _memory.padded_vocabulary(model)
    must(rows % tp == 0, f"the padded vocabulary of {rows} can't be divided by {tp}")
    # layers/linear.py, MergedColumnParallelLinear and RowParallelLinear; with expert parallelism an expert stays whole
    widths = set(model.intermediates)
    if wishes.expert_parallel and model.experts:
        widths -= {min(widths)}
    for width in sorted(widths):
        must(width % tp == 0, f"an MLP's width of {width} can't be divided by {tp}")
    return found + (group_refusals(model, tp, widths, fp8) if tp > 1 and model.group_size else [])


def group_refusals(model: Model, tp: int, widths: set[int], fp8: bool) -> list[str]:
    """Return which scales a TP size would cut: those that several inputs share must stay whole.

    vLLM refuses it (distributed/utils.py, verify_group_size_divides_partition; quantization/auto_awq.py;
    quantization/utils/fp8_utils.py, validate_fp8_block_shape), or with AutoGPTQ on Machete loads the wrong scales.
    """
    if model.quantization in PADDED:
        return []
    found = []
    expert = min(model.intermediates) if model.experts else 0
    for width in sorted(widths if model.mla else widths | {model.heads * model.head_dim}):
        share, group = width // tp, model.group_size
        if width == expert and model.quantization == "fp8" and fp8:
            # layers/fused_moe/oracle/fp8.py, refine_fp8_moe_block_shape
            fine = gcd(group, share, model.hidden)
            group = fine if fine >= FINEST_BLOCK else group
        if width % tp == 0 and share % group:
            found.append(f"{width} / {tp} = {share} is not a multiple of the quantisation's group of {group}")
    keys = max(1, model.kv_heads // tp) * model.head_dim
    if model.quantization == "fp8" and not model.mla and keys % model.group_size:
        # vLLM lets it pass (layers/linear.py, _maybe_allow_fp8_block_shape_mismatch); keys and values would share a
        # scale.
        found.append(f"{keys} rows of keys on a GPU are not a multiple of the FP8 block of {model.group_size}")
    return found


def pp_refusals(model: Model, pp: int, wishes: Wishes) -> list[str]:
    """Return why vLLM would refuse a PP size for this model, empty where it would not."""
    found = []
    if pp > 1 and model.architecture in NO_STAGES:
        found.append(f"{model.architecture} can't be cut into pipeline stages")
    if pp > model.layers:
        found.append(f"{model.layers} layers are fewer than {pp} stages")
    if wishes.partition:
        # distributed/utils.py, get_pp_indices
        listed = f"{PARTITION}={','.join(map(str, wishes.partition))}"
        if len(wishes.partition) != pp:
            found.append(f"{listed} has {len(wishes.partition)} stages, not {pp}")
        if sum(wishes.partition) != model.layers:
            found.append(f"{listed} has {sum(wishes.partition)} layers, the model {model.layers}")
        if min(wishes.partition) < 1:
            found.append(f"{listed} has a stage without layers")
    return found


def stages_of(hosts: Sequence[ClusterHost], tp: int) -> list[Stage]:
    """Cut hosts into stages of tp GPUs each, a stage within a host; over hosts only where no host has as many GPUs.

    Ranks fill hosts in blocks (v1/executor/ray_utils.py, get_bundles_sorted_by_node), so a host that gives a multiple
    of tp GPUs keeps its stages to itself.
    """
    cut = []
    if any(len(host.gpus) >= tp for host in hosts):
        for host in hosts:
            ranks = [(host.name, gpu) for gpu in host.gpus]
            cut += [ranks[start : start + tp] for start in range(0, len(ranks) - tp + 1, tp)]
    else:
        ranks = [(host.name, gpu) for host in hosts for gpu in host.gpus]
        cut = [ranks[start : start + tp] for start in range(0, len(ranks) - tp + 1, tp)]
    return [Stage(tuple(ranks)) for ranks in cut]


def stage_counts(stages: Sequence[Stage], wishes: Wishes) -> list[int]:
    """Return the PP sizes to weigh: any number on the serve host, then whole hosts; or the one that is set."""
    if wishes.pp or wishes.partition:
        return [wishes.pp or len(wishes.partition)]
    counts = []
    for number, stage in enumerate(stages, 1):
        alone = stage.hosts == stages[0].hosts
        full = number == len(stages) or stages[number].hosts != stage.hosts
        if alone or full:
            counts.append(number)
    return counts


def all_fp8(hosts: Sequence[ClusterHost]) -> bool:
    """Whether all GPUs compute in FP8."""
    return all(gpu.fp8 for host in hosts for gpu in host.gpus)


def candidates(model: Model, hosts: Sequence[ClusterHost], wishes: Wishes) -> Iterator[Candidate]:
    """Yield the layouts to weigh. hosts: the serve host first; it takes part in all of them, as vLLM demands.

    TP goes over hosts only where the user sets a TP size that no host has GPUs for.
    """
    largest = max((len(host.gpus) for host in hosts), default=0)
    first, others = hosts[0], list(hosts[1:])
    # With fewer hosts than there are, the largest first is worth a try.
    orders = [[first, *others], [first, *sorted(others, key=lambda host: -sum(gpu.usable for gpu in host.gpus))]]
    seen = set()
    for tp in [wishes.tp] if wishes.tp else range(1, largest + 1):
        if tp_refusals(model, tp, wishes, fp8=True):
            continue
        coarse = bool(tp_refusals(model, tp, wishes))
        for order in orders:
            every = stages_of(order, tp)
            for pp in stage_counts(every, wishes):
                stages = tuple(every[:pp])
                if len(stages) < pp or first.name not in stages[0].hosts or pp_refusals(model, pp, wishes):
                    continue
                if coarse and not all(gpu.fp8 for stage in stages for gpu in stage.gpus):
                    continue
                for candidate in partitioned(model, tp, stages, wishes):
                    if candidate not in seen:
                        seen.add(candidate)
                        yield candidate


def partitioned(model: Model, tp: int, stages: tuple[Stage, ...], wishes: Wishes) -> Iterator[Candidate]:
    """Yield the partitions to weigh: the user's, vLLM's own for GPUs that are alike, or balanced ones."""
    if wishes.partition:
        yield Candidate(tp, stages, wishes.partition)
        return
    if len({stage.kind for stage in stages}) == 1:
        yield Candidate(tp, stages, _memory.even_partition(model.layers, len(stages)))
        return
    length = model.usual_context if wishes.length(model) == AUTO else wishes.length(model)
    # From the fastest that holds one long request to the one with the most room.
    for tokens in (0, length, 4 * length, 16 * length, 64 * length, 256 * length):
        balanced = balance(model, tp, stages, wishes, tokens)
        if balanced:
            yield Candidate(tp, stages, balanced, own_partition=True)


def balance(model: Model, tp: int, stages: Sequence[Stage], wishes: Wishes, tokens: int) -> tuple[int, ...] | None:
    """Give each stage layers by its speed, as far as its memory holds them with `tokens` tokens of KV cache.

    Layer by layer, to the stage that is done soonest with one more: so the slowest stage, which sets the pace, is as
    fast as can be. Layers are taken as equal; what comes out is computed exactly afterwards. None where they don't fit.
    """
    pp = len(stages)
    # One block is vLLM's own, and a request's last one is seldom full.
    kept = tokens + 2 * (_memory.BLOCK_MLA if model.mla else _memory.BLOCK)
    per_layer = sum(_memory.cache_bytes(model, tp, wishes)) / model.layers * kept
    room = []
    for rank, stage in enumerate(stages):
        # Any host but the serve host may come last in Ray's order, so its last stage may hold lm_head.
        last = rank == pp - 1 or (stages[rank + 1].hosts != stage.hosts and stage.hosts != stages[0].hosts)
        one = _memory.Part(0, 1, rank == 0, last)
        memory = _memory.stage_memory(model, tp, one, stage.gpus, stages[0].gpus[0], wishes)
        mean = sum(model.layer_bytes) / model.layers
        step = mean / tp + _memory.replicated(model, model.layers - 1, tp) + per_layer + memory.graphs
        ends = memory.weights - model.layer_bytes[0] / tp + memory.peak + _memory.OTHER
        room.append(int((memory.budget - ends) // step))
    if min(room) < 1 or sum(room) < model.layers:
        return None
    layers = [1] * pp
    seconds = [1 / stage.speed[0] for stage in stages]
    waiting = [(2 * seconds[rank], rank) for rank in range(pp) if room[rank] > 1]
    heapq.heapify(waiting)
    for _layer in range(model.layers - pp):
        _time, rank = heapq.heappop(waiting)
        layers[rank] += 1
        if layers[rank] < room[rank]:
            heapq.heappush(waiting, ((layers[rank] + 1) * seconds[rank], rank))
    return tuple(layers)
