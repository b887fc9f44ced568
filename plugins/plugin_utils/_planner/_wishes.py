# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user set about an engine's size: options of `vllm serve` and its environment. PRIVATE to the collection."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, replace

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._models._model_config import Model

AUTO = -1
# Default of vLLM 0.32 (config/cache.py, CacheConfig.gpu_memory_utilization).
UTILIZATION = 0.92
PARTITION = "VLLM_PP_LAYER_PARTITION"
# These let a request be longer than config.json says (config/model.py, _get_and_verify_max_len).
OVERRIDES, ALLOW_LONG = "hf-overrides", "VLLM_ALLOW_LONG_MAX_MODEL_LEN"
# Options that change what fits, and that the plan does not model: where it would refuse, vLLM may not.
UNRECKONED = (
    OVERRIDES,
    "cpu-offload-gb",
    "decode-context-parallel-size",
    "dtype",
    "kv-cache-memory-bytes",
    "num-gpu-blocks-override",
    "offload-group-size",
)
# Options that change how many GPUs the engine needs, or where it takes them, and that are not planned: hosts would
# offer other GPUs than the engine waits for. {option: (values that change nothing, what to do instead)}.
ONE_ENGINE = "remove it. For a larger engine set tensor-parallel-size and pipeline-parallel-size; for several engines"
ONE_ENGINE += " deploy several clusters (vllm_ray_cluster) on different hosts"
BY_RAY = "remove it: the plan spreads the engine over the hosts, by Ray"
UNPLANNED: dict[str, tuple[tuple[str, ...], str]] = {
    "data-parallel-size": (("1",), ONE_ENGINE),
    "data-parallel-size-local": (("1",), ONE_ENGINE),
    "data-parallel-backend": (("mp",), ONE_ENGINE),
    "data-parallel-address": ((), ONE_ENGINE),
    "data-parallel-external-lb": ((), ONE_ENGINE),
    "data-parallel-hybrid-lb": ((), ONE_ENGINE),
    "data-parallel-multi-port-external-lb": ((), ONE_ENGINE),
    "data-parallel-rank": ((), ONE_ENGINE),
    "data-parallel-rpc-port": ((), ONE_ENGINE),
    "data-parallel-start-rank": ((), ONE_ENGINE),
    "data-parallel-supervisor-port": ((), ONE_ENGINE),
    "device-ids": ((), "set vllm_ray_gpus"),
    "enable-elastic-ep": ((), ONE_ENGINE),
    "headless": ((), BY_RAY),
    "nnodes": (("1",), BY_RAY),
    "node-rank": (("0",), BY_RAY),
    "prefill-context-parallel-size": (("1",), ONE_ENGINE),
}
# argparse takes the beginning of a name for the name.
SHORTEST_BEGINNING = 4
# vLLM's units (utils/argparse_utils.py, human_readable_int).
UNITS = {"k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}

# Bytes of a number of the KV cache. Types that are missing here are as wide as the model's dtype.
KV_WIDTHS = {"fp8": 1.0, "int8": 1.0, "nvfp4": 9 / 16, "int4": 9 / 16, "bfloat16": 2.0, "float16": 2.0}
# What vLLM quantises while it loads: bits of a weight, and its share of a scale (config/quantization.py,
# _ONLINE_SHORTHANDS). Only layers; embedding and lm_head stay. What quantises only experts is left out; "fp8" is an
# old name of fp8_per_tensor.
ONLINE: dict[str, tuple[float, float]] = {
    "fp8": (8, 0),
    "fp8_per_tensor": (8, 0),
    "fp8_per_channel": (8, 0),
    "fp8_per_block": (8, 0),
    "mxfp8": (8, 8 / 32),
    "mxfp4": (4, 8 / 32),
}


class WishError(ValueError):
    """An option that can't be understood or is not planned; the message names it."""

    def __init__(self, message: str, wanted: str = "a number", fix: str = "") -> None:
        super().__init__(message)
        self.wanted, self.fix = wanted, fix or "correct vllm_ray_serve_args or vllm_ray_env"


@dataclass(frozen=True)
class Wishes:
    """Sizes that the user set; None: ours or vLLM's to choose. Lengths in tokens.

    unreckoned: names of options that are set and change what fits, and which no other field here covers.
    """

    tp: int | None = None
    pp: int | None = None
    max_model_len: int | None = None
    utilization: float = UTILIZATION
    kv_dtype: str = "auto"
    eager: bool = False
    sequences: int | None = None
    batched_tokens: int | None = None
    quantization: str = ""
    expert_parallel: bool = False
    partition: tuple[int, ...] = ()
    deprecated: bool = False
    unreckoned: tuple[str, ...] = ()

    @property
    def sizes(self) -> str:
        """The sizes that the user set, for people; empty where none is."""
        pp = self.pp or len(self.partition)
        return " ".join([f"TP={self.tp}"] * bool(self.tp) + [f"PP={pp}"] * bool(pp))

    @property
    def without_sizes(self) -> Wishes:
        """The same with sizes that are ours to choose."""
        return replace(self, tp=None, pp=None, partition=())

    @property
    def may_be_longer(self) -> bool:
        """Whether requests may be longer than the model's config.json says."""
        return OVERRIDES in self.unreckoned or ALLOW_LONG in self.unreckoned

    def length(self, model: Model) -> int:
        """Tokens of the longest request; AUTO where vLLM shall find out."""
        return self.max_model_len or model.usual_context

    def kv_width(self, model: Model) -> float:
        """The bytes of a number of the KV cache."""
        own = 4.0 if model.dtype == "float32" else 2.0
        return next((width for name, width in KV_WIDTHS.items() if self.kv_dtype.startswith(name)), own)

    def loaded(self, model: Model) -> Model:
        """Return the model as it is in memory: quantised while loading, if that is requested."""
        if self.quantization not in ONLINE or model.quantization:
            return model
        bits, scale = ONLINE[self.quantization]
        layers = tuple(int(size * (bits + scale) / model.weight_bits) for size in model.layer_bytes)
        return replace(model, layer_bytes=layers, quantization=self.quantization, weight_bits=bits)


def whole(name: str, value: object) -> int:
    """Return a number as vLLM reads it: 32768, "32k", "32K"."""
    text = str(value).strip()
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kKmMgGtT])", text)
    if match:
        return int(float(match.group(1)) * UNITS[match.group(2)])
    try:
        return int(text)
    except ValueError as error:
        raise WishError(f"{name} is {text!r}, not a number") from error


