# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the model of a plan without hosts is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.action.layout_plan import query
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._manifest_io import Unusable


def asked(model: str) -> str:
    settings: dict[str, Any] = {"vllm_ray_model": model, "vllm_ray_model_source": "auto"}
    return query(settings).model


def test_a_model_is_a_directory_its_config_or_an_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "models" / "one"
    place.mkdir(parents=True)
    (place / "config.json").touch()
    monkeypatch.chdir(tmp_path)
    assert asked("models/one") == asked(f"{place}/config.json") == str(place)
    assert asked("Qwen/Qwen3-32B") == "Qwen/Qwen3-32B"


def test_another_file_is_not_taken_for_a_config(tmp_path: Path) -> None:
    for name in ("config.json", "qwen.json"):
        (tmp_path / name).touch()
    with pytest.raises(Unusable, match=r"qwen\.json is a file"):
        asked(str(tmp_path / "qwen.json"))
