# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A model's directory on two hosts, here two folders: what is reported of it, and how it may be changed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._models import _install_io, _model_tree_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees import _manifest, _tree, _tree_io
from ansible_collections.vllm_ray.cluster.tests.unit import models

DEMO = models.ROOT / "demo-model" / "model"
WEIGHTS = "model.safetensors"
DEFAULTS = {name: spec.get("default") for name, spec in _manifest.ARGUMENTS.items()}

Look = Callable[..., dict[str, Any]]


@pytest.fixture
def look(tmp_path: Path) -> Look:
    def looked(path: Path, **params: Any) -> dict[str, Any]:
        given = {"path": str(path), "record_directory": str(tmp_path / "records"), "reserve_gib": 0.0, **params}
        return dict(_model_tree_io.look(_model_tree_io.Options(**{**DEFAULTS, **given})))

    return looked


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DEMO, tmp_path / "source"))


def flip(path: Path) -> None:
    """Change a byte, and put the time of modification back."""
    status = path.stat()
    with path.open("rb+") as stream:
        stream.seek(100_000)
        byte = stream.read(1)[0]
        stream.seek(100_000)
        stream.write(bytes([byte ^ 1]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def words(found: dict[str, Any]) -> str:
    return " ".join(_manifest.sentence(problem) for problem in found["problems"])


def made(path: Path) -> None:
    """Let a directory be one that the collection made."""
    records = str(path.parent / "records")
    record = _tree_io.read_record(records, str(path))
    _tree_io.write_record(records, record.__class__(record.path, True, record.piece, record.files))


def test_what_is_hashed_once_is_not_hashed_again(source: Path, look: Look) -> None:
    first = look(source)
    assert (first["hashed_bytes"], first["problems"], first["damaged"]) == (first["bytes"], [], [])
    assert [entry["path"] for entry in first["files"]] == sorted(path.name for path in DEMO.iterdir())
    again = look(source)
    assert (again["hashed_bytes"], again["changed"]) == (0, False)
    assert look(source, depth="full")["hashed_bytes"] == first["bytes"]
    # By another name of it, too.
    link = source.parent / "link"
    link.symlink_to(source)
    assert (look(link)["hashed_bytes"], look(link)["digest"]) == (0, first["digest"])


def test_what_another_host_lacks(source: Path, look: Look, tmp_path: Path) -> None:
    wanted = look(source)
    nothing = look(tmp_path / "copy", wanted=wanted)
    assert (nothing["exists"], nothing["to_copy_bytes"]) == (False, wanted["bytes"])
    copy = Path(shutil.copytree(source, tmp_path / "copy"))
    assert look(copy, wanted=wanted)["digest"] == wanted["digest"]
    (copy / WEIGHTS).write_bytes(b"other")
    (copy / "config.json").unlink()
    (copy / "more").write_bytes(b"more")
    refused = look(copy, wanted=wanted)
    assert "more" in words(refused)
    # It once had the wanted weights.
    assert WEIGHTS not in words(refused)
    allowed = look(copy, wanted=wanted, replace=True)
    assert [entry["path"] for entry in allowed["to_copy"]] == ["config.json", WEIGHTS]
    assert allowed["to_remove"] == ["more"]


def test_a_source_that_changed_in_silence_is_not_copied(source: Path, look: Look) -> None:
    look(source)
    flip(source / WEIGHTS)
    for _time in range(2):
        assert f"{WEIGHTS} changed, but size and time of modification did not" in words(look(source))
    os.utime(source / WEIGHTS)
    assert look(source)["problems"] == []


def test_a_source_that_the_collection_made_is_as_it_was(source: Path, look: Look) -> None:
    before = look(source)
    made(source)
    assert look(source)["to_copy"] == []
    with (source / WEIGHTS).open("ab") as stream:
        stream.write(b"more")
    (source / "config.json").unlink()
    (source / "extra").write_bytes(b"extra")
    for _time in range(2):
        # As often as it is asked: its record stays what it was.
        now = look(source)
        assert (now["digest"], now["files"], now["problems"]) == (before["digest"], before["files"], [])
        assert [entry["path"] for entry in now["to_copy"]] == ["config.json", WEIGHTS]
        assert now["to_remove"] == ["extra"]
        same = look(source, wanted=now)
        assert (same["to_copy"], same["to_remove"], same["problems"]) == (now["to_copy"], ["extra"], [])


def test_names_that_nobody_can_write_are_a_problem(source: Path, look: Look) -> None:
    Path(os.fsdecode(os.fsencode(source) + b"/no\xe4utf8")).write_bytes(b"")
    assert "is not UTF-8" in words(look(source))


def test_files_that_were_sent_become_a_directory(source: Path, look: Look, tmp_path: Path) -> None:
    wanted, copy, records = look(source), tmp_path / "models" / "copy", str(tmp_path / "records")
    files = {entry["path"]: entry["size"] for entry in wanted["files"]}
    me = str(os.getuid())
    staging, held = _install_io.stage(str(copy), files, me)
    assert held == []
    record = _tree_io.read_record(records, str(source))
    now = _model_tree_io.read(str(source), record, 0)
    (Path(staging) / "manifest").write_text(_tree.dump(now.manifest()), encoding="utf-8")
    shutil.copytree(source, Path(staging) / "tree", dirs_exist_ok=True)
    flip(Path(staging) / "tree" / WEIGHTS)
    assert _install_io.install(str(copy), wanted["digest"], records, me) == [WEIGHTS]
    assert not copy.exists()
    # Only what was wrong is to be sent again.
    staging, held = _install_io.stage(str(copy), files, me)
    assert set(files) - set(held) == {WEIGHTS}
    shutil.copy(source / WEIGHTS, Path(staging) / "tree" / WEIGHTS)
    assert _install_io.install(str(copy), wanted["digest"], records, me) == []
    found = look(copy, wanted=wanted)
    assert (found["digest"], found["hashed_bytes"], found["to_copy"]) == (wanted["digest"], 0, [])
    assert [path.name for path in copy.parent.iterdir()] == ["copy"]
    assert _tree_io.read_record(records, str(copy)).made