def refuse_unplanned(given: Mapping[str, object]) -> None:
    """Raise WishError for the first option that changes which GPUs the engine needs, other than its sizes."""
    for name, value in given.items():
        exact = [name] if name in UNPLANNED else []
        begun = [option for option in UNPLANNED if option.startswith(name) and len(name) >= SHORTEST_BEGINNING]
        for option in exact or begun[:1]:
            neutral, fix = UNPLANNED[option]
            if str(value).strip().lower() not in (*neutral, "", "false", "none"):
                shown = f"vllm_ray_serve_args: {name} is {value!r}, which changes the GPUs that the engine needs"
                raise WishError(shown, f"{' or '.join(neutral)} or not set" if neutral else "not set", fix)


def read(args: Mapping[str, object], env: Mapping[str, object]) -> Wishes:
    """Read options of `vllm serve` (keys as long flags without dashes in front) and its environment."""
    given = {str(name).replace("_", "-"): value for name, value in args.items() if value not in (None, "", False)}
    refuse_unplanned({str(name).replace("_", "-"): value for name, value in args.items() if value is not None})

    def number(name: str) -> int | None:
        return whole(name, given[name]) if name in given else None

    length = given.get("max-model-len")
    unreckoned = [name for name in UNRECKONED if given.get(name, "auto") != "auto"]
    if str(env.get(ALLOW_LONG, "0")).strip().lower() in ("1", "true"):
        unreckoned.append(ALLOW_LONG)
    try:
        partition = tuple(int(part) for part in str(env.get(PARTITION) or "").split(",") if part.strip())
        utilization = float(str(given.get("gpu-memory-utilization", UTILIZATION)))
    except ValueError as error:
        raise WishError(f"{PARTITION} and gpu-memory-utilization must be numbers: {error}") from error
    if not 0 < utilization <= 1:
        raise WishError(f"gpu-memory-utilization is {utilization:g}, not in (0, 1]")
    return Wishes(
        tp=number("tensor-parallel-size"),
        pp=number("pipeline-parallel-size"),
        max_model_len=AUTO if str(length).lower() in ("auto", "-1") else number("max-model-len"),
        utilization=utilization,
        kv_dtype=str(given.get("kv-cache-dtype", "auto")),
        eager=bool(given.get("enforce-eager")),
        sequences=number("max-num-seqs"),
        batched_tokens=number("max-num-batched-tokens"),
        quantization=str(given.get("quantization", "")),
        expert_parallel=bool(given.get("enable-expert-parallel")),
        partition=partition,
        deprecated=bool(given.get("allow-deprecated-quantization")),
        unreckoned=tuple(unreckoned),
    )
