# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write random weights for the config.json of a directory, as safetensors: weights.py DIR. Runs in a release.

The names are those of checkpoints on the hub, which vLLM reads; classes of transformers may have others.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

SHARD = 4 << 30


def shapes(config: dict[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the name and the shape of each tensor of a Llama or a Qwen3 MoE."""
    hidden, size = config["hidden_size"], config["head_dim"]
    heads, groups = config["num_attention_heads"] * size, config["num_key_value_heads"] * size
    experts = config.get("num_experts", 0)
    yield "model.embed_tokens.weight", (config["vocab_size"], hidden)
    for number in range(config["num_hidden_layers"]):
        layer = f"model.layers.{number}"
        yield f"{layer}.input_layernorm.weight", (hidden,)
        yield f"{layer}.post_attention_layernorm.weight", (hidden,)
        yield f"{layer}.self_attn.q_proj.weight", (heads, hidden)
        yield f"{layer}.self_attn.k_proj.weight", (groups, hidden)
        yield f"{layer}.self_attn.v_proj.weight", (groups, hidden)
        yield f"{layer}.self_attn.o_proj.weight", (hidden, heads)
        if experts:
            yield f"{layer}.self_attn.q_norm.weight", (size,)
            yield f"{layer}.self_attn.k_norm.weight", (size,)
            yield f"{layer}.mlp.gate.weight", (experts, hidden)
        inner = config["moe_intermediate_size"] if experts else config["intermediate_size"]
        for place in [f"{layer}.mlp.experts.{expert}" for expert in range(experts)] or [f"{layer}.mlp"]:
            yield f"{place}.gate_proj.weight", (inner, hidden)
            yield f"{place}.up_proj.weight", (inner, hidden)
            yield f"{place}.down_proj.weight", (hidden, inner)
    yield "model.norm.weight", (hidden,)
    yield "lm_head.weight", (config["vocab_size"], hidden)


def main(folder: Path) -> None:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    index: dict[str, str] = {}
    shard: dict[str, torch.Tensor] = {}
    total = count = 0

    def flush() -> None:
        nonlocal shard, count
        name = f"model-{count:05}.safetensors"
        save_file(shard, folder / name, metadata={"format": "pt"})
        index.update(dict.fromkeys(shard, name))
        shard, count = {}, count + 1

    torch.manual_seed(1)
    for name, shape in shapes(json.loads((folder / "config.json").read_text())):
        # An engine may hold most of the GPU.
        made = torch.empty(shape, dtype=torch.bfloat16, device=device)
        shard[name] = (made.fill_(1.0) if len(shape) == 1 else made.normal_(0, 0.02)).cpu()
        total += shard[name].nbytes
        if sum(tensor.nbytes for tensor in shard.values()) >= SHARD:
            flush()
    flush()
    told = {"metadata": {"total_size": total}, "weight_map": index}
    (folder / "model.safetensors.index.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
