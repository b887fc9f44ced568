# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model is, from its config.json and the headers of its safetensors files. PRIVATE to the collection."""

from __future__ import annotations

import typing as t
from dataclasses import asdict, dataclass, replace

from ansible_collections.vllm_ray.cluster.plugins.module_utils._models._model_weights import (
    Latent,
    Shape,
    Weights,
    has_head,
    of_shapes,
    of_tensors,
    scaled,
)
from ansible_collections.vllm_ray.cluster.plugins.module_utils._models._quantization import Quantization, of_config

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._models._quantization import Config
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._models._safetensors import Tensor


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
    # Longest sequence, and what vLLM takes where no max-model-len is set.
    context: int
    usual_context: int
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
    # Rank of MLA's compressed queries; 0 where they are not compressed, and without MLA.
    query_rank: int = 0
    # Of a weight of a linear layer, without its scales.
    weight_bits: float = 16
    notes: tuple[str, ...] = ()

    @property
    def weight_bytes(self) -> int:
        return sum(self.layer_bytes) + self.embedding_bytes + self.head_bytes + self.other_bytes

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


# What Transformers 5.19 fills in where a config leaves a key out (its configuration_*.py); a null is kept as it is.
DEFAULTS: dict[str, dict[str, int]] = {
    "gemma": {"head_dim": 256},
    "gemma2": {"head_dim": 256, "sliding_window": 4096},
    "gemma3_text": {
        "vocab_size": 262208,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 256,
        "max_position_embeddings": 131072,
        "sliding_window": 4096,
    },
    "mistral": {"num_key_value_heads": 8, "sliding_window": 4096, "max_position_embeddings": 131072},
    "mixtral": {"num_key_value_heads": 8, "max_position_embeddings": 131072},
    "gpt_oss": {"head_dim": 64, "num_key_value_heads": 8, "sliding_window": 128, "max_position_embeddings": 131072},
    "cohere2": {"sliding_window": 4096},
    "llama4_text": {"attention_chunk_size": 8192},
}
# Text models whose embeddings are tied where the config does not say it.
TIED = frozenset((
    "bloom", "cohere", "cohere2", "cohere2_moe", "ernie4_5", "ernie4_5_moe", "falcon", "gemma", "gemma2", "gemma3_text",
    "gemma3n_text", "gemma4_text", "gpt2", "gpt_bigcode", "lfm2", "lfm2_moe", "minicpm3", "mpt", "opt", "smollm3",
    "starcoder2", "zamba2",
))  # fmt: skip
# model_type of models with MLA (ModelArchConfigConvertorBase.is_deepseek_mla).
MLA = frozenset((
    "axk1", "bailing_hybrid", "deepseek_v2", "deepseek_v3", "deepseek_v32", "dots3_note", "glm4_moe_lite", "glm5_next",
    "glm5_next_text", "glm_moe_dsa", "hy_v4", "kimi_k2", "kimi_linear", "longcat_flash", "pangu_ultra_moe",
))  # fmt: skip
# Every how many layers one has full attention, where layer_types is missing.
FULL_EVERY = {
    "gemma2": 2,
    "gpt_oss": 2,
    "gemma3_text": 6,
    "cohere2": 4,
    "llama4_text": 4,
    "gemma3n_text": 5,
    "olmo3": 4,
}
# Model types whose shapes are counted to the parameter in tests; others are counted as if they were like Llama.
COUNTED = frozenset((
    "deepseek_v2", "deepseek_v3", "gemma2", "gemma3_text", "gpt_oss", "kimi_k2", "llama", "mistral", "mixtral", "phi3",
    "qwen2", "qwen3", "qwen3_moe",
))  # fmt: skip
# MLPs without a gate: two matrices instead of three.
UNGATED = frozenset((
    "bloom", "falcon", "gpt2", "gpt_bigcode", "gpt_neox", "gptj", "mpt", "nemotron", "opt", "phi", "starcoder2",
))  # fmt: skip
FOUR_NORMS = frozenset(("gemma2", "gemma3_text", "glm4"))
HEAD_NORMS = frozenset(("gemma3_text", "qwen3", "qwen3_moe"))
NO_FLOAT16 = frozenset(("gemma2", "gemma3", "gemma3_text", "glm4"))
# RoPE scalings that max_position_embeddings already contains (vllm.config.model._get_and_verify_max_len).
SCALED = frozenset(("su", "longrope", "llama3", "yarn", "deepseek_yarn", "deepseek_llama_scaling", "default", "mrope"))
LENGTHS = (
    "max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "model_max_length", "max_target_positions",
    "max_sequence_length", "max_seq_length", "seq_len",
)  # fmt: skip
USUAL_LENGTH = 2048
VISITED = ("num_experts_per_tok", "num_experts_per_token", "top_k_experts", "moe_topk", "moe_top_k")
# Entries of layer_types without a KV cache that grows.
STATE = frozenset(("linear_attention", "mamba", "mamba2", "conv", "recurrent"))
# The index of DeepSeek's sparse attention: keys in fp8 with a float32 scale for 128 of them (DeepseekV32IndexerCache).
INDEX_BLOCK = 128
BYTES = {"bfloat16": 2, "float16": 2, "float32": 4}
FLOATS = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}


