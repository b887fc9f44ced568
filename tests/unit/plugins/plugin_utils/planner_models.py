# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Models and clusters that the planner's tests share.

The keys are those of the public config.json of the repository that is named (on Hugging Face), as far as they decide
sizes. Bytes are computed from shapes by _model_config.parse.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from ansible_collections.vllm_ray.cluster.plugins.module_utils._model_config import Model, parse
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._hardware import ClusterHost, Gpu


def config(architecture: str, model_type: str, sizes: tuple[int, ...], **more: Any) -> dict[str, Any]:
    """Return a config.json. sizes: layers, hidden, heads, KV heads, MLP, vocabulary, context."""
    names = (
        "num_hidden_layers",
        "hidden_size",
        "num_attention_heads",
        "num_key_value_heads",
        "intermediate_size",
        "vocab_size",
        "max_position_embeddings",
    )
    base = {"architectures": [architecture], "model_type": model_type, "torch_dtype": "bfloat16"}
    return {**base, "tie_word_embeddings": False, **dict(zip(names, sizes)), **more}


def llama(*sizes: int, **more: Any) -> dict[str, Any]:
    return config("LlamaForCausalLM", "llama", sizes, **more)


def qwen3_moe(*sizes: int, **more: Any) -> dict[str, Any]:
    experts = {"num_experts": 128, "num_experts_per_tok": 8, "head_dim": 128, "decoder_sparse_step": 1}
    return config("Qwen3MoeForCausalLM", "qwen3_moe", sizes, mlp_only_layers=[], **experts, **more)


FP8 = {"quantization_config": {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128]}}
AWQ = {"quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True}}
GPTQ = {"quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": False, "sym": True}}

CONFIGS: dict[str, dict[str, Any]] = {
    # The model of the measurement on two H200s: Llama 3 8B with 32768 words.
    "measured-8b": llama(32, 4096, 32, 8, 14336, 32768, 8192),
    # meta-llama/Llama-3.1-8B-Instruct, 70B, 405B
    "llama-8b": llama(32, 4096, 32, 8, 14336, 128256, 131072),
    "llama-70b": llama(80, 8192, 64, 8, 28672, 128256, 131072),
    "llama-405b": llama(126, 16384, 128, 8, 53248, 128256, 131072),
    # hugging-quants/Meta-Llama-3.1-70B-Instruct-AWQ-INT4
    "llama-70b-awq": llama(80, 8192, 64, 8, 28672, 128256, 131072, **AWQ),
    # Qwen/Qwen2.5-7B-Instruct and its GPTQ-Int4
    "qwen2.5-7b": config("Qwen2ForCausalLM", "qwen2", (28, 3584, 28, 4, 18944, 152064, 32768)),
    "qwen2.5-7b-gptq": config("Qwen2ForCausalLM", "qwen2", (28, 3584, 28, 4, 18944, 152064, 32768), **GPTQ),
    # Qwen/Qwen3-32B
    "qwen3-32b": config("Qwen3ForCausalLM", "qwen3", (64, 5120, 64, 8, 25600, 151936, 40960), head_dim=128),
    # Qwen/Qwen3-30B-A3B-FP8, Qwen/Qwen3-235B-A22B-FP8
    "qwen3-30b-fp8": qwen3_moe(48, 2048, 32, 4, 6144, 151936, 40960, moe_intermediate_size=768, **FP8),
    "qwen3-235b-fp8": qwen3_moe(94, 4096, 64, 4, 12288, 151936, 40960, moe_intermediate_size=1536, **FP8),
    # deepseek-ai/DeepSeek-V3
    "deepseek-v3": config(
        "DeepseekV3ForCausalLM",
        "deepseek_v3",
        (61, 7168, 128, 128, 18432, 129280, 163840),
        moe_intermediate_size=2048,
        n_routed_experts=256,
        n_shared_experts=1,
        num_experts_per_tok=8,
        first_k_dense_replace=3,
        moe_layer_freq=1,
        kv_lora_rank=512,
        q_lora_rank=1536,
        qk_nope_head_dim=128,
        qk_rope_head_dim=64,
        v_head_dim=128,
        **FP8,
    ),
    # mistralai/Mixtral-8x7B-Instruct-v0.1
    "mixtral-8x7b": config(
        "MixtralForCausalLM",
        "mixtral",
        (32, 4096, 32, 8, 14336, 32000, 32768),
        num_local_experts=8,
        num_experts_per_tok=2,
        sliding_window=None,
    ),
    # google/gemma-3-27b-it, its text part: five layers with a window to one without
    "gemma-3-27b": config(
        "Gemma3ForCausalLM",
        "gemma3_text",
        (62, 5376, 32, 16, 21504, 262208, 131072),
        head_dim=128,
        sliding_window=1024,
        sliding_window_pattern=6,
        tie_word_embeddings=True,
    ),
    # microsoft/phi-4: ten KV heads
    "phi-4": config("Phi3ForCausalLM", "phi3", (40, 5120, 40, 10, 17920, 100352, 16384)),
}


@cache
def model(name: str) -> Model:
    return parse(CONFIGS[name])


# memory.total of nvidia-smi, in MiB.
H100 = Gpu("NVIDIA H100 80GB HBM3", 81559)
H200 = Gpu("NVIDIA H200", 143771)
A100 = Gpu("NVIDIA A100-SXM4-80GB", 81920)
L40S = Gpu("NVIDIA L40S", 46068)
A10 = Gpu("NVIDIA A10", 23028)
RTX4090 = Gpu("NVIDIA GeForce RTX 4090", 24564)


def cluster(*groups: tuple[Gpu, int], inside: str = "nvlink") -> list[ClusterHost]:
    """Return hosts gpu01, gpu02 ... of GPU and count."""
    return [ClusterHost(f"gpu{number:02}", (gpu,) * count, inside) for number, (gpu, count) in enumerate(groups, 1)]
