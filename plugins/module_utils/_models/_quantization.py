# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a checkpoint stores its linear layers, from its quantization_config. PRIVATE to the collection."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from math import ceil

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    # Of a file that anybody may have written, so its values may be of any type.
    Config = Mapping[str, object]

# What vLLM 0.32.0 knows: QUANTIZATION_METHODS and DEPRECATED_QUANTIZATION_METHODS of its
# model_executor/layers/quantization/__init__.py, which tests/integration asks. Deprecated ones want
# --allow-deprecated-quantization.
KNOWN = frozenset((
    "auto_awq", "auto_gptq", "awq", "awq_marlin", "compressed-tensors", "deepseek_v4_fp8", "experts_int8", "fbgemm_fp8",
    "fp8", "fp8_per_block", "fp8_per_channel", "fp8_per_tensor", "fp_quant", "gpt_oss_mxfp4", "gptq", "gptq_marlin",
    "humming", "inc", "int8_per_channel_weight_only", "modelopt", "modelopt_fp4", "modelopt_mixed", "modelopt_mxfp8",
    "moe_wna16", "mxfp4", "mxfp8", "nvfp4_per_token", "online", "quark", "torchao",
))  # fmt: skip
DEPRECATED = frozenset(("fbgemm_fp8", "fp_quant"))
# Input channels that share a scale in formats that fix it.
NVFP4_GROUP, MXFP4_GROUP, BITSANDBYTES_BLOCK = 16, 32, 64


@dataclass(frozen=True)
class Quantization:
    """How linear layers are stored.

    method: as the checkpoint names it, empty for none. bits: of a weight. group: input channels that share a scale,
    0 for all of them. block: output and input channels that share a scale. per_tensor: one scale for all.
    scale_bytes, zero_bits: of a scale and of a zero point. order: an index of each input channel's group is stored.
    spared: modules that are not quantised, as the checkpoint writes them.
    """

    method: str = ""
    bits: float = 16
    group: int = 0
    block: tuple[int, int] = (0, 0)
    per_tensor: bool = False
    scale_bytes: float = 0
    zero_bits: float = 0
    order: bool = False
    head: bool = False
    spared: tuple[str, ...] = ()

    def bytes_of(self, inputs: int, outputs: int) -> int:
        """Return the bytes of a matrix."""
        scales = ceil(inputs / self.group) * outputs if self.group else outputs
        if self.block[0]:
            scales = ceil(outputs / self.block[0]) * ceil(inputs / self.block[1])
        if self.per_tensor:
            scales = 1
        order = 4 * inputs if self.order else 0
        return int(inputs * outputs * self.bits / 8 + scales * (self.scale_bytes + self.zero_bits / 8) + order)

    def spares(self, name: str) -> bool:
        """Whether a module is stored as it was. name: full, model.layers.0.self_attn.q_proj for example."""
        return any(_names(pattern, name) for pattern in self.spared)


def _names(pattern: str, name: str) -> bool:
    """Whether a pattern of a quantisation means a module: a regular expression, a glob, or a part of its path."""
    if pattern.startswith("re:"):
        return re.match(pattern[3:], name) is not None
    if "*" in pattern:
        return fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")
    return f".{pattern}." in f".{name}."


def of_config(config: Config) -> tuple[Quantization, str]:
    """Return how the layers of a quantization_config are stored, and a note where that is not known."""
    method = method_of(config)
    known = Quantization(method, spared=_names_in(config, "modules_to_not_convert", "ignore", "ignored_layers"))
    reader = READERS.get(method)
    if reader:
        return reader(config, known)
    return known, f"quantization {method} is not known here: its weights are counted as if they were not quantised"


def method_of(config: Config) -> str:
    """Return the method as vLLM names it (ModelArchConfigConvertorBase._normalize_quantization_config)."""
    method = str(config.get("quant_method") or "").lower().replace("compressed_tensors", "compressed-tensors")
    if not method or method == "modelopt":
        nested = config.get("quantization")
        algorithm = config.get("quant_algo") or (nested.get("quant_algo") if isinstance(nested, dict) else "")
        method = "modelopt_fp4" if str(algorithm).upper() == "NVFP4" else "modelopt" if algorithm else method
    return method or "unnamed"


def _gptq(config: Config, known: Quantization) -> tuple[Quantization, str]:
    # qweight and qzeros are packed to int32, scales are float16, g_idx is int32.
    bits, group = _number(config, "bits", "w_bit", usual=4), _group(config)
    found = replace(
        known, bits=bits, group=group, scale_bytes=2, zero_bits=bits, order=True, head=_true(config, "lm_head")
    )
    return found, ""


def _awq(config: Config, known: Quantization) -> tuple[Quantization, str]:
    bits, group = _number(config, "bits", "w_bit", usual=4), _group(config)
    return replace(
        known, bits=bits, group=group, scale_bytes=2, zero_bits=bits * (config.get("zero_point") is not False)
    ), ""