class Keys:
    """The keys of a text model: those of its config, and what Transformers fills in. A null counts as missing."""

    def __init__(self, config: Config, model_type: str) -> None:
        self.values: Config = {**DEFAULTS.get(model_type, {}), **config}

    def get(self, *names: str, default: object = None) -> object:
        """Return the first of some keys, of whatever type."""
        return next((self.values[name] for name in names if self.values.get(name) is not None), default)

    def listed(self, *names: str) -> list[object] | None:
        """Return the first of some keys where it is a list."""
        value = self.get(*names)
        return value if isinstance(value, list) else None

    def number(self, *names: str, default: int | None = None) -> int:
        """Return the first of some keys as a number. Raises ValueError where there is none and no default."""
        value = self.get(*names, default=default)
        if isinstance(value, list):
            value = max(value, default=0)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"config.json: expected a number in {' or '.join(names)}, found {value!r}")
        return int(value)


def text_config(config: Config) -> Config:
    """Return the part of a config that describes the text model: all of it, or a nested one."""
    for name in ("text_config", "llm_config", "language_config", "thinker_config"):
        nested = config.get(name)
        if isinstance(nested, dict):
            return text_config(nested)
    return config


def has_encoders(config: Config) -> bool:
    """Whether there are parts besides the text model, for images or sound."""
    thinker = config.get("thinker_config")
    parts = thinker if thinker and isinstance(thinker, dict) else config
    return any(isinstance(value, dict) and name.startswith(("vision", "audio", "vit")) for name, value in parts.items())


def told_dtype(config: Config, text: Config, found: Iterable[str]) -> str:
    """Return the dtype that a config names, or that all floats of the files have. found: dtypes of the tensors."""
    vision = config.get("vision_config")
    parts = [config, text, *([vision] if isinstance(vision, dict) else [])]
    told = next((str(part[key]) for part in parts for key in ("dtype", "torch_dtype") if part.get(key)), "")
    floats = {FLOATS[name] for name in found if name in FLOATS}
    if not told and len(floats) == 1:
        told = floats.pop()
    return told.replace("torch.", "")


def dtype_of(told: str, model_type: str) -> str:
    """Return the dtype that vLLM takes by itself on a GPU with bfloat16 (vllm.config.model._resolve_auto_dtype).

    float32 becomes bfloat16, and so does every type in which no GPU computes.
    """
    return "float16" if told in ("float16", "half") and model_type not in NO_FLOAT16 else "bfloat16"


def rope_parameters(keys: Keys) -> list[Config]:
    """Return the RoPE parameters: one mapping, or one for each kind of layer."""
    found = keys.get("rope_parameters", "rope_scaling", default={})
    if not isinstance(found, dict):
        return []
    nested: list[Config] = [value for value in found.values() if isinstance(value, dict)]
    return nested or [found]


