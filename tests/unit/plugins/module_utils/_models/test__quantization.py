# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._models import _quantization
from ansible_collections.vllm_ray.cluster.plugins.module_utils._models._quantization import Quantization
from ansible_collections.vllm_ray.cluster.tests.unit import models

COMPRESSED = {"num_bits": 8, "type": "float", "strategy": "channel", "symmetric": True}


def of_model(name: str) -> Quantization:
    found, note = _quantization.of_config(models.config(name)["quantization_config"])
    assert note == ""
    return found


def files_of(name: str, module: str) -> int:
    """Return the bytes that a module really takes in the files of a model."""
    prefix = f"model.layers.3.{module}."
    found = [tensor.bytes for key, tensor in models.tensors(name).items() if key.startswith(prefix)]
    assert found
    return sum(found)


@pytest.mark.parametrize(
    ("name", "module", "inputs", "outputs"),
    [
        ("qwen3-32b-awq", "mlp.down_proj", 25600, 5120),
        ("qwen3-32b-awq", "self_attn.k_proj", 5120, 1024),
        ("deepseek-v3", "self_attn.kv_a_proj_with_mqa", 7168, 576),
        ("deepseek-v3", "mlp.shared_experts.up_proj", 7168, 2048),
    ],
)
def test_bytes_of_a_matrix_are_those_in_the_files(name: str, module: str, inputs: int, outputs: int) -> None:
    assert of_model(name).bytes_of(inputs, outputs) == files_of(name, module)


def test_gptq_stores_an_index_of_groups_too() -> None:
    # qweight, qzeros, scales, g_idx, each as AutoGPTQ writes it.
    wanted = 5120 // 8 * 13824 * 4 + 40 * 13824 // 8 * 4 + 40 * 13824 * 2 + 5120 * 4
    assert of_model("llama-2-13b-gptq").bytes_of(5120, 13824) == wanted


@pytest.mark.parametrize(
    ("name", "method", "bits", "group"),
    [
        ("llama-2-13b-gptq", "gptq", 4, 128),
        ("qwen3-32b-awq", "awq", 4, 128),
        ("qwen3-8b-fp8", "fp8", 8, 0),
        ("gpt-oss-120b", "mxfp4", 4, 32),
        ("llama-3.1-8b-bitsandbytes", "bitsandbytes", 8, 0),
    ],
)
def test_real_configs(name: str, method: str, bits: int, group: int) -> None:
    found = of_model(name)
    assert (found.method, found.bits, found.group) == (method, bits, group)


@pytest.mark.parametrize(
    ("config", "size"),
    [
        pytest.param({"quant_method": "fp8"}, 1024 * 512 + 4, id="one scale"),
        pytest.param({"quant_method": "fbgemm_fp8"}, 1024 * 512 + 4 * 512, id="a scale for each channel"),
        pytest.param(
            {"quant_method": "gptq", "bits": 4, "group_size": -1}, 512 * 512 + 512 * 2.5 + 4096, id="no groups"
        ),
        pytest.param({"quant_method": "modelopt", "quant_algo": "NVFP4"}, 512 * 512 + 64 * 512, id="NVFP4"),
        pytest.param(
            {"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "FP8"}}, 1024 * 512 + 4, id="old ModelOpt"
        ),
        pytest.param(
            {"quant_method": "bitsandbytes", "load_in_4bit": True},
            512 * 512 + 16 * 512 * 4,
            id="4 bits in blocks of 64",
        ),
        pytest.param(
            {"quant_method": "compressed_tensors", "config_groups": {"group_0": {"weights": COMPRESSED}}},
            1024 * 512 + 2 * 512,
            id="compressed-tensors",
        ),
        pytest.param(
            {
                "quant_method": "compressed-tensors",
                "config_groups": {
                    "g": {"weights": {**COMPRESSED, "num_bits": 4, "strategy": "group", "group_size": 32}}
                },
            },
            512 * 512 + 32 * 512,
            id="groups of NVFP4's kind",
        ),
    ],
)
def test_bytes_of_a_matrix_of_1024_by_512(config: dict[str, Any], size: float) -> None:
    assert _quantization.of_config(config)[0].bytes_of(1024, 512) == size


@pytest.mark.parametrize(
    ("spared", "name", "wanted"),
    [
        ("lm_head", "lm_head", True),
        ("lm_head", "model.layers.0.mlp.down_proj", False),
        ("model.layers.*.self_attn", "model.layers.7.self_attn.q_proj", True),
        ("model.layers.*.self_attn", "model.layers.7.mlp.gate", False),
        ("re:.*mlp.gate$", "model.layers.7.mlp.gate", True),
        ("re:.*mlp.gate$", "model.layers.7.mlp.gate_proj", False),
        ("mlp.gate", "model.layers.7.mlp.gate_proj", False),
        ("model.layers.1", "model.layers.11.mlp.down_proj", False),
        ("self_attn", "model.layers.1.self_attn.o_proj", True),
    ],
)
def test_spared_modules(spared: str, name: str, wanted: bool) -> None:
    assert Quantization("fp8", spared=(spared,)).spares(name) is wanted


def test_what_is_not_known_is_told() -> None:
    found, note = _quantization.of_config({"quant_method": "aqlm"})
    assert found.method == "aqlm"
    assert "aqlm is not known" in note
    found, note = _quantization.of_config({"quant_method": "compressed-tensors", "config_groups": {}})
    assert "names no weights" in note
    groups = {"a": {"weights": COMPRESSED}, "b": {"weights": {**COMPRESSED, "num_bits": 4}}}
    assert "mixed" in _quantization.of_config({"quant_method": "compressed-tensors", "config_groups": groups})[1]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"quant_method": "gptq", "bits": [4]}, "expected a number in bits"),
        ({"quant_method": "awq", "group_size": {}}, "expected a number in group_size"),
        ({"quant_method": "fp8", "weight_block_size": 128}, "expected the two sides of a block"),
        ({"quant_method": "fp8", "weight_block_size": [128, None]}, "expected a number in a block"),
    ],
)
def test_values_of_another_type_are_named(config: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        _quantization.of_config(config)


@pytest.mark.parametrize("spared", [1, True, "lm_head", {"a": 1}])
def test_names_that_are_no_list_spare_nothing(spared: object) -> None:
    found, _note = _quantization.of_config({"quant_method": "fp8", "modules_to_not_convert": spared})
    assert found.spared == ()
