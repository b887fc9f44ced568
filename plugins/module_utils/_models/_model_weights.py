# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bytes of a model's weights: of the tensors in its files, or from its shapes. PRIVATE to the collection.

All are bytes as vLLM holds them, on one GPU, before it pads the vocabulary to a multiple of 64.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, replace

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._models._quantization import Quantization
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._models._safetensors import Tensor

LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks|block)\.(\d+)\.")
# Parts of a name that say that a tensor is not of the text model, and those that are for speculation only.
ENCODER = re.compile(
    r"(?:^|[._])(?:vision|visual|audio|image|vit|encoder|mm_projector|multi_modal_projector)(?:[._]|$)"
)
SPECULATION = re.compile(r"(?:^|\.)(?:mtp|nextn|eagle|medusa)(?:[._]|$)")
EMBEDDING = re.compile(r"(?:^|\.)(?:embed_tokens|wte|word_embeddings|tok_embeddings|embed_in)\.")
HEAD = re.compile(r"(?:^|\.)(?:lm_head|embed_out)\.|^output\.")
# Not loaded: vLLM computes them.
COMPUTED = re.compile(r"rotary_emb\.(?:inv_freq|cos_cached|sin_cached)$")
# Floats that keep their type; all others become the model's dtype.
KEPT = re.compile(r"(?:_scale|_scale_inv|_scale_2|e_score_correction_bias|absmax|quant_map|SCB|A_log)$")
FLOATS = frozenset(("F64", "F32", "F16", "BF16"))


@dataclass(frozen=True)
class Weights:
    """Bytes. left_out: what the files hold besides and vLLM does not load, layers for speculation for example."""

    layers: tuple[int, ...]
    embedding: int
    head: int
    other: int
    left_out: int = 0

    @property
    def total(self) -> int:
        return sum(self.layers) + self.embedding + self.head + self.other


@dataclass(frozen=True)
class Latent:
    """Ranks and sizes of MLA. query: rank of queries, 0 where they are not compressed."""

    query: int
    kv: int
    nope: int
    rope: int
    value: int


@dataclass(frozen=True)
class Shape:
    """What a model's sizes are computed from. All in elements.

    norms: vectors of the hidden size in a layer. mlp, expert, shared: widths; 0 where there is none. matrices: of an
    MLP, 3 where it is gated. sparse: whether a layer has experts. indexer: heads and size of a sparse attention's
    index. speculative: layers after the last that are for speculation.
    """

    layers: int
    hidden: int
    vocabulary: int
    tied: bool
    heads: int
    kv_heads: int
    head_dim: int
    value_dim: int
    latent: Latent | None
    indexer: tuple[int, int]
    qkv_bias: bool
    out_bias: bool
    head_norms: bool
    norms: int
    mlp: int
    matrices: int
    sparse: tuple[bool, ...]
    experts: int
    expert: int
    shared: int
    shared_gate: bool
    speculative: int


class Linear(t.NamedTuple):
    """Matrices of the same shape in a layer. quantized: a quantisation would store them in its own way."""

    name: str
    inputs: int
    outputs: int
    copies: int = 1
    quantized: bool = True


def attention(shape: Shape) -> tuple[list[Linear], int]:
    """Return the matrices of a layer's attention and how many other parameters it has."""
    hidden, heads = shape.hidden, shape.heads
    if shape.latent:
        ranks = shape.latent
        query = ranks.nope + ranks.rope
        found = [
            Linear("self_attn.kv_a_proj_with_mqa", hidden, ranks.kv + ranks.rope),
            Linear("self_attn.kv_b_proj", ranks.kv, heads * (ranks.nope + ranks.value)),
            Linear("self_attn.o_proj", heads * ranks.value, hidden),
        ]
        if ranks.query:
            found += [
                Linear("self_attn.q_a_proj", hidden, ranks.query),
                Linear("self_attn.q_b_proj", ranks.query, heads * query),
            ]
        else:
            found.append(Linear("self_attn.q_proj", hidden, heads * query))
        index_heads, index_dim = shape.indexer
        if index_heads:
            found += [
                Linear("self_attn.indexer.wq_b", ranks.query, index_heads * index_dim),
                Linear("self_attn.indexer.wk", hidden, index_dim),
                Linear("self_attn.indexer.weights_proj", hidden, index_heads, quantized=False),
            ]
        return found, ranks.kv + ranks.query + 2 * index_dim
    keys, values = shape.kv_heads * shape.head_dim, shape.kv_heads * shape.value_dim
    found = [
        Linear("self_attn.q_proj", hidden, heads * shape.head_dim),
        Linear("self_attn.k_proj", hidden, keys),
        Linear("self_attn.v_proj", hidden, values),
        Linear("self_attn.o_proj", heads * shape.value_dim, hidden),
    ]
    biases = (heads * shape.head_dim + keys + values) * shape.qkv_bias + hidden * shape.out_bias
    return found, biases + 2 * shape.head_dim * shape.head_norms


