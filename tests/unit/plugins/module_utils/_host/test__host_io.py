# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a probe of a host costs: each header of a model is read once, however many callers need it."""

from __future__ import annotations

import os
import pwd
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _host_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._models import _safetensors_io
from ansible_collections.vllm_ray.cluster.tests.unit import models

DEMO = models.ROOT / "demo-model" / "model"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each header was really read."""
    count: Counter[str] = Counter()
    real = _safetensors_io.read_header

    def counted(place: str, *way: Any) -> Any:
        count[os.path.basename(place)] += 1
        return real(place, *way)

    monkeypatch.setattr(_safetensors_io, "read_header", counted)
    return count


def look(folder: Path, model: str) -> Any:
    usual = {"hub": "huggingface", "revision": "", "endpoint": "", "token": None, "fetch": False}
    places = {"root": str(folder), "record_directory": str(folder / "records"), "user": "", "verify": "none"}
    return _host_io.model({"model": model, **usual, **places})


@pytest.mark.parametrize("end", ["", "/"], ids=["as it is", "with a slash"])
def test_each_header_is_read_once(tmp_path: Path, reads: Counter[str], end: str) -> None:
    folder = Path(shutil.copytree(DEMO, tmp_path / "demo"))
    # Mistral's second copy is no part of what vLLM loads, and may be broken all the same.
    shutil.copy(folder / "model.safetensors", folder / "consolidated.safetensors")
    found = look(tmp_path, f"{folder}{end}")
    assert (found["directory"], found["model"]["bytes_from"], found["files"]["broken"]) == (str(folder), "files", {})
    assert reads == {"model.safetensors": 1, "consolidated.safetensors": 1}
    # The next look sees what is there by then.
    os.truncate(folder / "model.safetensors", 100)
    assert look(tmp_path, str(folder))["files"]["broken"].keys() == {"model.safetensors"}


def test_the_accounts_of_the_clusters_of_a_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_host_io, "UNITS", str(tmp_path))
    (tmp_path / "vllm-ray-node@a.service").write_text("[Service]\nUser=vllm-ray\n")
    (tmp_path / "vllm-ray-node@a-b.service").write_text("[Service]\nUser=vllm-ray-b\n")
    (tmp_path / "vllm-ray-serve@a-main.service").write_text("[Service]\nUser=other\n")
    (tmp_path / "vllm-ray-node@.service").touch()
    assert _host_io.accounts() == {"a": "vllm-ray", "a-b": "vllm-ray-b"}


def test_the_owner_of_a_directory(tmp_path: Path) -> None:
    assert _host_io.owner(str(tmp_path)) == pwd.getpwuid(os.getuid()).pw_name
    assert _host_io.owner(str(tmp_path / "none")) == _host_io.owner("") == ""