def contexts(keys: Keys, model_type: str) -> tuple[int, int, str]:
    """Return the longest sequence, the one that vLLM takes by itself, and a note where the config gives none."""
    lengths = [keys.number(name) for name in LENGTHS if keys.get(name) is not None]
    longest = keys.number("model_max_length", default=min(lengths, default=USUAL_LENGTH))
    note = "" if lengths else f"config.json gives no length: vLLM uses {USUAL_LENGTH} tokens"
    scalings = rope_parameters(keys)
    kinds = [str(one.get("rope_type") or one.get("type") or "default") for one in scalings]
    if model_type == "phi3":
        kinds = ["longrope" if kind in ("su", "yarn") else kind for kind in kinds]
    if "gemma3" not in model_type:
        factors = [one.get("factor") for one, kind in zip(scalings, kinds) if kind not in SCALED]
        factor = next((factor for factor in reversed(factors) if factor), 1)
        if not isinstance(factor, (int, float)):
            raise ValueError(f"config.json: expected a number in factor, found {factor!r}")
        longest = int(longest * factor)
    usual = keys.number("original_max_position_embeddings", default=longest) if "longrope" in kinds else longest
    return longest, usual, note


def attends(keys: Keys, layers: int) -> list[bool]:
    """Return for each layer whether it keeps keys and values of all its tokens, or only a state."""
    kinds = keys.listed("layer_types", "layers_block_type")
    if kinds is not None:
        return [kind not in STATE for kind in kinds][:layers]
    pattern = keys.get("hybrid_override_pattern")
    if isinstance(pattern, str):
        return [letter == "*" for letter in pattern][:layers]
    listed = keys.listed("attn_type_list")
    if listed is not None:
        return [kind == 1 for kind in listed][:layers]
    if keys.get("linear_num_value_heads") is not None:
        every = keys.number("full_attention_interval", default=4)
        return [(layer + 1) % every == 0 for layer in range(layers)]
    return [True] * layers


def windows(keys: Keys, model_type: str, layers: int) -> tuple[int, ...]:
    """Return the window of each layer in tokens, 0 for full attention, as vLLM's models take it."""
    window = keys.number("sliding_window", default=0)
    if model_type == "llama4_text":
        window = keys.number("attention_chunk_size", default=0)
    if model_type == "cohere2":
        # A token sees itself besides its window there.
        window += 1
    if keys.get("use_sliding_window") is False:
        window = 0
    kinds = keys.listed("layer_types")
    if kinds is not None:
        sliding = [str(kind).startswith(("sliding", "chunked")) for kind in kinds][:layers]
    elif keys.get("use_sliding_window"):
        first = keys.number("max_window_layers", default=layers)
        sliding = [layer >= first for layer in range(layers)]
    else:
        usual = FULL_EVERY.get(model_type, 0)
        every = keys.number("sliding_window_pattern", "no_rope_layer_interval", default=usual) if usual else 0
        sliding = [not every or (layer + 1) % every != 0 for layer in range(layers)]
    return tuple(window if slides else 0 for slides in sliding)


def latent_of(keys: Keys, model_type: str) -> Latent | None:
    if model_type not in MLA or keys.get("kv_lora_rank") is None:
        return None
    return Latent(
        query=keys.number("q_lora_rank", default=0),
        kv=keys.number("kv_lora_rank"),
        nope=keys.number("qk_nope_head_dim"),
        rope=keys.number("qk_rope_head_dim"),
        value=keys.number("v_head_dim"),
    )


