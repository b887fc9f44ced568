# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._models import _model_config, _safetensors
from ansible_collections.vllm_ray.cluster.plugins.module_utils._models._model_config import Model, parse
from ansible_collections.vllm_ray.cluster.tests.unit import models

FULL, LINEAR = "full_attention", "linear_attention"


def model(name: str, **changed: Any) -> Model:
    return parse(models.config(name, **changed))


# Published parameters (tests/fixtures/models/SOURCES.md), counted without quantisation.
@pytest.mark.parametrize(
    ("name", "changed", "parameters", "within"),
    [
        ("llama-3.1-8b", {}, 8_030_261_248, 0),
        ("llama-3.3-70b", {}, 70_553_706_496, 0),
        ("llama-3.1-405b", {}, 405_853_388_800, 0),
        ("qwen2.5-7b", {}, 7_615_616_512, 0),
        ("qwen3-8b", {}, 8_190_735_360, 0),
        ("qwen3-32b", {}, 32_762_123_264, 0),
        ("qwen3-30b-a3b", {}, 30_532_122_624, 0),
        ("qwen3-235b-a22b", {}, 235_093_634_560, 0),
        ("mixtral-8x7b", {}, 46_702_792_704, 0),
        ("wizardlm-2-8x22b", {}, 281_241_268_224 // 2, 0),
        ("deepseek-v2-lite", {}, 15_706_484_224, 0),
        ("dolphin-3.0-mistral-24b", {}, 47_144_847_360 // 2, 0),
        ("gemma-2-9b", {}, 9_241_705_984, 0),
        ("phi-3-mini-4k", {}, 3_821_079_552, 0),
        ("phi-4", {}, 14_659_507_200, 0),
        # Biases of routers and experts are not counted.
        ("kimi-k2", {}, 1_026_408_235_864, 1e-6),
        ("gpt-oss-120b", {"quantization_config": None}, 116_829_156_672, 1e-3),
        # Without the layer for speculation: README_WEIGHTS of DeepSeek V3 says 671B.
        ("deepseek-v3", {"quantization_config": None}, 671e9, 1e-3),
        # Without the vision tower, which has 0.4B.
        ("medgemma-27b", {}, 54_864_813_280 // 2, 0.02),
    ],
)
def test_parameters_are_the_published_ones(
    name: str, changed: dict[str, Any], parameters: float, within: float
) -> None:
    found = model(name, **changed)
    assert found.weight_bytes / 2 == pytest.approx(parameters, rel=within, abs=0)
    assert found.bytes_from == "shapes"
    assert len(found.layer_bytes) == len(found.windows) == len(found.kv_bytes_per_token) == found.layers


@pytest.mark.parametrize("name", models.FILES)
def test_vllm_reads_the_same(name: str) -> None:
    wanted = json.loads((models.MODELS / "vllm-0.32.0.json").read_text())[name]
    found = json.loads(json.dumps(model(name).as_dict()))
    assert {key: found[key] for key in wanted} == wanted


@pytest.mark.parametrize(
    ("name", "heads", "kv_heads", "head_dim", "context", "kv_bytes"),
    [
        ("llama-3.1-8b", 32, 8, 128, 131072, 131072),
        ("llama-3.3-70b", 64, 8, 128, 131072, 327680),
        ("qwen3-32b", 64, 8, 128, 40960, 262144),
        ("qwen3-235b-a22b", 64, 4, 128, 40960, 192512),
        # 61 layers of (512 + 64) elements of 2 bytes.
        ("deepseek-v3", 128, 1, 576, 163840, 70272),
        ("gemma-2-9b", 16, 8, 256, 8192, 344064),
        ("medgemma-27b", 32, 16, 128, 131072, 507904),
        ("gpt-oss-120b", 64, 8, 64, 131072, 73728),
        ("phi-4", 40, 10, 128, 16384, 204800),
        ("dolphin-3.0-mistral-24b", 32, 8, 128, 32768, 163840),
    ],
)
def test_heads_context_and_kv_cache(
    name: str, heads: int, kv_heads: int, head_dim: int, context: int, kv_bytes: int
) -> None:
    found = model(name)
    assert (found.heads, found.kv_heads, found.head_dim) == (heads, kv_heads, head_dim)
    assert (found.context, found.usual_context) == (context, context)
    assert sum(found.kv_bytes_per_token) == kv_bytes


@pytest.mark.parametrize(
    ("name", "changed", "windows"),
    [
        ("llama-3.1-8b", {}, {0: 0, 31: 0}),
        ("gemma-2-9b", {}, {0: 4096, 1: 0, 40: 4096, 41: 0}),
        ("medgemma-27b", {}, {0: 1024, 4: 1024, 5: 0, 61: 1024}),
        ("gpt-oss-120b", {}, {0: 128, 1: 0, 35: 0}),
        ("phi-3-mini-4k", {}, {0: 2047, 31: 2047}),
        ("qwen2.5-7b", {}, {0: 0, 27: 0}),
        ("qwen2.5-7b", {"use_sliding_window": True, "max_window_layers": 20}, {19: 0, 20: 131072}),
        ("dolphin-3.0-mistral-24b", {}, {0: 0, 39: 0}),
    ],
)
def test_windows(name: str, changed: dict[str, Any], windows: dict[int, int]) -> None:
    found = model(name, **changed).windows
    assert {layer: found[layer] for layer in windows} == windows


def test_a_key_that_is_missing_is_filled_in_but_null_is_kept() -> None:
    assert set(model("dolphin-3.0-mistral-24b", sliding_window=None).windows) == {4096}
    config = models.config("dolphin-3.0-mistral-24b")
    assert config["sliding_window"] is None
    assert set(parse(config).windows) == {0}


def test_a_multimodal_model_is_its_text_model_for_the_planner() -> None:
    found = model("medgemma-27b")
    assert found.architecture == "Gemma3ForConditionalGeneration"
    assert (found.model_type, found.layers, found.vocabulary) == ("gemma3_text", 62, 262208)
    assert found.tied_embeddings
    assert found.head_bytes == 0
    assert found.notes == ("the parts for images or sound are not counted",)


def test_the_index_tells_what_the_shapes_do_not() -> None:
    found = parse(models.config("medgemma-27b"), total_size=54_864_813_280)
    assert found.bytes_from == "index"
    assert found.weight_bytes == 54_864_813_280
    assert found.layer_bytes == model("medgemma-27b").layer_bytes
    # SigLIP and its projector: 0.42B parameters.
    assert found.other_bytes / 2 == pytest.approx(0.42e9, rel=0.02)
    assert found.notes == ()


def test_files_of_float32_are_twice_as_large_as_what_is_loaded() -> None:
    found = parse(models.config("gemma-2-9b"), total_size=9_241_705_984 * 4)
    assert found.weight_bytes == 9_241_705_984 * 2


def test_the_index_of_deepseek_counts_a_layer_that_is_not_loaded() -> None:
    total = sum(tensor.bytes for tensor in models.tensors("deepseek-v3").values())
    found = parse(models.config("deepseek-v3"), total_size=total)
    exact = parse(models.config("deepseek-v3"), models.tensors("deepseek-v3"))
    assert found.bytes_from == "index"
    assert exact.bytes_from == "files"
    assert found.weight_bytes == pytest.approx(exact.weight_bytes, rel=1e-4)
    assert exact.weight_bytes < total - 15e9


def test_the_demo_model_to_the_byte() -> None:
    folder = models.ROOT / "demo-model" / "model"
    content = (folder / "model.safetensors").read_bytes()
    length = _safetensors.header_length(content[:9])
    header = _safetensors.parse_header(content[8 : 8 + length])
    config = json.loads((folder / "config.json").read_text())
    found = parse(config, header.tensors)
    assert found.weight_bytes == header.data_bytes == len(content) - length - 8
    assert found.layer_bytes == parse(config).layer_bytes
    assert (found.embedding_bytes, found.head_bytes, found.other_bytes) == (294912, 294912, 512)


@pytest.mark.parametrize(
    ("name", "quantization", "group", "total", "within"),
    [
        ("llama-2-13b-gptq", "gptq", 128, None, 0),
        ("qwen3-32b-awq", "awq", 128, 18.00 * 1024**3, 1e-3),
        ("qwen3-8b-fp8", "fp8", 128, 8.79 * 1024**3, 1e-3),
        ("qwen3-30b-a3b-fp8", "fp8", 128, 29.03 * 1024**3, 1e-3),
        ("qwen3-235b-a22b-fp8", "fp8", 128, 220.18 * 1024**3, 1e-3),
        ("deepseek-v3", "fp8", 128, None, 0),
        ("gpt-oss-120b", "mxfp4", 32, None, 0),
        ("llama-3.1-8b-bitsandbytes", "bitsandbytes", 0, None, 0),
    ],
)
def test_quantised_models(name: str, quantization: str, group: int, total: float | None, within: float) -> None:
    found = model(name)
    assert (found.quantization, found.group_size) == (quantization, group)
    if total:
        assert found.weight_bytes == pytest.approx(total, rel=within)
    assert found.weight_bytes < model(name, quantization_config=None).weight_bytes
    assert found.embedding_bytes == found.vocabulary * found.hidden * 2


@pytest.mark.parametrize(
    ("name", "rank", "bits"),
    [
        ("deepseek-v3", 1536, 8),
        ("kimi-k2", 1536, 16),
        # q_lora_rank is null: its queries are not compressed.
        ("deepseek-v2-lite", 0, 16),
        ("llama-3.1-8b", 0, 16),
        ("qwen3-32b-awq", 0, 4),
        ("gpt-oss-120b", 0, 4),
    ],
)
def test_rank_of_queries_and_bits_of_weights(name: str, rank: int, bits: float) -> None:
    found = model(name)
    assert (found.query_rank, found.weight_bits) == (rank, bits)


@pytest.mark.parametrize(
    ("name", "experts", "per_token", "widths"),
    [
        ("llama-3.1-8b", 0, 0, (14336,)),
        ("qwen3-235b-a22b", 128, 8, (1536,)),
        ("deepseek-v3", 256, 8, (2048, 18432)),
        ("wizardlm-2-8x22b", 8, 2, (16384,)),
        ("gpt-oss-120b", 128, 4, (2880,)),
    ],
)
def test_experts(name: str, experts: int, per_token: int, widths: tuple[int, ...]) -> None:
    found = model(name)
    assert (found.experts, found.experts_per_token, found.intermediates) == (experts, per_token, widths)


def test_the_first_layers_of_deepseek_are_dense() -> None:
    layers = model("deepseek-v3").layer_bytes
    assert len(set(layers[:3])) == len(set(layers[3:])) == 1
    assert layers[3] > 10 * layers[2]


@pytest.mark.parametrize(
    ("changed", "found", "wanted"),
    [
        ({"torch_dtype": "float16"}, [], "float16"),
        ({"torch_dtype": "float32"}, [], "bfloat16"),
        ({"torch_dtype": "float8_e4m3fn"}, [], "bfloat16"),
        ({"torch_dtype": None}, [], "bfloat16"),
        ({"torch_dtype": None}, ["F16", "I32"], "float16"),
        ({"torch_dtype": None}, ["F16", "BF16"], "bfloat16"),
        ({"torch_dtype": None, "dtype": "torch.float16"}, [], "float16"),
        ({"torch_dtype": "float16", "model_type": "gemma2"}, [], "bfloat16"),
    ],
)
def test_dtype(changed: dict[str, Any], found: list[str], wanted: str) -> None:
    config = models.config("llama-3.1-8b", **changed)
    told = _model_config.told_dtype(config, config, found)
    assert _model_config.dtype_of(told, config["model_type"]) == wanted


@pytest.mark.parametrize(
    ("changed", "context", "usual"),
    [
        ({"rope_scaling": {"type": "linear", "factor": 4.0}}, 524288, 524288),
        ({"rope_scaling": {"rope_type": "dynamic", "factor": 2.0}}, 262144, 262144),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, 131072, 131072),
        ({"rope_parameters": {FULL: {"rope_type": "linear", "factor": 8.0}}, "rope_scaling": None}, 1048576, 1048576),
        (
            {"rope_scaling": {"type": "longrope", "factor": 32.0}, "original_max_position_embeddings": 4096},
            131072,
            4096,
        ),
        ({"model_max_length": 8192}, 8192, 8192),
        ({"seq_length": 4096}, 4096, 4096),
        ({"max_position_embeddings": None}, 2048, 2048),
    ],
)
def test_context_as_vllm_derives_it(changed: dict[str, Any], context: int, usual: int) -> None:
    found = model("llama-3.1-8b", **changed)
    assert (found.context, found.usual_context) == (context, usual)


def test_layers_with_a_state_have_no_kv_cache() -> None:
    kinds = [LINEAR, LINEAR, LINEAR, FULL] * 8
    found = model("llama-3.1-8b", layer_types=kinds)
    assert [size > 0 for size in found.kv_bytes_per_token] == [kind == FULL for kind in kinds]
    assert found.notes == ("24 layers keep a state for each sequence, which is not counted",)


def test_sparse_attention_keeps_an_index_beside_the_cache() -> None:
    # deepseek-ai/DeepSeek-V3.2: index_head_dim 128, index_n_heads 64; 132 bytes in DeepseekV32IndexerCache.
    found = model("deepseek-v3", model_type="deepseek_v32", index_head_dim=128, index_n_heads=64)
    assert set(found.kv_bytes_per_token) == {(512 + 64) * 2 + 132}


def test_what_is_not_known_is_told() -> None:
    config = models.config("llama-3.1-8b", model_type="brand_new", architectures=["BrandNewForCausalLM"])
    assert parse(config).notes == (
        "model type brand_new is not known here: its weights and KV cache are estimated as for Llama",
    )
    assert parse(config).weight_bytes == model("llama-3.1-8b").weight_bytes
    assert "max-model-len" not in str(model("llama-3.1-8b").notes)
    assert model("llama-3.1-8b", max_position_embeddings=None).notes == (
        "config.json gives no length: vLLM uses 2048 tokens",
    )


@pytest.mark.parametrize(
    ("name", "key", "message"),
    [
        ("llama-3.1-8b", "num_hidden_layers", "num_hidden_layers"),
        ("llama-3.1-8b", "hidden_size", "hidden_size"),
        ("llama-3.1-8b", "num_attention_heads", "num_attention_heads"),
        ("llama-3.1-8b", "vocab_size", "vocab_size"),
        ("deepseek-v3", "qk_rope_head_dim", "qk_rope_head_dim"),
    ],
)
def test_what_can_not_be_done_names_the_key(name: str, key: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model(name, **{key: None})


def test_a_number_that_is_none_is_told() -> None:
    with pytest.raises(ValueError, match=r"hidden_size.*'big'"):
        model("llama-3.1-8b", hidden_size="big")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"rope_scaling": {"rope_type": "linear", "factor": "2"}}, "expected a number in factor"),
        ({"moe_layer_freq": {"a": 1}}, "expected a number in moe_layer_freq"),
    ],
)
def test_a_value_of_another_type_is_named(changed: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        model("qwen3-32b", **changed)


@pytest.mark.parametrize(
    "changed", [{"architectures": []}, {"architectures": 1}, {"architectures": {"a": 1}}, {"mlp_only_layers": True}]
)
def test_a_value_that_is_no_list_counts_as_none(changed: dict[str, object]) -> None:
    assert model("qwen3-32b", **changed).layers == model("qwen3-32b").layers


@pytest.mark.parametrize(
    ("names", "tied", "head", "note"),
    [
        (["lm_head.weight"], False, True, False),
        (["score.weight"], False, False, False),
        ([], False, True, False),
        (["lm_head.weight"], True, False, True),
        (["model.norm.weight"], True, False, False),
    ],
)
def test_the_head_by_the_names_of_the_index(names: list[str], tied: bool, head: bool, note: bool) -> None:
    found = parse(models.config("llama-3.1-8b", tie_word_embeddings=tied), names=names)
    assert (found.head_bytes > 0) is head
    assert (found.notes != ()) is note


@pytest.mark.parametrize("name", models.FILES)
def test_what_is_found_can_be_returned_by_a_module(name: str) -> None:
    found = model(name)
    assert json.loads(json.dumps(found.as_dict())) == {
        key: list(value) if isinstance(value, tuple) else value for key, value in found.as_dict().items()
    }
