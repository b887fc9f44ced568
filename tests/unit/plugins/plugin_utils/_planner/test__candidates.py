# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which layouts are weighed, and that vLLM takes each of them."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner import _candidates, _memory
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._candidates import Candidate
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._hardware import ClusterHost, Gpu
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._wishes import Wishes
from ansible_collections.vllm_ray.cluster.tests.unit.models import NAMES, model
from ansible_collections.vllm_ray.cluster.tests.unit.plugins.plugin_utils.planner_models import (
    A10,
    A100,
    H100,
    H200,
    L40S,
    RTX4090,
    cluster,
)


@pytest.mark.parametrize(
    ("name", "accepted"),
    [
        pytest.param("llama-3.1-8b", [1, 2, 4, 8, 16, 32], id="8-KV-heads-are-repeated"),
        pytest.param("llama-3.1-405b", [1, 2, 4, 8, 16, 32, 64], id="128-heads"),
        pytest.param("qwen2.5-7b", [1, 2, 4], id="28-heads-4-KV-heads"),
        # 5 would divide the heads, but not the vocabulary of 100352.
        pytest.param("phi-4", [1, 2], id="10-KV-heads"),
        # 768 / 4 = 192 and 1536 / 8 = 192 are no multiples of the FP8 block of 128.
        pytest.param("qwen3-30b-a3b-fp8", [1, 2], id="narrow-experts-in-fp8-blocks"),
        # MXFP4 is padded to whole groups; copies of KV heads there are none.
        pytest.param("gpt-oss-120b", [1, 2, 4, 8], id="8-KV-heads-that-are-not-repeated"),
        pytest.param("deepseek-v2-lite", [1, 2, 4, 8, 16], id="16-heads"),
        # 13824 / 8 = 13.5 groups
        pytest.param("llama-2-13b-gptq", [1, 2, 4], id="40-heads-and-groups-of-128"),
        pytest.param("qwen3-235b-a22b-fp8", [1, 2, 4], id="wider-experts-in-fp8-blocks"),
        pytest.param("deepseek-v3", [1, 2, 4, 8, 16], id="mla-has-no-kv-heads-to-divide"),
        # 18944 / 4 = 4736 = 37 x 128, 3584 / 4 = 896 = 7 x 128
        pytest.param("qwen2.5-7b-gptq", [1, 2, 4], id="groups-of-128"),
    ],
)
def test_tp_sizes(name: str, accepted: list[int]) -> None:
    what = model(name)
    assert [tp for tp in range(1, 65) if not _candidates.tp_refusals(what, tp, Wishes())] == accepted


@pytest.mark.parametrize(
    ("name", "accepted"),
    [
        # 768 / 8 = 96 = 3 x 32; 768 / 16 = 48 has no block of 32 or more.
        pytest.param("qwen3-30b-a3b-fp8", [1, 2, 4, 8], id="experts-in-finer-blocks"),
        pytest.param("qwen3-235b-a22b-fp8", [1, 2, 4, 8, 16], id="wider-experts-in-finer-blocks"),
        # Its MLP is no expert: 12288 / 32 = 384 = 3 x 128, and 32 heads of 128.
        pytest.param("qwen3-8b-fp8", [1, 2, 4, 8, 16, 32], id="dense"),
    ],
)
def test_tp_sizes_on_gpus_with_fp8(name: str, accepted: list[int]) -> None:
    what = model(name)
    assert [tp for tp in range(1, 65) if not _candidates.tp_refusals(what, tp, Wishes(), fp8=True)] == accepted


