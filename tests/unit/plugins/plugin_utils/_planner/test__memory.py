# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory, against what vLLM printed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._models._model_config import Model
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner import _memory
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._hardware import GIB, Gpu
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._memory import Memory, Part, parts
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._wishes import AUTO, Wishes
from ansible_collections.vllm_ray.cluster.tests.unit.models import model
from ansible_collections.vllm_ray.cluster.tests.unit.plugins.plugin_utils import planner_measured
from ansible_collections.vllm_ray.cluster.tests.unit.plugins.plugin_utils.planner_measured import Measured
from ansible_collections.vllm_ray.cluster.tests.unit.plugins.plugin_utils.planner_models import (
    A100,
    H100,
    H200,
    L40S,
    RTX4090,
)


def reckon(
    what: Model, tp: int, layers: tuple[int, ...], gpu: Gpu, wishes: Wishes
) -> tuple[list[Memory], _memory.Cache]:
    """Return memory and KV cache of an engine on GPUs of one kind."""
    stages = parts(layers)
    memory = [_memory.stage_memory(what, tp, part, [gpu] * tp, gpu, wishes) for part in stages]
    tokens, _sequences = _memory.batch(what, wishes, gpu)
    return memory, _memory.cache(what, tp, list(zip(stages, memory)), wishes, tokens)


def left(
    what: Model, tp: int, layers: tuple[int, ...], gib: float, wishes: Wishes, batched: int = 2048
) -> _memory.Cache:
    """Return the KV cache that vLLM makes of so many GiB on each GPU."""
    memory = Memory(0, int(gib * GIB) + _memory.OTHER, 0, 0, 0)
    return _memory.cache(what, tp, [(part, memory) for part in parts(layers)], wishes, batched)


# Two H200s as two hosts, vLLM 0.24.0, --max-model-len 4096 --enforce-eager, dummy weights.
@pytest.mark.parametrize(
    ("tp", "layers", "kv_gib", "kv_tokens"),
    [
        pytest.param(1, (16, 16), 120.93, 1_981_328, id="PP=2"),
        pytest.param(2, (32,), 121.24, 1_986_400, id="TP=2"),
    ],
)
def test_measured_on_two_h200(tp: int, layers: tuple[int, ...], kv_gib: float, kv_tokens: int) -> None:
    memory, cache = reckon(model("measured-8b"), tp, layers, H200, Wishes(max_model_len=4096, eager=True))
    for one in memory:
        assert one.weights / GIB == pytest.approx(6.75, rel=0.01)
        assert one.cache / GIB == pytest.approx(kv_gib, rel=0.02)
    assert cache.tokens == pytest.approx(kv_tokens, rel=0.02)
    assert cache.concurrency == pytest.approx(kv_tokens / 4096, rel=0.02)
    # From the GiB that vLLM printed to its tokens there is nothing to estimate.
    exact = left(model("measured-8b"), tp, layers, kv_gib, Wishes(max_model_len=4096))
    assert exact.tokens == pytest.approx(kv_tokens, rel=1e-4)


@pytest.mark.parametrize("row", planner_measured.ROWS, ids=str)
def test_measured_on_four_h200(row: Measured) -> None:
    """Weights within 1 %, KV cache within 2 %, but for one layout.

    vLLM 0.24's newer model runner (model_runner.py, all Llamas) leaves no room for CUDA graphs: its logs of eager mode
    and of graphs show the same KV cache, and none estimates graphs. Releases since do, and so does Memory.
    """
    memory, cache = reckon(model(row.model), row.tp, row.layers, H200, row.wishes)
    assert memory[row.stage].weights / GIB == pytest.approx(row.weights, rel=0.01)
    roomless = (row.model, row.layout) == ("llama-3.3-70b", (2, 1, 1))
    assert cache.tokens == pytest.approx(row.kv_tokens, rel=0.04 if roomless else 0.02)
    if row.model.startswith("llama"):
        _stages, cache = reckon(model(row.model), row.tp, row.layers, H200, replace(row.wishes, eager=True))
        assert cache.tokens == pytest.approx(row.kv_tokens, rel=0.01)