def mlp(shape: Shape, layer: int) -> list[Linear]:
    """Return the matrices of a layer's MLP, or of its router and experts."""

    def matrices(name: str, width: int, copies: int = 1) -> list[Linear]:
        inwards = [Linear(f"{name}.{part}", shape.hidden, width, copies) for part in ("up_proj", "gate_proj")]
        return [*inwards[: shape.matrices - 1], Linear(f"{name}.down_proj", width, shape.hidden, copies)]

    if not shape.sparse[layer]:
        return matrices("mlp", shape.mlp)
    found = [Linear("mlp.gate", shape.hidden, shape.experts, quantized=False)]
    found += matrices("mlp.experts.0", shape.expert, shape.experts)
    if shape.shared:
        found += matrices("mlp.shared_experts", shape.shared)
    if shape.shared_gate:
        found.append(Linear("mlp.shared_expert_gate", shape.hidden, 1, quantized=False))
    return found


def layer_bytes(shape: Shape, layer: int, quantization: Quantization, size: int) -> int:
    """Return the bytes of a layer. size: bytes of a weight that is not quantised."""
    linears, others = attention(shape)
    total = (others + shape.norms * shape.hidden) * size
    for linear in [*linears, *mlp(shape, layer)]:
        if linear.quantized and quantization.method and not quantization.spares(f"model.layers.{layer}.{linear.name}"):
            total += linear.copies * quantization.bytes_of(linear.inputs, linear.outputs)
        else:
            total += linear.copies * linear.inputs * linear.outputs * size
    return total


def of_shapes(shape: Shape, quantization: Quantization, size: int) -> Weights:
    """Return the bytes of a model from its shapes. size: bytes of a weight that is not quantised."""
    embedding = shape.vocabulary * shape.hidden * size
    head = embedding
    if quantization.head:
        head = quantization.bytes_of(shape.hidden, shape.vocabulary)
    layers = tuple(layer_bytes(shape, layer, quantization, size) for layer in range(shape.layers))
    # DeepSeek V3's README_WEIGHTS: such a layer has a projection of twice the hidden size, norms, and its own copies of
    # embedding and head.
    one = layers[-1] + (2 * shape.hidden**2 + 3 * shape.hidden) * size + 2 * embedding
    return Weights(
        layers=layers,
        embedding=embedding,
        head=0 if shape.tied else head,
        other=shape.hidden * size,
        left_out=shape.speculative * one,
    )


def scaled(weights: Weights, total_size: int, encoders: bool) -> Weights:
    """Return weights that agree with the size of the files.

    encoders: the model has parts besides the text model, which the shapes don't show: they are what is missing.
    Otherwise the layers are scaled, since embeddings are known exactly.
    """
    missing = total_size - weights.total - weights.left_out
    if encoders and missing >= 0:
        return replace(weights, other=weights.other + missing)
    layers = sum(weights.layers)
    wanted = layers + missing * layers // (layers + weights.left_out)
    if wanted <= 0:
        return weights
    grown = [size * wanted // layers for size in weights.layers]
    return replace(weights, layers=tuple(grown), left_out=total_size - weights.total + layers - sum(grown))


def of_tensors(tensors: Mapping[str, Tensor], layers: int, tied: bool, size: int) -> Weights:
    """Return the bytes that vLLM holds of the tensors of the files. size: bytes of the model's dtype."""
    of_layers = [0] * layers
    embedding = head = other = left_out = 0
    for name, tensor in tensors.items():
        count = tensor.elements * size if tensor.dtype in FLOATS and not KEPT.search(name) else tensor.bytes
        part = place(name)
        if part == "left out" or (part == "head" and tied):
            left_out += tensor.bytes
        elif part == "embedding":
            embedding += count
        elif part == "head":
            head += count
        elif part == "other":
            other += count
        elif int(part) < layers:
            of_layers[int(part)] += count
        else:
            left_out += tensor.bytes
    return Weights(tuple(of_layers), embedding, head, other, left_out)


def place(name: str) -> str:
    """Return where a tensor belongs: the number of a layer, embedding, head, other or left out."""
    if COMPUTED.search(name) or SPECULATION.search(name):
        return "left out"
    if ENCODER.search(name):
        return "other"
    layer = LAYER.search(name)
    if layer:
        return layer.group(1)
    if EMBEDDING.search(name):
        return "embedding"
    return "head" if HEAD.search(name) else "other"


def has_head(names: Iterable[str]) -> bool:
    return any(place(name) == "head" for name in names)
