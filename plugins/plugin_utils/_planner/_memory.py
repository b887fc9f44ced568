# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory of an engine: weights, reserves and KV cache of each GPU, as vLLM will count it. PRIVATE to the collection.

Names of files are of vLLM 0.32.0 (below vllm/). vLLM gives the KV cache what is left of its share of a GPU:

    utilization x total - weights - peak of a forward pass - CUDA graphs - what else was allocated
    (v1/worker/gpu_worker.py, determine_available_memory; v1/worker/utils.py, request_memory)

NCCL's first buffers and the CUDA context are allocated before vLLM starts to count, so they are in the part that it
does not use. Weights and KV bytes follow from shapes; the peak, the graphs and the rest are estimates: ERROR.
"""

from __future__ import annotations

import typing as t
from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._hardware import GIB, MIB
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._wishes import AUTO

if t.TYPE_CHECKING:
    from collections.abc import Sequence

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._models._model_config import Model
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._hardware import Gpu
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._wishes import Wishes

# Tokens of a block of the KV cache (config/cache.py, DEFAULT_BLOCK_SIZE), and of FlashMLA's (64).
BLOCK, BLOCK_MLA = 16, 64
# The vocabulary is padded to a multiple of it (layers/vocab_parallel_embedding.py, DEFAULT_VOCAB_PADDING_SIZE).
VOCABULARY_PADDING = 64
# Tiles of the width and the hidden size of experts in MXFP4, for Marlin and TRTLLM (layers/fused_moe/oracle/mxfp4.py,
# mxfp4_round_up_hidden_size_and_intermediate_size).
EXPERT_TILE = (128, 256)
# Allocated besides weights and peak (cuBLAS, attention and sampler workspaces, NCCL's later buffers). Two H200s with
# vLLM 0.24 in eager mode left 0.1 to 0.2 GiB unexplained; newer releases and TP allocate more.
OTHER = int(0.3 * GIB)
# A CUDA graph of one layer. vLLM 0.22 printed 0.37 GiB for 54 graphs of 28 layers (Qwen2.5-7B, 0.25 MiB) and 0.64 GiB
# for 86 of 32 layers (Qwen3.5-4B, 0.24 MiB). What vLLM 0.24 allocated on H200s was 0.17 (Mixtral, Llama 70B with TP=2)
# to 0.42 MiB (Llama 70B with PP=2); its newer model runner did so without leaving room for it, 0.32's leaves room.
GRAPH = int(0.25 * MIB)
# Sizes of steps that graphs are made for, up to a largest one (config/vllm.py, _set_cudagraph_sizes).
GRAPH_SIZES = (1, 2, 4, *range(8, 256, 8), *range(256, 1025, 16))
# How far the reserve (peak, graphs, rest) may be off, in bytes per GPU.
ERROR = int(0.6 * GIB)

# These build the embedding (and lm_head) on every stage; others on the first and the last alone: read from
# models/*.py, where VocabParallelEmbedding is not under `if get_pp_group().is_first_rank`.
ENDS_EVERYWHERE = frozenset(
    {
        "CohereForCausalLM",
        "Cohere2ForCausalLM",
        "DbrxForCausalLM",
        "FalconForCausalLM",
        "GemmaForCausalLM",
        "Gemma2ForCausalLM",
        "Gemma3ForCausalLM",
        "Gemma3ForConditionalGeneration",
        "Gemma4ForCausalLM",
        "Gemma4ForConditionalGeneration",
        "GptOssForCausalLM",
        "GraniteMoeForCausalLM",
        "MixtralForCausalLM",
        "OlmoeForCausalLM",
        "PhiMoEForCausalLM",
        "Qwen2MoeForCausalLM",
        "Qwen3MoeForCausalLM",
        "Qwen3NextForCausalLM",
        "StableLmForCausalLM",
    }
)


@dataclass(frozen=True)
class Part:
    """The layers of a stage, and whether it is the engine's first or last."""

    start: int
    end: int
    first: bool
    last: bool

    @property
    def layers(self) -> int:
        return self.end - self.start