def test_printed_by_vllm_022_for_qwen25_7b() -> None:
    """Log of a public repository: vLLM 0.22.0, one GPU, TP=1, max_num_seqs 128, max_num_batched_tokens 2048.

    "Checkpoint size: 14.19 GiB", "Model loading took 14.29 GiB", "Estimated CUDA graph memory: 0.37 GiB total",
    "Available KV cache memory: 26.32 GiB", "GPU KV cache size: 492,912 tokens", "Maximum concurrency for 4,096 tokens
    per request: 120.34x".
    """
    qwen = model("qwen2.5-7b")
    wishes = Wishes(max_model_len=4096, sequences=128, batched_tokens=2048)
    memory, _cache = reckon(qwen, 1, (28,), L40S, wishes)
    assert memory[0].weights / GIB == pytest.approx(14.29, rel=0.01)
    assert memory[0].graphs / GIB == pytest.approx(0.37, abs=0.01)
    cache = left(qwen, 1, (28,), 26.32, wishes)
    assert cache.tokens == pytest.approx(492_912, rel=1e-3)
    assert cache.concurrency == pytest.approx(120.34, rel=1e-3)


def test_printed_for_qwen3_235b() -> None:
    """vllm-project/vllm issue 21348: TP=4 on H100s, 8.11 GiB and 178,880 tokens; one KV head a GPU."""
    cache = left(model("qwen3-235b-a22b-fp8"), 4, (94,), 8.11, Wishes())
    assert cache.tokens == pytest.approx(178_880, rel=0.02)


def test_asked_for_by_vllm_015() -> None:
    """vllm-project/vllm issue 34076: a request of 262,144 tokens of Qwen3-30B-A3B needs 24.0 GiB on one GPU."""
    cache = left(model("qwen3-30b-a3b-fp8"), 1, (48,), 3.18, Wishes(max_model_len=262144))
    assert cache.request[0] / GIB == pytest.approx(24.0, abs=0.05)
    assert not cache.enough
    # vLLM estimated 34736 as the longest; it prints GiB with two digits.
    longest = left(model("qwen3-30b-a3b-fp8"), 1, (48,), 3.18, Wishes(max_model_len=AUTO))
    assert longest.length == pytest.approx(34736, rel=2e-3)


# get_pp_indices of vLLM 0.32, its comment: the rest is spread before the last stage, from the back.
@pytest.mark.parametrize(
    ("layers", "pp", "wanted"),
    [
        (32, 1, (32,)),
        (61, 2, (31, 30)),
        (80, 3, (27, 27, 26)),
        (94, 4, (23, 24, 24, 23)),
        (126, 4, (31, 32, 32, 31)),
        (7, 5, (1, 1, 2, 2, 1)),
    ],
)
def test_even_partition(layers: int, pp: int, wanted: tuple[int, ...]) -> None:
    assert _memory.even_partition(layers, pp) == wanted
    assert sum(wanted) == layers


def test_ends_of_a_pipeline() -> None:
    """The embedding is on the first stage, lm_head on the last; tied, both have the one matrix."""
    llama = model("llama-3.1-8b")
    first, middle, last = (_memory.weights(llama, 1, part) for part in parts((10, 12, 10)))
    assert first == last == 10 * llama.layer_bytes[0] + llama.embedding_bytes + llama.other_bytes
    assert middle == 12 * llama.layer_bytes[0] + llama.other_bytes
    tied = replace(llama, head_bytes=0, tied_embeddings=True)
    assert [_memory.weights(tied, 1, part) for part in parts((10, 12, 10))] == [first, middle, last]
    mixtral = model("mixtral-8x7b")
    ends = mixtral.embedding_bytes + mixtral.head_bytes + mixtral.other_bytes
    assert _memory.weights(mixtral, 1, Part(8, 16, False, False)) == 8 * mixtral.layer_bytes[0] + ends


