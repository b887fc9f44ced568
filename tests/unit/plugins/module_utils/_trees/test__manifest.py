# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees import _manifest, _tree
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._manifest import Difference, Entry, Wanted
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._tree import Known, Record, State

STATE = State(3, 100, 200, 7)
PIECE = _tree.SMALLEST
RECORD = Record("/m", True, PIECE, {"config.json": Known(STATE, "aa"), "w/1": Known(State(9, 1, 2, 8), "bb")})


def test_a_tree_as_it_is_recorded() -> None:
    tree = _manifest.recorded(RECORD)
    assert sorted(tree) == [
        _tree.Entry("config.json", _tree.FILE, 0o644, 3, "aa"),
        _tree.Entry("w", _tree.DIRECTORY, 0o755, 0, ""),
        _tree.Entry("w/1", _tree.FILE, 0o644, 9, "bb"),
    ]
    assert _manifest.entries(tree) == [Entry("config.json", 3, _tree.digest("aa")), Entry("w/1", 9, _tree.digest("bb"))]
    assert _manifest.parse_entries([entry.as_dict() for entry in _manifest.entries(tree)]) == _manifest.entries(tree)


@pytest.mark.parametrize(
    ("state", "text", "damaged"),
    [
        pytest.param(STATE._replace(ctime_ns=201), "cc", ["config.json"], id="content without mtime"),
        pytest.param(STATE._replace(ctime_ns=201), "aa", [], id="only the mode"),
        pytest.param(STATE._replace(ctime_ns=201, mtime_ns=201), "cc", [], id="modified"),
        pytest.param(STATE._replace(ctime_ns=201, size=4), "cc", [], id="grown"),
    ],
)
def test_damage_is_content_that_changed_in_silence(state: State, text: str, damaged: list[str]) -> None:
    assert _manifest.corrupted({"config.json": Known(state, text)}, RECORD) == damaged


def test_doubtful_files_keep_their_record() -> None:
    now = Record("/m", True, PIECE, {"config.json": Known(STATE._replace(ctime_ns=9), "cc"), "new": Known(STATE, "dd")})
    record = _manifest.next_record(now, RECORD, ["config.json", "new", "w/1"])
    assert {name: known.text for name, known in record.files.items()} == {"config.json": "aa", "w/1": "bb"}
    # Also if the file system shows no change.
    assert _tree.to_hash({"config.json": STATE}, record, PIECE) == ["config.json"]
    assert _manifest.corrupted({"config.json": Known(STATE, "cc")}, record) == ["config.json"]
    # Hashes of pieces of another size say nothing of these.
    other = _manifest.next_record(Record("/m", True, 2 * PIECE, now.files), RECORD, ["config.json"])
    assert other == Record("/m", True, 2 * PIECE, {"new": Known(STATE, "dd")})


def test_difference() -> None:
    have = [Entry("same", 1, "h"), Entry("size", 1, "h"), Entry("content", 1, "h"), Entry("extra", 1, "h")]
    want = [Entry("same", 1, "h"), Entry("size", 2, "h"), Entry("content", 1, "g"), Entry("missing", 1, "h")]
    assert _manifest.difference(have, want) == Difference(("missing",), ("content", "size"), ("extra",))
    assert not _manifest.difference(want, want)


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
    record = Record("/m", made, PIECE, {"a": Known(STATE, recorded)})
    assert _manifest.needs_consent(diff, [Entry("a", 3, _tree.digest("want"))], PIECE, record) == needed


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
        "/m on h1 has no config.json. Expected: a model with all its files. To fix: name the directory that holds the "
        "model's files, or copy the missing files into it."
    )


def test_the_error_of_a_full_disk() -> None:
    assert _manifest.disk_problems("/m", 10 * _manifest.GIB, 9 * _manifest.GIB, _manifest.GIB) == []
    assert _manifest.disk_problems("/m", 0, 0, _manifest.GIB) == []
    (problem,) = _manifest.disk_problems("/m", 10 * _manifest.GIB, 10 * _manifest.GIB, _manifest.GIB)
    assert _manifest.sentence(problem) == (
        "/m has 10.0 GiB free. Expected: 11.0 GiB (10.0 GiB to copy and 1.0 GiB to spare). To fix: make room, or set "
        "model_root (vllm_ray_model_root) to a directory on a larger file system."
    )


@pytest.mark.parametrize(
    ("shared", "path", "here_shared", "consent", "words"),
    [
        pytest.param(True, "/nfs/m", False, [], "on h2 it does not", id="not mounted"),
        pytest.param(True, "/nfs/m", True, [], "h2 sees different files in /nfs/m than h1: a", id="another mount"),
        pytest.param(True, "/local", False, [], "", id="a copy of a shared tree"),
        pytest.param(False, "/m", False, ["a"], "/m on h2 was not made by this role", id="somebody's tree"),
        pytest.param(False, "/m", False, [], "", id="a tree to copy"),
    ],
)
def test_what_forbids_a_copy(shared: bool, path: str, here_shared: bool, consent: list[str], words: str) -> None:
    wanted = Wanted("/nfs/m", "h1", (), PIECE, shared, "storage:/m")
    problems = _manifest.tree_problems(path, "h2", wanted, Difference(missing=("a",)), consent, here_shared)
    assert bool(problems) == bool(words)
    assert all(words in _manifest.sentence(problem) for problem in problems)


def test_equal_trees_are_no_problem() -> None:
    wanted = Wanted("/nfs/m", "h1", (), PIECE, True, "storage:/m")
    assert _manifest.tree_problems("/nfs/m", "h2", wanted, Difference(), [], False) == []


def test_many_names_are_cut() -> None:
    assert _manifest.named(["a", "b", "c", "d", "e", "f", "g"]) == "a, b, c, d, e and 2 more"


@pytest.mark.parametrize(
    ("size", "text"), [pytest.param(64 * 1024**3, "64.0 GiB", id="GiB"), pytest.param(1024**2, "1.0 MiB", id="MiB")]
)
def test_sizes(size: int, text: str) -> None:
    assert _manifest.gib(size) == text
