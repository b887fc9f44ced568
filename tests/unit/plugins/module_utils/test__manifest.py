# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import json

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils import _manifest
from ansible_collections.vllm_ray.cluster.plugins.module_utils._manifest import (
    Difference,
    Entry,
    Hashed,
    Record,
    State,
    Wanted,
)

STATE = State(3, 100, 200, 7)
RECORD = Record("/m", True, {"config.json": Hashed(STATE, "aa"), "w": Hashed(State(9, 1, 2, 8), "bb")})


def test_a_record_survives_writing_and_reading() -> None:
    assert _manifest.parse_record(_manifest.render_record(RECORD), "/m") == RECORD


def test_a_record_is_the_same_whatever_the_order() -> None:
    other = Record("/m", True, dict(reversed(list(RECORD.files.items()))))
    assert _manifest.render_record(other) == _manifest.render_record(RECORD)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="no file"),
        pytest.param("{", id="half a file"),
        pytest.param("[]", id="a list"),
        pytest.param('{"path": "/m"}', id="no files"),
        pytest.param('{"path": "/m", "made": true, "files": {"a": [1, 2]}}', id="a short entry"),
        pytest.param('{"path": "/m", "made": true, "files": {"a": ["x", 2, 3, 4, "h"]}}', id="no number"),
        pytest.param('{"path": "/other", "made": true, "files": {}}', id="another tree"),
    ],
)
def test_a_record_that_is_of_no_use_is_empty(text: str) -> None:
    assert _manifest.parse_record(text, "/m") == Record("/m")


@pytest.mark.parametrize(
    ("state", "full", "hashed"),
    [
        pytest.param(STATE, False, [], id="untouched"),
        pytest.param(STATE, True, ["config.json"], id="untouched, full"),
        pytest.param(STATE._replace(size=4), False, ["config.json"], id="another size"),
        pytest.param(STATE._replace(mtime_ns=101), False, ["config.json"], id="modified"),
        pytest.param(STATE._replace(ctime_ns=201), False, ["config.json"], id="mtime put back"),
        pytest.param(STATE._replace(inode=8), False, ["config.json"], id="another file moved there"),
    ],
)
def test_only_touched_files_are_hashed(state: State, full: bool, hashed: list[str]) -> None:
    assert _manifest.to_hash({"config.json": state}, RECORD, full) == hashed


def test_new_files_are_hashed() -> None:
    assert _manifest.to_hash({"config.json": STATE, "new": STATE}, RECORD) == ["new"]


@pytest.mark.parametrize(
    ("state", "sha256", "damaged"),
    [
        pytest.param(STATE._replace(ctime_ns=201), "cc", ["config.json"], id="content without mtime"),
        pytest.param(STATE._replace(ctime_ns=201), "aa", [], id="only the mode"),
        pytest.param(STATE._replace(ctime_ns=201, mtime_ns=201), "cc", [], id="modified"),
        pytest.param(STATE._replace(ctime_ns=201, size=4), "cc", [], id="grown"),
    ],
)
def test_damage_is_content_that_changed_in_silence(state: State, sha256: str, damaged: list[str]) -> None:
    assert _manifest.corrupted({"config.json": Hashed(state, sha256)}, RECORD) == damaged


def test_doubtful_files_keep_their_record() -> None:
    now = {"config.json": Hashed(STATE._replace(ctime_ns=9), "cc"), "new": Hashed(STATE, "dd")}
    record = _manifest.to_record(now, RECORD, ["config.json", "new"])
    assert record == Record("/m", True, {"config.json": RECORD.files["config.json"]})


def test_the_digest_is_that_of_the_sorted_lines() -> None:
    lines = "a\0" + "1\0" + "h1\n" + "b\0" + "2\0" + "h2\n"
    wanted = hashlib.sha256(lines.encode()).hexdigest()
    assert _manifest.digest([Entry("b", 2, "h2"), Entry("a", 1, "h1")]) == wanted


@pytest.mark.parametrize(
    "other",
    [
        pytest.param([Entry("a", 1, "h2")], id="content"),
        pytest.param([Entry("b", 1, "h")], id="name"),
        pytest.param([], id="nothing"),
        pytest.param([Entry("a", 1, "h"), Entry("b", 1, "h")], id="one more"),
    ],
)
def test_other_trees_have_other_digests(other: list[Entry]) -> None:
    assert _manifest.digest(other) != _manifest.digest([Entry("a", 1, "h")])


def test_difference() -> None:
    have = [Entry("same", 1, "h"), Entry("size", 1, "h"), Entry("content", 1, "h"), Entry("extra", 1, "h")]
    want = [Entry("same", 1, "h"), Entry("size", 2, "h"), Entry("content", 1, "g"), Entry("missing", 1, "h")]
    assert _manifest.difference(have, want) == Difference(("missing",), ("content", "size"), ("extra",))
    assert not _manifest.difference(want, want)


@pytest.mark.parametrize(
    ("path", "part"),
    [
        pytest.param("config.json", True, id="a file"),
        pytest.param("a b/größe.json", True, id="below a directory"),
        pytest.param(".cache/huggingface/x", False, id="a tool's directory"),
        pytest.param("a/.gitattributes", False, id="a hidden file"),
    ],
)
def test_hidden_files_are_no_part(path: str, part: bool) -> None:
    assert _manifest.is_part(path) is part