def test_what_every_tp_rank_has_in_full() -> None:
    whole = Part(0, 80, True, True)
    llama = model("llama-3.3-70b")
    assert _memory.weights(llama, 8, whole) == pytest.approx(llama.weight_bytes / 8, rel=1e-6)
    # 16 ranks share 8 KV heads: each has one whole, twice its share.
    keys = 80 * 2 * llama.hidden * llama.kv_heads * llama.head_dim * 2
    assert _memory.weights(llama, 16, whole) == pytest.approx(llama.weight_bytes / 16 + keys / 16, rel=1e-6)
    deepseek = model("deepseek-v3")
    extra = _memory.weights(deepseek, 8, Part(0, 61, True, True)) - deepseek.weight_bytes / 8
    # Seven eighths of q_a and kv_a in FP8 and of the router in 16 bit: 7168 x (1536 + 576) and 7168 x 256 x 2 bytes.
    assert extra == pytest.approx(61 * 7168 * (1536 + 576 + 512) * 7 / 8, rel=0.01)


def test_experts_in_mxfp4_come_in_whole_tiles() -> None:
    oss = model("gpt-oss-120b")
    # 2880 becomes 2944 and 3072; of a quarter, 720 becomes 768.
    assert _memory.tiled(oss, 1) == pytest.approx(128 * 3 * (2944 * 3072 - 2880**2) * 4.25 / 8)
    assert _memory.tiled(oss, 4) == pytest.approx(128 * 3 * (768 * 3072 - 720 * 2880) * 4.25 / 8)
    assert _memory.tiled(model("mixtral-8x7b"), 4) == 0


def test_queries_that_are_not_compressed_are_no_ones_copy() -> None:
    lite = model("deepseek-v2-lite")
    extra = _memory.weights(lite, 8, Part(1, 27, False, False)) * 8 - sum(lite.layer_bytes[1:27]) - lite.other_bytes
    # Seven more copies of the compressing projection of keys and values and of the router of 64 experts.
    assert extra == pytest.approx(26 * 7 * 2048 * (576 + 64) * 2, rel=1e-6)


def test_padding_of_the_vocabulary() -> None:
    qwen = replace(model("qwen3-32b"), vocabulary=151_937)
    assert _memory.padded_vocabulary(qwen) == 152_000


@pytest.mark.parametrize(
    ("gpu", "wishes", "wanted"),
    [
        pytest.param(H200, Wishes(), (8192, 1024), id="large"),
        pytest.param(Gpu("NVIDIA B200", 183359), Wishes(), (16384, 1024), id="largest"),
        pytest.param(A100, Wishes(), (2048, 256), id="A100"),
        pytest.param(RTX4090, Wishes(), (2048, 256), id="small"),
        pytest.param(RTX4090, Wishes(sequences=4, max_model_len=256), (1024, 4), id="short-and-few"),
        pytest.param(RTX4090, Wishes(sequences=512, batched_tokens=128), (128, 128), id="set"),
    ],
)
def test_largest_step(gpu: Gpu, wishes: Wishes, wanted: tuple[int, int]) -> None:
    assert _memory.batch(model("llama-3.1-8b"), wishes, gpu) == wanted


def test_eager_mode_has_no_graphs() -> None:
    assert _memory.graphs(32, 8192, 1024, Wishes(eager=True), H100) == 0
    # 51 sizes for mixed steps and as many for decoding, as vLLM counts for 512 requests and more.
    assert _memory.graphs(1, 8192, 1024, Wishes(), H100) == 102 * _memory.GRAPH
    assert _memory.graphs(1, 8192, 128, Wishes(), H100) == (35 + 19) * _memory.GRAPH