def sparse_layers(keys: Keys, layers: int, experts: int) -> tuple[bool, ...]:
    """Return for each layer whether it has experts."""
    kinds = keys.listed("mlp_layer_types")
    if kinds is not None:
        return tuple(kind == "sparse" for kind in kinds[:layers])
    frequencies = keys.listed("moe_layer_freq")
    if frequencies is not None:
        return tuple(bool(value) and experts > 0 for value in frequencies[:layers])
    every = keys.number("moe_layer_freq", default=1)
    first = keys.number("first_k_dense_replace", default=0)
    step = keys.number("decoder_sparse_step", default=1)
    dense = keys.listed("mlp_only_layers") or []
    return tuple(
        experts > 0 and layer >= first and layer % every == 0 and (layer + 1) % step == 0 and layer not in dense
        for layer in range(layers)
    )


def shape_of(keys: Keys, model_type: str, tied: bool) -> Shape:
    """Return the shape of a text model. Raises ValueError that names a key that is missing."""
    # Nemotron's newest configs only list the kinds of layers.
    kinds = keys.listed("layers_block_type") or []
    layers = keys.number("num_hidden_layers", "n_layer", "n_layers", "num_layers", default=len(kinds) or None)
    hidden = keys.number("hidden_size", "n_embd", "d_model")
    heads = keys.number("num_attention_heads", "n_head", "n_heads")
    latent = latent_of(keys, model_type)
    head_dim = keys.number("head_dim", "hidden_size_per_head", default=0) or hidden // heads
    experts = keys.number("num_experts", "moe_num_experts", "n_routed_experts", "num_local_experts", default=0)
    sparse = sparse_layers(keys, layers, experts)
    mlp = keys.number("intermediate_size", "ffn_dim", "n_inner", "ffn_hidden_size", default=4 * hidden)
    expert = keys.number("moe_intermediate_size", default=mlp)
    shared = keys.number("n_shared_experts", default=0) * expert
    kv_heads = ("n_head_kv", "num_kv_heads", "num_key_value_heads", "multi_query_group_num", "num_attention_groups")
    bias = keys.get("attention_bias", "qkv_bias", default=model_type in ("qwen2", "qwen2_moe")) is True
    return Shape(
        layers=layers,
        hidden=hidden,
        vocabulary=keys.number("vocab_size"),
        tied=tied,
        heads=heads,
        kv_heads=keys.number(*kv_heads, default=heads),
        head_dim=latent.kv + latent.rope if latent else head_dim,
        value_dim=head_dim if latent else keys.number("v_head_dim", default=head_dim),
        latent=latent,
        indexer=(keys.number("index_n_heads", default=0), keys.number("index_head_dim", default=0))
        if latent
        else (0, 0),
        qkv_bias=bias,
        out_bias=bias and keys.get("attention_bias") is True,
        head_norms=model_type in HEAD_NORMS,
        norms=4 if model_type in FOUR_NORMS else 2,
        mlp=mlp,
        matrices=2 if model_type in UNGATED else 3,
        sparse=sparse,
        experts=experts,
        expert=expert if experts else 0,
        shared=keys.number("shared_expert_intermediate_size", default=shared) if experts else 0,
        shared_gate=keys.get("shared_expert_intermediate_size") is not None,
        speculative=keys.number("num_nextn_predict_layers", "num_mtp_layers", default=0),
    )


def kv_bytes(shape: Shape, size: int) -> int:
    """Return the bytes that a token takes in the KV cache of a layer. size: bytes of an element."""
    if shape.latent:
        # One vector for all heads, without values (MLAAttentionSpec.head_size_v is 0).
        index = shape.indexer[1] + shape.indexer[1] // INDEX_BLOCK * 4
        return shape.head_dim * size + index
    return shape.kv_heads * (shape.head_dim + shape.value_dim) * size


def tied_of(config: Config, text: Config, model_type: str) -> bool:
    told = [part["tie_word_embeddings"] for part in (config, text) if part.get("tie_word_embeddings") is not None]
    return bool(told[0]) if told else model_type in TIED


