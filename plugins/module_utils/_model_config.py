# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model is, from its config.json and the headers of its safetensors files. PRIVATE to the collection."""

from __future__ import annotations

import typing as t
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Model:
    """A model as vLLM would load it. Sizes in bytes, lengths in tokens; per layer: one entry for each decoder layer.

    notes: what was assumed where the model is not known, one sentence each; empty where nothing was.
    """

    architecture: str
    model_type: str
    layers: int
    hidden: int
    # Attention heads, and key-value heads: 1 for MLA, as vLLM counts it.
    heads: int
    kv_heads: int
    # Of a key; for MLA of what is cached of a token (kv_lora_rank + qk_rope_head_dim), as vLLM counts it.
    head_dim: int
    # Widths of MLPs and experts: a TP size must divide each of them.
    intermediates: tuple[int, ...]
    vocabulary: int
    context: int
    # Of activations, of the KV cache, and of weights that are not quantised: bfloat16, float16 or float32.
    dtype: str
    # "" for none, or vLLM's name: fp8, gptq, awq, compressed-tensors, bitsandbytes ...
    quantization: str
    # Input channels that share a scale; 0 for none, per channel or per tensor.
    group_size: int
    # Routed experts, 0 for a dense model, and how many of them a token visits.
    experts: int
    experts_per_token: int
    mla: bool
    tied_embeddings: bool
    # Sliding window of each layer, 0 for full attention.
    windows: tuple[int, ...]
    # Of each layer on one GPU with TP=1, in a KV cache of dtype.
    kv_bytes_per_token: tuple[int, ...]
    layer_bytes: tuple[int, ...]
    embedding_bytes: int
    # lm_head; 0 where it is the embedding.
    head_bytes: int
    # What every layout loads besides: final norm, vision tower. Layers for speculation are not loaded.
    other_bytes: int
    # "files": headers of safetensors files; "index": shapes, scaled to the index's total_size; "shapes": computed.
    bytes_from: str
    notes: tuple[str, ...] = ()

    @property
    def weight_bytes(self) -> int:
        return sum(self.layer_bytes) + self.embedding_bytes + self.head_bytes + self.other_bytes

    def as_dict(self) -> dict[str, t.Any]:
        return asdict(self)
