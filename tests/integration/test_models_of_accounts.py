# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Root reads models of other accounts: from a cache of Hugging Face, by links, and by links that lead astray."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.tests.integration import run_module

NOBODY = 65534
DEMO = Path(__file__).resolve().parents[2] / "demo-model" / "model"


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    """Return the demo model in a cache of Hugging Face, in a home that only its owner may enter."""
    hub = tmp_path / "home" / ".cache" / "models--o--m"
    place = hub / "snapshots" / "c0ffee"
    place.mkdir(parents=True)
    (hub / "blobs").mkdir()
    for number, source in enumerate(sorted(path for path in DEMO.iterdir() if path.is_file())):
        shutil.copyfile(source, hub / "blobs" / str(number))
        (place / source.name).symlink_to(f"../../blobs/{number}")
    for path in (tmp_path / "home", *(tmp_path / "home").rglob("*")):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    (tmp_path / "home").chmod(0o700)
    return place


def info(place: Path, folder: Path) -> dict[str, Any]:
    return run_module.run("model_info", {"model": str(place)}, folder).answer


def test_a_model_in_a_cache_is_read(snapshot: Path, tmp_path: Path) -> None:
    answer = info(snapshot, tmp_path)
    assert answer["model"]["bytes_from"] == "files"
    assert answer["place"] == str(snapshot)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "hf_quant_config.json"])
def test_a_link_to_what_only_root_may_read_is_refused(snapshot: Path, tmp_path: Path, name: str) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text('{"model_type": "only-root"}')
    secret.chmod(0o600)
    if (snapshot / name).is_symlink():
        (snapshot / name).unlink()
    (snapshot / name).symlink_to(secret)
    answer = info(snapshot, tmp_path)
    assert answer["failed"]
    assert f"{name} is a link to {secret}, which the service user could not read itself" in answer["msg"]
    assert "only-root" not in str(answer)


def test_a_link_to_what_everybody_may_read_is_followed(snapshot: Path, tmp_path: Path) -> None:
    """As with a model that was put together by links to a share."""
    with tempfile.TemporaryDirectory() as share:
        Path(share).chmod(0o755)
        config = Path(shutil.copyfile(DEMO / "config.json", Path(share) / "config.json"))
        config.chmod(0o644)
        (snapshot / "config.json").unlink()
        (snapshot / "config.json").symlink_to(config)
        assert info(snapshot, tmp_path)["model"]["bytes_from"] == "files"


def test_a_model_that_is_a_link_to_a_closed_directory_is_refused(snapshot: Path, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    shutil.copytree(DEMO, closed)
    closed.chmod(0o700)
    (tmp_path / "home" / "m").symlink_to(closed)
    answer = info(tmp_path / "home" / "m", tmp_path)
    assert answer["failed"]
    assert str(closed) in answer["msg"]
