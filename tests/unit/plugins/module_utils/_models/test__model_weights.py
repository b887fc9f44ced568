# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._models import _model_weights
from ansible_collections.vllm_ray.cluster.plugins.module_utils._models._model_config import Keys, shape_of
from ansible_collections.vllm_ray.cluster.plugins.module_utils._models._model_weights import Weights
from ansible_collections.vllm_ray.cluster.plugins.module_utils._models._quantization import Quantization, of_config
from ansible_collections.vllm_ray.cluster.plugins.module_utils._models._safetensors import Tensor
from ansible_collections.vllm_ray.cluster.tests.unit import models


def of_shapes(name: str) -> Weights:
    config = models.config(name)
    shape = shape_of(Keys(config, config["model_type"]), config["model_type"], tied=False)
    stored = config.get("quantization_config")
    return _model_weights.of_shapes(shape, of_config(stored)[0] if stored else Quantization(), 2)


REPORTED = [
    "qwen3-32b-awq",
    "qwen3-8b-fp8",
    "qwen3-30b-a3b-fp8",
    "qwen3-235b-a22b-fp8",
    "deepseek-v3",
    "deepseek-v2-lite",
]


@pytest.mark.parametrize("name", REPORTED)
def test_shapes_agree_with_the_tensors_of_real_files(name: str) -> None:
    computed = of_shapes(name)
    found = _model_weights.of_tensors(models.tensors(name), len(computed.layers), tied=False, size=2)
    assert (computed.embedding, computed.head, computed.other) == (found.embedding, found.head, found.other)
    # Not counted: biases of routers; the FP8 model's scales are bfloat16 in its files and float32 in vLLM.
    assert computed.layers == pytest.approx(found.layers, rel=2e-4)
    assert computed.left_out == pytest.approx(found.left_out, rel=1e-3)
    total = sum(tensor.bytes for tensor in models.tensors(name).values())
    assert found.total + found.left_out == total


def test_awq_to_the_byte() -> None:
    found = _model_weights.of_tensors(models.tensors("qwen3-32b-awq"), 64, tied=False, size=2)
    assert found == of_shapes("qwen3-32b-awq")
    # The report says 18.00 GB and means GiB.
    assert round(found.total / 1024**3, 2) == 18.00


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("deepseek-v3", 684_531_386_000),
        ("deepseek-v2-lite", 15_706_484_224),
        ("qwen3-30b-a3b-fp8", 30_533_947_392),
        ("qwen3-235b-a22b-fp8", 235_107_904_512),
    ],
)
def test_the_reports_are_whole(name: str, parameters: int) -> None:
    """With scales, as they count."""
    assert sum(tensor.elements for tensor in models.tensors(name).values()) == parameters


def test_a_layer_for_speculation_is_left_out() -> None:
    found = _model_weights.of_tensors(models.tensors("deepseek-v3"), 61, tied=False, size=2)
    with_it = _model_weights.of_tensors(models.tensors("deepseek-v3"), 62, tied=False, size=2)
    assert found.left_out > 15e9
    assert with_it.left_out == 0
    assert with_it.layers[:61] == found.layers


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("model.layers.12.mlp.down_proj.weight", "12"),
        ("language_model.model.layers.3.self_attn.q_proj.weight", "3"),
        ("model.language_model.layers.3.self_attn.q_proj.weight", "3"),
        ("transformer.h.7.attn.c_attn.weight", "7"),
        ("vision_tower.vision_model.encoder.layers.3.mlp.fc1.weight", "other"),
        ("model.visual.blocks.3.attn.qkv.weight", "other"),
        ("multi_modal_projector.mm_input_projection_weight", "other"),
        ("mtp.layers.0.mlp.gate.weight", "left out"),
        ("model.layers.0.self_attn.rotary_emb.inv_freq", "left out"),
        ("model.embed_tokens.weight", "embedding"),
        ("transformer.wte.weight", "embedding"),
        ("lm_head.weight", "head"),
        ("lm_head.qweight", "head"),
        ("model.norm.weight", "other"),
    ],
)
def test_where_a_tensor_belongs(name: str, place: str) -> None:
    assert _model_weights.place(name) == place


def test_floats_become_the_dtype_of_the_model_but_scales_do_not() -> None:
    tensors = {
        "model.layers.0.mlp.up_proj.weight": Tensor("F32", (10, 10)),
        "model.layers.0.mlp.up_proj.weight_scale_inv": Tensor("F32", (1, 1)),
        "model.layers.0.mlp.down_proj.qweight": Tensor("I32", (10, 2)),
        "lm_head.weight": Tensor("F32", (10, 10)),
    }
    assert _model_weights.of_tensors(tensors, 1, tied=True, size=2) == Weights((200 + 4 + 80,), 0, 0, 0, left_out=400)


def test_scaled_to_the_size_of_the_files() -> None:
    weights = Weights((100, 300), 50, 50, 10)
    assert _model_weights.scaled(weights, 910, encoders=False) == Weights((200, 600), 50, 50, 10)
    # The shapes of the text model do not show what images need.
    assert _model_weights.scaled(weights, 910, encoders=True) == Weights((100, 300), 50, 50, 410)
    # A size that can't be is not believed.
    assert _model_weights.scaled(weights, 10, encoders=False) == weights


def test_an_unquantised_layer_is_the_sum_of_its_matrices() -> None:
    config = models.config("llama-3.1-8b")
    shape = shape_of(Keys(config, "llama"), "llama", tied=False)
    wanted = 2 * (4096 * (4096 + 1024 + 1024 + 4096) + 3 * 4096 * 14336 + 2 * 4096)
    assert _model_weights.layer_bytes(shape, 0, Quantization(), 2) == wanted