def test_the_peak_shrinks_with_tp_and_grows_with_steps() -> None:
    part = Part(0, 80, False, False)
    sizes = [_memory.peak(model("llama-3.3-70b"), tp, part, 8192, 1024) for tp in (1, 2, 4, 8)]
    assert sizes == sorted(sizes, reverse=True)
    assert _memory.peak(model("llama-3.3-70b"), 1, part, 2048, 1024) == sizes[0] // 4
    last = Part(0, 80, False, True)
    assert _memory.peak(model("qwen3-32b"), 8, last, 2048, 1024) > _memory.peak(model("qwen3-32b"), 8, part, 2048, 1024)


@pytest.mark.parametrize(
    ("name", "tp", "wanted"),
    [
        pytest.param("llama-3.3-70b", 1, 4096, id="all-heads"),
        pytest.param("llama-3.3-70b", 8, 512, id="one-head"),
        pytest.param("llama-3.3-70b", 16, 512, id="still-one-head"),
        pytest.param("deepseek-v3", 1, 1152, id="mla"),
        pytest.param("deepseek-v3", 16, 1152, id="mla-on-every-rank"),
    ],
)
def test_kv_bytes_of_a_token(name: str, tp: int, wanted: int) -> None:
    assert set(_memory.cache_bytes(model(name), tp, Wishes())) == {wanted}
    assert set(_memory.cache_bytes(model(name), tp, Wishes(kv_dtype="fp8"))) == {wanted / 2}


def test_windows_make_groups() -> None:
    """Gemma 3 27B has 10 full layers and 52 with a window: vLLM makes 1 + 6 groups of up to 10 layers."""
    gemma = model("medgemma-27b")
    tables = _memory.groups(gemma, 1, Wishes())
    assert [len(table.layers) for table in tables if not table.window] == [10]
    assert sorted(len(table.layers) for table in tables if table.window) == [8, 8, 9, 9, 9, 9]
    cache = left(gemma, 1, (62,), 10.0, Wishes(max_model_len=131072))
    # A block holds 16 tokens of 10 layers. A request fills 8192 for the full ones, and for each of six groups 1023
    # tokens and two steps of 2048, rounded up, and one more.
    block = 16 * 8192 * 10
    blocks = int(10.0 * GIB) // block
    assert cache.concurrency == pytest.approx(blocks / (8192 + 6 * (320 + 1)))


def test_one_window_for_all_layers() -> None:
    """As in Mistral 7B 0.1: one group, and a long request needs no more than the window and the steps in flight."""
    narrow = replace(model("llama-3.1-8b"), windows=(4096,) * 32)
    cache = left(narrow, 1, (32,), 10.0, Wishes(max_model_len=32768))
    blocks = int(10.0 * GIB) // (16 * 4096 * 32)
    assert cache.concurrency == pytest.approx(blocks / (-(-(4095 + 4096) // 16) + 1))


def test_layers_of_unequal_width() -> None:
    """The narrower get longer blocks (unify_kv_cache_spec_page_size)."""
    mixed = replace(model("llama-3.1-8b"), windows=(0, 1024) * 16, kv_bytes_per_token=(2048, 4096) * 16)
    assert {(table.window, table.block, table.page) for table in _memory.groups(mixed, 1, Wishes())} == {
        (0, 32, 16 * 4096),
        (1024, 16, 16 * 4096),
    }


def test_the_smallest_stage_decides() -> None:
    llama = model("llama-3.1-8b")
    stages = parts((16, 16))
    memory = [Memory(0, int(gib * GIB) + _memory.OTHER, 0, 0, 0) for gib in (40, 10)]
    cache = _memory.cache(llama, 1, list(zip(stages, memory)), Wishes(), 2048)
    assert cache == left(llama, 1, (16, 16), 10, Wishes())


def test_a_model_without_a_kv_cache() -> None:
    bare = replace(model("llama-3.1-8b"), kv_bytes_per_token=(0,) * 32)
    assert left(bare, 1, (32,), 1.0, Wishes()).enough
    assert not left(bare, 1, (32,), -1.0, Wishes()).enough