@dataclass(frozen=True)
class Memory:
    """The memory of one GPU of a stage, in bytes."""

    total: int
    budget: int
    weights: int
    peak: int
    graphs: int

    @property
    def reserve(self) -> int:
        return self.peak + self.graphs + OTHER

    @property
    def cache(self) -> int:
        """Bytes left for the KV cache; negative where something is missing."""
        return self.budget - self.weights - self.reserve


@dataclass(frozen=True)
class Cache:
    """The KV cache of an engine, as vLLM prints it: tokens, and how many of the longest requests fit at once.

    request: bytes of the longest request on a GPU of each stage. enough: whether vLLM would go on with it.
    """

    length: int
    tokens: int
    concurrency: float
    request: tuple[float, ...]
    enough: bool


def parts(layers: Sequence[int]) -> list[Part]:
    """Return the stages of a partition: layers of each stage, in the order of ranks."""
    starts = [sum(layers[:rank]) for rank in range(len(layers))]
    last = len(layers) - 1
    return [Part(starts[rank], starts[rank] + count, rank == 0, rank == last) for rank, count in enumerate(layers)]


def even_partition(layers: int, pp: int) -> tuple[int, ...]:
    """Return vLLM's own split (distributed/utils.py, get_pp_indices): the rest goes to stages before the last."""
    counts = [layers // pp] * pp
    for number in range(2, layers % pp + 2):
        counts[-number] += 1
    return tuple(counts)


def padded_vocabulary(model: Model) -> int:
    """Return the rows of embedding and lm_head, of which each TP rank has an equal share."""
    return -(-model.vocabulary // VOCABULARY_PADDING) * VOCABULARY_PADDING


def replicated(model: Model, layer: int, tp: int) -> float:
    """Return the bytes of a layer that each TP rank has in full, beyond its share.

    Keys and values where TP > KV heads (layers/linear.py, QKVParallelLinear), the router of experts, and MLA's two
    compressing projections (models/deepseek_v2.py, fused_qkv_a_proj).
    """
    width = model.weight_bits / 8
    whole = 2.0 * model.hidden * model.experts
    if model.mla:
        whole += width * model.hidden * (model.head_dim + model.query_rank)
    extra = whole * (1 - 1 / tp)
    if not model.mla and tp > model.kv_heads:
        projections = width * 2 * model.hidden * model.kv_heads * model.head_dim
        extra += projections * (1 / model.kv_heads - 1 / tp)
    # Where layers differ, the formula may ask for more than a small one has.
    return min(extra, model.layer_bytes[layer] * (1 - 1 / tp))


def tiled(model: Model, tp: int) -> float:
    """Return the bytes that padding adds to a layer of one GPU: experts in MXFP4 come in whole tiles."""
    if model.quantization != "mxfp4" or not model.experts:
        return 0.0
    share = min(model.intermediates) / tp
    width, hidden = (-(-size // tile) * tile for size, tile in zip((share, model.hidden), EXPERT_TILE))
    # Three matrices; a scale of one byte for 32 weights.
    return model.experts * 3 * (width * hidden - share * model.hidden) * (model.weight_bits + 8 / 32) / 8


def weights(model: Model, tp: int, part: Part) -> int:
    """Return the bytes of the weights of one GPU."""
    layers = range(part.start, part.end)
    shared = float(sum(model.layer_bytes[layer] for layer in layers))
    padding = padded_vocabulary(model) / model.vocabulary
    everywhere = model.architecture in ENDS_EVERYWHERE
    # A tied lm_head is the embedding; a stage that is last and not first has a copy (models/llama.py).
    if part.first or everywhere or (part.last and not model.head_bytes):
        shared += model.embedding_bytes * padding
    if part.last or everywhere:
        shared += model.head_bytes * padding
    # Vision towers are on every stage (models/interfaces.py, _mark_tower_model, knows no stages).
    own = sum(replicated(model, layer, tp) for layer in layers) + part.layers * tiled(model, tp)
    return int((shared + model.other_bytes) / tp + own)


def rotary_table(model: Model) -> int:
    """Return the bytes of the sines and cosines of all positions, which every rank has in 16 bit.

    layers/rotary_embedding/base.py, _compute_cos_sin_cache; of MLA's keys only a part of 64 is rotated.
    """
    return model.context * (64 if model.mla else model.head_dim) * 2


def batch(model: Model, wishes: Wishes, gpu: Gpu) -> tuple[int, int]:
    """Return (tokens, requests) of the largest step (engine/arg_utils.py, get_batch_defaults).

    gpu: the serve host's, whose kind decides.
    """
    large = gpu.usable >= 70 * GIB and "A100" not in gpu.model.upper()
    tokens, sequences = (16384, 1024) if gpu.usable >= 160 * GIB else (8192, 1024) if large else (2048, 256)
    sequences = wishes.sequences or sequences
    length = wishes.length(model)
    tokens = wishes.batched_tokens or (tokens if length == AUTO else min(tokens, sequences * length))
    return tokens, min(sequences, tokens)


def peak(model: Model, tp: int, part: Part, tokens: int, sequences: int) -> int:
    """Return an estimate of the bytes that a step of `tokens` tokens needs for a while.

    In a layer: hidden states and residual, and the MLP's gate, up and their product, or for experts the two workspaces
    of layers/fused_moe/experts/triton_moe.py (workspace_shapes). On the last stage instead, if that is more: logits of
    all requests in 16 bit and in 32 bit, and one more copy while sampling (v1/worker/gpu/sample/sampler.py).
    """
    widest = max(model.intermediates, default=4 * model.hidden)
    inside = 3 * widest / tp
    if model.experts:
        narrow = min(model.intermediates)
        visits = 2 * max(2 * narrow / tp, model.hidden)
        # Few models have layers with one wide MLP and others with experts; both must fit.
        inside = max(visits * model.experts_per_token, inside if len(set(model.intermediates)) > 1 else 0)
    steps = tokens * (2 * model.hidden + inside) * 2
    logits = sequences * padded_vocabulary(model) * 10 if part.last else 0
    return int(max(steps, tokens * 4 * model.hidden + logits))


def graphs(layers: int, tokens: int, sequences: int, wishes: Wishes, gpu: Gpu) -> int:
    """Return an estimate of the bytes of CUDA graphs: one a size for mixed steps, one a size up to all requests.

    The second kind is for steps in which every request is decoding.
    """
    if wishes.eager:
        return 0
    blackwell = any(name in gpu.model.upper() for name in ("B200", "B300"))
    largest = min(2 * sequences, 1024 if blackwell else 512, tokens)
    count = bisect_right(GRAPH_SIZES, largest) + bisect_right(GRAPH_SIZES, min(sequences, largest))
    return count * layers * GRAPH


def stage_memory(model: Model, tp: int, part: Part, gpus: Sequence[Gpu], first_gpu: Gpu, wishes: Wishes) -> Memory:
    """Return the memory of the smallest GPU of a stage. first_gpu: the serve host's, whose kind decides the batch."""
    smallest = min(gpus, key=lambda gpu: gpu.usable)
    tokens, sequences = batch(model, wishes, first_gpu)
    return Memory(
        total=smallest.usable,
        budget=int(smallest.usable * wishes.utilization),
        weights=weights(model, tp, part) + rotary_table(model),
        peak=peak(model, tp, part, tokens, sequences),
        graphs=graphs(part.layers, tokens, sequences, wishes, smallest),
    )


def cache_bytes(model: Model, tp: int, wishes: Wishes) -> list[float]:
    """Return the bytes of a token in the KV cache of one GPU, per layer.

    A rank has at least one KV head (config/model.py, get_num_kv_heads); MLA's latent vector is on every rank.
    """
    share = max(1, model.kv_heads // tp) / model.kv_heads
    own = 4.0 if model.dtype == "float32" else 2.0
    factor = share * wishes.kv_width(model) / own
    return [size * factor for size in model.kv_bytes_per_token]


@dataclass(frozen=True)
class Group:
    """Layers that share a table of blocks: their window (0: all tokens), tokens of a block, bytes of it per layer."""

    layers: tuple[int, ...]
    window: int
    block: int
    page: float


def groups(model: Model, tp: int, wishes: Wishes) -> list[Group]:
    """Group layers as v1/core/kv_cache_utils.py does (get_kv_cache_groups).

    One group where all layers keep equally many tokens. Otherwise groups of equally many layers, so that a block of
    one group fits a block of any other; a group that is not full wastes the rest.
    """
    sizes = cache_bytes(model, tp, wishes)
    block = BLOCK_MLA if model.mla else BLOCK
    kinds: dict[tuple[int, float], list[int]] = defaultdict(list)
    for layer, size in enumerate(sizes):
        if size:
            kinds[(model.windows[layer], size)].append(layer)
    windows = {window for window, _size in kinds}
    if len(windows) <= 1:
        return [
            Group(tuple(layers), window, block, block * size) for (window, size), layers in kinds.items()
        ]  # one table of blocks, see cache()
    fewest, most = min(map(len, kinds.values())), max(map(len, kinds.values()))
    together = most if most < 1.5 * fewest else fewest
    widest = max(size for _window, size in kinds)
    found = []
    for (window, size), layers in kinds.items():
        number = -(-len(layers) // together)
        # A narrower layer gets longer blocks, if that fills them.
        longer = int(widest // size) if widest % size == 0 else 1
        found += [Group(tuple(layers[i::number]), window, block * longer, block * widest) for i in range(number)]
    return found


def cache(model: Model, tp: int, stages: Sequence[tuple[Part, Memory]], wishes: Wishes, tokens: int) -> Cache:
    """Return the KV cache that the engine will have. tokens: of the largest step.

    The stage with the fewest blocks decides for all (v1/core/kv_cache_utils.py, get_kv_cache_configs); one block is
    vLLM's own. A request at full length takes blocks of every group (get_max_concurrency_for_kv_cache_config); with a
    window, as many as the window and the steps in flight (v1/kv_cache_interface.py, SlidingWindowSpec).
    """
    tables = groups(model, tp, wishes)
    if not tables:
        enough = all(memory.cache >= 0 for _part, memory in stages)
        return Cache(wishes.length(model), 0, 0.0, (0.0,) * len(stages), enough)
    single = len({table.window for table in tables}) == 1
    sizes = [block_bytes(tables, part, single) for part, _memory in stages]
    blocks = min(int(max(0, memory.cache) // size) for size, (_part, memory) in zip(sizes, stages) if size)
    in_flight = tokens * (len(stages) + 1)

    def needed(length: int) -> int:
        counts = [-(-length // table.block) for table in tables]
        for number, table in enumerate(tables):
            if table.window:
                kept = min(table.window - 1 + in_flight, length)
                counts[number] = -(-kept // table.block) + 1
        return max(counts) if single else sum(counts)

    length = wishes.length(model)
    if length == AUTO:
        length = longest(needed, blocks - 1, model.usual_context)
    full = needed(max(1, length))
    return Cache(
        length=length,
        tokens=int(blocks / full * length),
        concurrency=blocks / full,
        request=tuple(full * size for size in sizes),
        enough=length > 0 and full <= blocks - 1,
    )


def block_bytes(tables: Sequence[Group], part: Part, single: bool) -> float:
    """Return the bytes of one block on a stage: of all its layers, or of its largest group."""
    sizes = [sum(part.start <= layer < part.end for layer in table.layers) * table.page for table in tables]
    return sum(sizes) if single else max(sizes)


def longest(needed: t.Callable[[int], int], blocks: int, context: int) -> int:
    """Return the longest request that `blocks` blocks hold, 0 for none."""
    low, high = 0, context
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if needed(middle) <= blocks else (low, middle - 1)
    return low
