# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The secrets that the controller knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base import _secrets_io


@pytest.mark.parametrize(
    ("name", "given"),
    [
        (".config/vllm-ray/default.key", {}),
        (".config/vllm-ray/default@192.0.2.11.key", {}),
        ("my[1].key", {"vllm_ray_key_file": "~/my[1].key"}),
    ],
)
def test_the_api_key_of_an_earlier_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, given: dict[str, str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("the key\n")
    assert "the key" in _secrets_io.known({"vllm_ray_cluster": "default", **given})
    assert "the key" not in _secrets_io.known({"vllm_ray_cluster": "default2"})