def test_config_json_comes_last() -> None:
    assert _manifest.install_order(["config.json", "z", "a"]) == ["a", "z", "config.json"]


@pytest.mark.parametrize(
    ("made", "recorded", "diff", "needed"),
    [
        pytest.param(True, "xx", Difference(differing=("a",), extra=("b",)), [], id="our own tree"),
        pytest.param(False, "xx", Difference(differing=("a",), extra=("b",)), ["a", "b"], id="somebody's tree"),
        pytest.param(False, "want", Difference(differing=("a",)), [], id="what it once was"),
        pytest.param(False, "xx", Difference(missing=("a",)), [], id="only missing"),
    ],
)
def test_consent(made: bool, recorded: str, diff: Difference, needed: list[str]) -> None:
    record = Record("/m", made, {"a": Hashed(STATE, recorded)})
    assert _manifest.needs_consent(diff, [Entry("a", 3, "want")], record) == needed


@pytest.mark.parametrize(
    ("names", "index", "missing"),
    [
        pytest.param(["config.json", "a"], {"weight_map": {"x": "a"}}, [], id="all there"),
        pytest.param(["config.json"], {"weight_map": {"x": "a", "y": "b"}}, ["a", "b"], id="parts of the weights"),
        pytest.param(["a"], {"weight_map": {"x": "a"}}, ["config.json"], id="config.json"),
        pytest.param(["config.json"], [], [], id="an index of another kind"),
    ],
)
def test_missing_files(names: list[str], index: object, missing: list[str]) -> None:
    texts = {"model.safetensors.index.json": json.dumps(index), "broken.index.json": "{"}
    assert _manifest.missing_files(names, ["config.json"], texts) == missing


def test_the_error_of_a_directory_that_is_no_model() -> None:
    (problem,) = _manifest.model_problems("/m", "h1", ["config.json"], empty=False)
    assert _manifest.sentence(problem) == (
        "/m on h1 has no config.json. Wanted: a model with all its files. To mend: name the directory that holds the "
        "model's files, or bring what is missing into it."
    )


def test_the_error_of_a_full_disk() -> None:
    assert _manifest.disk_problems("/m", 10 * _manifest.GIB, 9 * _manifest.GIB, _manifest.GIB) == []
    assert _manifest.disk_problems("/m", 0, 0, _manifest.GIB) == []
    (problem,) = _manifest.disk_problems("/m", 10 * _manifest.GIB, 10 * _manifest.GIB, _manifest.GIB)
    assert _manifest.sentence(problem) == (
        "/m has 10.0 GiB free. Wanted: 11.0 GiB (10.0 GiB to copy and 1.0 GiB to spare). To mend: make room, or set "
        "model_root (vllm_ray_model_root) to a directory on a larger file system."
    )


@pytest.mark.parametrize(
    ("shared", "path", "here_shared", "consent", "words"),
    [
        pytest.param(True, "/nfs/m", False, [], "on h2 it does not", id="not mounted"),
        pytest.param(True, "/nfs/m", True, [], "h2 sees other files in /nfs/m than h1: a", id="another mount"),
        pytest.param(True, "/local", False, [], "", id="a copy of a shared tree"),
        pytest.param(False, "/m", False, ["a"], "/m on h2 was not made by this role", id="somebody's tree"),
        pytest.param(False, "/m", False, [], "", id="a tree to copy"),
    ],
)
def test_what_forbids_a_copy(shared: bool, path: str, here_shared: bool, consent: list[str], words: str) -> None:
    wanted = Wanted("/nfs/m", "h1", (), shared, "storage:/m")
    problems = _manifest.tree_problems(path, "h2", wanted, Difference(missing=("a",)), consent, here_shared)
    assert bool(problems) == bool(words)
    assert all(words in _manifest.sentence(problem) for problem in problems)


def test_equal_trees_are_no_problem() -> None:
    wanted = Wanted("/nfs/m", "h1", (), True, "storage:/m")
    assert _manifest.tree_problems("/nfs/m", "h2", wanted, Difference(), [], False) == []


def test_many_names_are_cut() -> None:
    assert _manifest.named(["a", "b", "c", "d", "e", "f", "g"]) == "a, b, c, d, e and 2 more"


@pytest.mark.parametrize(
    ("size", "text"), [pytest.param(64 * 1024**3, "64.0 GiB", id="GiB"), pytest.param(1024**2, "1.0 MiB", id="MiB")]
)
def test_sizes(size: int, text: str) -> None:
    assert _manifest.gib(size) == text


def test_what_was_touched_since_it_was_hashed() -> None:
    old, new = _manifest.State(1, 1, 1, 1), _manifest.State(1, 2, 2, 1)
    record = _manifest.Record("/m", files={"a": _manifest.Hashed(old, "x"), "gone": _manifest.Hashed(old, "z")})
    assert _manifest.touched({"a": old, "unknown": new}, record, {}) == []
    assert _manifest.touched({"a": new}, record, {}) == ["a"]
    assert _manifest.touched({"a": new}, record, {"a": "x"}) == []
    assert _manifest.touched({"a": old}, record, {"a": "y"}) == ["a"]