@pytest.mark.parametrize(
    ("name", "wished", "deprecated", "wanted"),
    [
        ("llama-3.1-8b", "", False, []),
        ("llama-3.1-8b", "fp8_per_tensor", False, []),
        ("llama-3.1-8b", "bitsandbytes", False, ["quantization is bitsandbytes, which vLLM 0.32 does not know"]),
        ("llama-3.1-8b", "fp_quant", True, []),
        ("qwen3-32b-awq", "", False, []),
        ("qwen3-32b-awq", "awq_marlin", False, []),
        ("qwen3-32b-awq", "gptq", False, ["quantization is gptq, and the model is quantised by awq"]),
        (
            "llama-3.1-8b-bitsandbytes",
            "",
            False,
            ["the model is quantised by bitsandbytes, which vLLM 0.32 does not know"],
        ),
    ],
)
def test_quantisations(name: str, wished: str, deprecated: bool, wanted: list[str]) -> None:
    wishes = Wishes(quantization=wished, deprecated=deprecated)
    assert _candidates.quantization_refusals(model(name), wishes) == wanted


def test_a_host_without_fp8_does_not_spoil_others() -> None:
    """Experts in blocks of 64 need FP8 on the GPUs of the layout, not on idle ones."""
    hosts = cluster((H100, 8), (A100, 8))
    found = sizes(list(_candidates.candidates(model("qwen3-235b-a22b-fp8"), hosts, Wishes())))
    assert (8, 1, (8,)) in found
    assert (8, 2, (8, 8)) not in found
    assert (4, 4, (8, 8)) in found


def test_with_expert_parallelism_an_expert_stays_whole() -> None:
    wishes = Wishes(expert_parallel=True)
    assert not _candidates.tp_refusals(model("qwen3-235b-a22b-fp8"), 8, wishes)


def test_refusals_have_numbers() -> None:
    assert _candidates.tp_refusals(model("llama-3.3-70b"), 6, Wishes()) == [
        "64 attention heads can't be divided by 6",
        "8 KV heads and TP=6: one must divide the other",
        "an MLP's width of 28672 can't be divided by 6",
    ]
    assert _candidates.tp_refusals(model("qwen3-235b-a22b-fp8"), 8, Wishes()) == [
        "1536 / 8 = 192 is not a multiple of the quantisation's group of 128"
    ]


@pytest.mark.parametrize(
    ("pp", "partition", "wanted"),
    [
        (2, (), []),
        (33, (), ["32 layers are fewer than 33 stages"]),
        (2, (16, 16), []),
        (2, (10, 10, 12), ["VLLM_PP_LAYER_PARTITION=10,10,12 has 3 stages, not 2"]),
        (2, (16, 15), ["VLLM_PP_LAYER_PARTITION=16,15 has 31 layers, the model 32"]),
        (2, (32, 0), ["VLLM_PP_LAYER_PARTITION=32,0 has a stage without layers"]),
    ],
)
def test_pp_sizes(pp: int, partition: tuple[int, ...], wanted: list[str]) -> None:
    assert _candidates.pp_refusals(model("llama-3.1-8b"), pp, Wishes(partition=partition)) == wanted


def sizes(found: list[Candidate]) -> set[tuple[int, int, tuple[int, ...]]]:
    return {(candidate.tp, candidate.pp, tuple(candidate.gpus.values())) for candidate in found}


def test_one_host() -> None:
    found = sizes(list(_candidates.candidates(model("llama-3.1-8b"), cluster((H100, 4)), Wishes())))
    assert found == {(1, pp, (pp,)) for pp in (1, 2, 3, 4)} | {(2, 1, (2,)), (2, 2, (4,)), (4, 1, (4,))}


def test_unequal_counts() -> None:
    found = sizes(
        list(_candidates.candidates(model("llama-3.3-70b"), cluster((H100, 8), (H100, 8), (H100, 4)), Wishes()))
    )
    assert {(8, 2, (8, 8)), (4, 5, (8, 8, 4)), (4, 4, (8, 8)), (2, 10, (8, 8, 4))} <= found
    # A stage of 8 has no place on the host with 4.
    assert not [size for size in found if size[0] == 8 and len(size[2]) == 3]


def test_tp_over_hosts_only_when_asked() -> None:
    hosts = cluster((H100, 1), (H100, 1))
    free = list(_candidates.candidates(model("llama-3.1-8b"), hosts, Wishes()))
    assert {candidate.tp for candidate in free} == {1}
    asked = list(_candidates.candidates(model("llama-3.1-8b"), hosts, Wishes(tp=2)))
    assert [(c.tp, c.pp, c.gpus) for c in asked] == [(2, 1, {"gpu01": 1, "gpu02": 1})]


