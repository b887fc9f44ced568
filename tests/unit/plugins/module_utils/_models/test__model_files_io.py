# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host reports of a model's directory: the demo model, intact and damaged."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._models import _model_files_io, _model_tree_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees import _manifest, _tree_io
from ansible_collections.vllm_ray.cluster.tests.unit import models

DEMO = models.ROOT / "demo-model" / "model"
WEIGHTS = "model.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The demo model, which tests may damage, with the record of its full hash."""
    copy = Path(shutil.copytree(DEMO, tmp_path / "models" / "demo"))
    params: dict[str, Any] = {
        **{name: spec.get("default") for name, spec in _manifest.ARGUMENTS.items()},
        "path": str(copy),
    }
    options = _model_tree_io.Options(**{**params, "record_directory": str(tmp_path / "manifests")})
    assert _model_tree_io.look(options)["problems"] == []
    return copy


def tree(folder: Path, verify: str = "none", user: str = "") -> Any:
    return _model_files_io.look(f"{folder}/", str(folder.parents[1] / "manifests"), user, verify)


def faults(found: dict[str, Any]) -> dict[str, Any]:
    return {key: found[key] for key in ("missing", "broken", "touched", "problems") if found[key]}


def test_a_model_as_it_was(folder: Path) -> None:
    found = tree(folder, verify="full")
    assert faults(found) == {}
    assert (found["path"], found["made"]) == (str(folder), False)
    assert found["bytes"] == {path.name: path.stat().st_size for path in DEMO.iterdir()}
    assert found["hashes"].keys() == found["bytes"].keys()
    assert tree(folder)["hashes"] == {}


def test_a_missing_file(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    assert faults(tree(folder)) == {"missing": ["tokenizer.json"]}
    (folder / "config.json").unlink()
    assert tree(folder)["missing"] == ["config.json", "tokenizer.json"]


def test_a_cut_file_is_told_by_its_header(folder: Path) -> None:
    size = (folder / WEIGHTS).stat().st_size
    os.truncate(folder / WEIGHTS, size - 1)
    found = faults(tree(folder))
    assert found["broken"] == {
        WEIGHTS: f"{WEIGHTS} has {size - 1} bytes instead of the {size} that its header declares"
    }


def test_a_changed_byte(folder: Path) -> None:
    with (folder / WEIGHTS).open("rb+") as stream:
        stream.seek(-1, os.SEEK_END)
        last = stream.read(1)[0]
        stream.seek(-1, os.SEEK_END)
        stream.write(bytes([last ^ 1]))
    # The look can't know what was changed, only that it was; a hash does.
    assert faults(tree(folder)) == faults(tree(folder, verify="full")) == {"touched": [WEIGHTS]}
    other = folder / "tokenizer.json"
    os.utime(other, ns=(1, 1))
    assert tree(folder)["touched"] == [WEIGHTS, other.name]
    assert tree(folder, verify="full")["touched"] == [WEIGHTS]
    quick = tree(folder, verify="quick")
    assert (quick["touched"], quick["silent"], list(quick["hashes"])) == ([WEIGHTS], [], [WEIGHTS, other.name])


def test_silent_rot_is_told_by_a_full_hash_alone(folder: Path) -> None:
    records = str(folder.parents[1] / "manifests")
    record = _tree_io.read_record(records, str(folder))
    known = record.files[WEIGHTS]._replace(text="0" * len(record.files[WEIGHTS].text))
    _tree_io.write_record(records, replace(record, files={**record.files, WEIGHTS: known}))
    assert faults(tree(folder, verify="quick")) == {}
    full = tree(folder, verify="full")
    assert (full["touched"], full["silent"]) == ([WEIGHTS], [WEIGHTS])


def test_what_can_not_be_read_is_a_problem(folder: Path) -> None:
    (folder / "more").symlink_to("blobs/none")
    [problem] = tree(folder)["problems"]
    assert "link to blobs/none, which does not exist" in problem["found"]


def test_who_must_read_it_and_may_not(folder: Path) -> None:
    folder.chmod(0o700)
    [problem] = tree(folder, user="nobody-here")["problems"]
    assert "keeps nobody-here from reading" in problem["found"]
