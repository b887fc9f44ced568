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

from ansible_collections.vllm_ray.cluster.plugins.module_utils._safetensors import Tensor

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "tests" / "fixtures" / "models"
NAMES = sorted(path.parent.name for path in MODELS.glob("*/config.json"))
DTYPES = {"bfloat16": "BF16", "float32": "F32", "int32": "I32", "float8_e4m3fn": "F8_E4M3"}


def config(name: str, **changed: Any) -> dict[str, Any]:
    """Return a model's config. changed: keys with other values, None removes a key."""
    found = {**json.loads((MODELS / name / "config.json").read_text()), **changed}
    return {key: value for key, value in found.items() if key not in changed or value is not None}


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