def _fp8(config: Config, known: Quantization) -> tuple[Quantization, str]:
    if config.get("weight_block_size"):
        return replace(known, bits=8, block=_block(config["weight_block_size"]), scale_bytes=4), ""
    return replace(known, bits=8, per_tensor=True, scale_bytes=4), ""


def _fbgemm(_config: Config, known: Quantization) -> tuple[Quantization, str]:
    return replace(known, bits=8, scale_bytes=4), ""


def _modelopt(_config: Config, known: Quantization) -> tuple[Quantization, str]:
    return replace(known, bits=8, per_tensor=True, scale_bytes=4), ""


def _nvfp4(_config: Config, known: Quantization) -> tuple[Quantization, str]:
    return replace(known, bits=4, group=NVFP4_GROUP, scale_bytes=1), ""


def _mxfp4(_config: Config, known: Quantization) -> tuple[Quantization, str]:
    return replace(known, bits=4, group=MXFP4_GROUP, scale_bytes=1), ""


def _bitsandbytes(config: Config, known: Quantization) -> tuple[Quantization, str]:
    spared = _names_in(config, "llm_int8_skip_modules")
    if _true(config, "load_in_8bit") or _true(config, "_load_in_8bit"):
        return replace(known, bits=8, scale_bytes=4, spared=spared), ""
    # Double quantisation stores the scales of 256 blocks as bytes with one float32.
    scale = 1 + 4 / 256 if _true(config, "bnb_4bit_use_double_quant") else 4
    return replace(known, bits=4, group=BITSANDBYTES_BLOCK, scale_bytes=scale, spared=spared), ""


def _compressed_tensors(config: Config, known: Quantization) -> tuple[Quantization, str]:
    listed = config.get("config_groups")
    groups = [group for group in listed.values() if isinstance(group, dict)] if isinstance(listed, dict) else []
    schemes: list[Config] = [group["weights"] for group in groups if isinstance(group.get("weights"), dict)]
    if not schemes:
        return known, "the quantization_config names no weights: they are counted as if they were not quantised"
    weights = schemes[0]
    bits, strategy = _number(weights, "num_bits", usual=8), weights.get("strategy")
    found = replace(known, bits=bits, scale_bytes=2)
    if strategy in ("group", "tensor_group"):
        group = _number(weights, "group_size", usual=0)
        nvfp4 = weights.get("type") == "float" and bits == 4
        found = replace(found, group=group, scale_bytes=1 if nvfp4 else 2)
    elif strategy == "block":
        found = replace(found, block=_block(weights.get("block_structure") or [128, 128]), scale_bytes=4)
    elif strategy == "tensor":
        found = replace(found, per_tensor=True, scale_bytes=4)
    if weights.get("symmetric") is False:
        found = replace(found, zero_bits=bits)
    mixed = any(other != weights for other in schemes)
    return found, "several kinds of quantization are mixed: all layers are counted as the first kind" if mixed else ""


READERS = {
    "gptq": _gptq,
    "auto_gptq": _gptq,
    "gptq_marlin": _gptq,
    "awq": _awq,
    "auto_awq": _awq,
    "awq_marlin": _awq,
    "fp8": _fp8,
    "fbgemm_fp8": _fbgemm,
    "modelopt": _modelopt,
    "modelopt_fp4": _nvfp4,
    "mxfp4": _mxfp4,
    "bitsandbytes": _bitsandbytes,
    "compressed-tensors": _compressed_tensors,
}


def _whole(value: object, what: str) -> int:
    """Return a number of a config. ValueError, where it is none."""
    if not isinstance(value, (int, float, str)):
        raise ValueError(f"quantization_config: expected a number in {what}, found {value!r}")
    return int(value)


def _number(config: Config, *names: str, usual: int) -> int:
    """Return the first of some keys that is there and not zero."""
    return next((_whole(config[name], name) for name in names if config.get(name)), usual)


def _block(value: object) -> tuple[int, int]:
    """Return the output and input channels that share a scale."""
    if not isinstance(value, list) or len(value) < 2:
        raise ValueError(f"quantization_config: expected the two sides of a block, found {value!r}")
    return _whole(value[0], "a block"), _whole(value[1], "a block")


def _group(config: Config) -> int:
    """Return the group size; -1 means one scale for all input channels."""
    size = config.get("group_size", config.get("q_group_size"))
    return 128 if size is None else max(0, _whole(size, "group_size"))


def _names_in(config: Config, *names: str) -> tuple[str, ...]:
    """Return the first of some lists of names that is there and not empty."""
    listed = next((config[name] for name in names if config.get(name)), ())
    return tuple(str(name) for name in listed) if isinstance(listed, (list, tuple)) else ()


def _true(config: Config, name: str) -> bool:
    return config.get(name) is True