def parse(
    config: Config,
    tensors: Mapping[str, Tensor] | None = None,
    total_size: int | None = None,
    names: Iterable[str] = (),
) -> Model:
    """Return what a model is.

    config: its config.json. tensors: of its safetensors files, if they could be read. total_size, names: bytes of all
    tensors and their names from its index, where only that could be read.
    Raises ValueError that names what is missing.
    """
    text = text_config(config)
    model_type = str(text.get("model_type") or config.get("model_type") or "")
    keys = Keys(text, model_type)
    known = set(tensors or names)
    tied = tied_of(config, text, model_type)
    shape = shape_of(keys, model_type, tied)
    told = told_dtype(config, text, [tensor.dtype for tensor in (tensors or {}).values()])
    dtype = dtype_of(told, str(config.get("model_type")))
    quantization, notes = Quantization(), []
    for part in (config, text):
        stored = part.get("quantization_config") or part.get("compression_config")
        if isinstance(stored, dict):
            quantization, note = of_config(stored)
            notes += [note] if note else []
            break
    context, usual_context, note = contexts(keys, model_type)
    notes += [note] if note else []
    if model_type not in COUNTED:
        what = "KV cache is" if tensors else "weights and KV cache are"
        notes.append(f"model type {model_type or 'none'} is not known here: its {what} estimated as for Llama")
    if tied and has_head(known):
        notes.append("the files hold an lm_head although embeddings are tied: vLLM keeps it if it differs")
    if total_size and told == "float32" and not quantization.method:
        # Its files are twice as large as what vLLM holds.
        total_size = total_size * BYTES[dtype] // BYTES["float32"]
    weights, source = _weights(shape, quantization, BYTES[dtype], tensors, total_size, config)
    if known and not tied and not has_head(known):
        weights = replace(weights, head=0)
    if source == "shapes" and has_encoders(config):
        notes.append("the parts for images or sound are not counted")
    attending = attends(keys, shape.layers)
    if not all(attending):
        notes.append(f"{attending.count(False)} layers keep a state for each sequence, which is not counted")
    architectures = config.get("architectures") or text.get("architectures")
    return Model(
        architecture=str(architectures[0]) if architectures and isinstance(architectures, list) else "",
        model_type=model_type,
        layers=shape.layers,
        hidden=shape.hidden,
        heads=shape.heads,
        kv_heads=1 if shape.latent else shape.kv_heads,
        head_dim=shape.head_dim,
        intermediates=_intermediates(shape),
        vocabulary=shape.vocabulary,
        context=context,
        usual_context=usual_context,
        dtype=dtype,
        quantization=quantization.method,
        group_size=quantization.block[1] or quantization.group,
        experts=shape.experts,
        experts_per_token=keys.number(*VISITED, default=0),
        mla=shape.latent is not None,
        tied_embeddings=tied,
        windows=windows(keys, model_type, shape.layers),
        kv_bytes_per_token=tuple(kv_bytes(shape, BYTES[dtype]) * keeps for keeps in attending),
        layer_bytes=weights.layers,
        embedding_bytes=weights.embedding,
        head_bytes=weights.head,
        other_bytes=weights.other,
        bytes_from=source,
        query_rank=shape.latent.query if shape.latent else 0,
        weight_bits=quantization.bits if quantization.method else 8.0 * BYTES[dtype],
        notes=tuple(notes),
    )


def _weights(
    shape: Shape,
    quantization: Quantization,
    size: int,
    tensors: Mapping[str, Tensor] | None,
    total_size: int | None,
    config: Config,
) -> tuple[Weights, str]:
    """Return the bytes of the weights and where they are from."""
    if tensors:
        return of_tensors(tensors, shape.layers, shape.tied, size), "files"
    weights = of_shapes(shape, quantization, size)
    if total_size:
        return scaled(weights, total_size, has_encoders(config)), "index"
    return weights, "shapes"


def _intermediates(shape: Shape) -> tuple[int, ...]:
    """Return the widths of MLPs and experts that there are."""
    dense = {shape.mlp} if not all(shape.sparse) else set()
    sparse = {shape.expert, shape.shared} if any(shape.sparse) else set()
    return tuple(sorted((dense | sparse) - {0}))
