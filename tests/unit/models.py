# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Published models (tests/fixtures/models) for the tests of what reads them."""

from __future__ import annotations

import json
import re
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

from ansible_collections.vllm_ray.cluster.plugins.module_utils._models._model_config import Model, parse
from ansible_collections.vllm_ray.cluster.plugins.module_utils._models._safetensors import Tensor

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "tests" / "fixtures" / "models"
FILES = sorted(path.parent.name for path in MODELS.glob("*/config.json"))
DTYPES = {"bfloat16": "BF16", "float32": "F32", "int32": "I32", "float8_e4m3fn": "F8_E4M3"}
# `total_size` of the index beside a config (SOURCES.md): it shows how large the parts for images are.
TOTAL_SIZES = {"medgemma-27b": 54_864_813_280}


def _file(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((MODELS / name / "config.json").read_text())
    return found


# Models whose own config.json could not be had: that of a sibling, with the keys in which it differs (SOURCES.md).
MADE: dict[str, tuple[str, dict[str, Any]]] = {
    # Table 3 of the Llama 3 report (arXiv 2407.21783).
    "llama-3.1-405b": (
        "llama-3.3-70b",
        {
            "hidden_size": 16384,
            "intermediate_size": 53248,
            "num_attention_heads": 128,
            "num_hidden_layers": 126,
            "num_key_value_heads": 8,
        },
    ),
    "llama-3.3-70b-awq": ("llama-3.3-70b", {"quantization_config": _file("qwen3-32b-awq")["quantization_config"]}),
    "qwen2.5-7b-gptq": ("qwen2.5-7b", {"quantization_config": _file("llama-2-13b-gptq")["quantization_config"]}),
    # What was measured on two H200s: the layers of Llama 3.1 8B with 32768 words.
    "measured-8b": ("llama-3.1-8b", {"vocab_size": 32768, "max_position_embeddings": 8192}),
}
NAMES = sorted((*FILES, *MADE))


def config(name: str, **changed: Any) -> dict[str, Any]:
    """Return a model's config. changed: keys with other values, None removes a key."""
    file, made = MADE.get(name, (name, {}))
    found = {**_file(file), **made, **changed}
    return {key: value for key, value in found.items() if key not in changed or value is not None}


@cache
def model(name: str) -> Model:
    """Return a model as model_info would: by the tensors of its files if they are known, else by its config."""
    known = tensors(name) if (MODELS / name / "tensors.txt").is_file() else {}
    return parse(config(name), known, TOTAL_SIZES.get(name))


@cache
def tensors(name: str) -> dict[str, Tensor]:
    """Return all tensors of a model's files, by the report of them."""
    found = {}
    for line in (MODELS / name / "tensors.txt").read_text().splitlines():
        pattern, dtype, *shape = line.split()
        parts = re.split(r"(\d+-\d+)", pattern)
        ranges = [
            [str(number) for number in range(int(part.split("-")[0]), int(part.split("-")[1]) + 1)]
            if re.fullmatch(r"\d+-\d+", part)
            else [part]
            for part in parts
        ]
        tensor = Tensor(DTYPES[dtype], tuple(map(int, shape)))
        found.update({"".join(name): tensor for name in product(*ranges)})
    return found