def test_the_serve_host_takes_part() -> None:
    hosts = cluster((RTX4090, 1), (H100, 8))
    assert all(
        candidate.gpus.get("gpu01") for candidate in _candidates.candidates(model("llama-3.1-8b"), hosts, Wishes())
    )
    assert list(_candidates.candidates(model("llama-3.1-8b"), hosts, Wishes(tp=2))) == []


def test_a_model_that_has_no_stages() -> None:
    whole = replace(model("llama-3.1-8b"), architecture="Gemma3nForCausalLM")
    assert {c.pp for c in _candidates.candidates(whole, cluster((H100, 2)), Wishes())} == {1}


def test_the_users_partition_is_kept() -> None:
    found = list(_candidates.candidates(model("llama-3.1-8b"), cluster((H100, 2)), Wishes(partition=(12, 20))))
    assert {(c.pp, c.layers) for c in found} == {(2, (12, 20))}


def test_layers_by_speed_as_far_as_memory_goes() -> None:
    """An A100 reads twice as fast as an RTX 4090, so it gets two thirds; a larger model leaves the 4090 less."""
    hosts = cluster((RTX4090, 1), (A100, 1), inside="pcie")
    small = [
        c.layers for c in _candidates.candidates(model("llama-3.1-8b"), hosts, Wishes(max_model_len=2048)) if c.pp == 2
    ]
    assert (11, 21) in small
    large = [
        c.layers for c in _candidates.candidates(model("qwen3-32b"), hosts, Wishes(max_model_len=2048)) if c.pp == 2
    ]
    assert large
    assert all(first < 64 / 3 for first, _second in large)


def test_nothing_where_the_model_does_not_fit_at_all() -> None:
    hosts = cluster((RTX4090, 1), (A100, 1))
    stages = _candidates.stages_of(hosts, 1)
    assert _candidates.balance(model("llama-3.1-405b"), 1, stages, Wishes(), 0) is None


def some_hosts(chance: random.Random) -> list[ClusterHost]:
    """Return one to four hosts with one to eight GPUs each, of one kind or of several."""
    kinds: list[Gpu] = chance.sample([H100, H200, A100, L40S, A10, RTX4090], chance.choice((1, 1, 2, 3)))
    hosts = [(chance.choice(kinds), chance.choice((1, 2, 3, 4, 8))) for _host in range(chance.randint(1, 4))]
    return cluster(*hosts, inside=chance.choice(("nvlink", "pcie")))


def test_each_can_be_placed() -> None:
    """Sizes that vLLM takes, which tests/integration asks it, on stages and hosts as its ranks fill them."""
    chance = random.Random(4)
    seen = 0
    for _round in range(80):
        name, hosts = chance.choice(NAMES), some_hosts(chance)
        what = model(name)
        offered = {host.name: len(host.gpus) for host in hosts}
        for candidate in _candidates.candidates(what, hosts, Wishes(max_model_len=4096)):
            seen += 1
            fp8 = all(gpu.fp8 for stage in candidate.stages for gpu in stage.gpus)
            assert not _candidates.tp_refusals(what, candidate.tp, Wishes(), fp8)
            assert not _candidates.pp_refusals(what, candidate.pp, Wishes())
            assert len(candidate.layers) == candidate.pp
            assert sum(candidate.layers) == what.layers
            assert min(candidate.layers) >= 1
            assert all(len(stage.ranks) == candidate.tp for stage in candidate.stages)
            assert all(count <= offered[host] for host, count in candidate.gpus.items())
            assert all(len(stage.hosts) == 1 for stage in candidate.stages)
            # Ranks fill hosts in blocks: a host's stages are neighbours.
            order = [stage.hosts[0] for stage in candidate.stages]
            assert order == [host for host in dict.fromkeys(order) for _stage in range(order.count(host))]
            if not candidate.own_partition:
                assert candidate.layers == _memory.even_partition(what.layers, candidate.pp)
    assert seen > 500
