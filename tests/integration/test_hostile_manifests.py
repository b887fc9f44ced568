# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a manifest of another host says, root makes nothing of it that gives anybody rights or leads out of it."""

from __future__ import annotations

import hashlib
import json
import os
import random
import stat
import tempfile
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees import _store_io, _tree, _tree_io

P = _tree.SMALLEST
MIB = 1024**2
NAMES = (
    *("a", "b", "bin", "python", "config.json", "ümläut", "line\nend", "no\udce4utf8", "x" * 255),
    *("..", ".", "", ".hidden", ".vllm-ray-sync", ".vllm-ray-x", "x" * 256, "\ud800", "nul\0"),
)
RIGHT_NAMES = NAMES[:9]
TARGETS = (
    *("a", "b/a", "../a", "bin/python", "nowhere", "a/../b", ".", ""),
    *(
        "..",
        "../..",
        "/etc",
        "/etc/shadow",
        "a/../../..",
        "../../../etc",
        "b/../../x",
        "/usr/bin/python3",
        "/usr/../x/python",
    ),
    *("\0", "x" * 5000, "\ud800", "a/" * 100),
)
MODES = (
    0o644,
    0o755,
    0o600,
    0o555,
    0,
    0o4755,
    0o2755,
    0o1777,
    0o777,
    0o664,
    0o666,
    -1,
    0o10644,
    2**40,
    420.0,
    True,
    "644",
)
SIZES = (0, 1, 100, P, P + 1, 3 * P, -1, 2**50, 10**40, 1.5, True, None)


def content(size: int) -> bytes:
    """Return the content that a file of a size has in these trees."""
    return random.Random(size).randbytes(size)


def hashes(size: Any) -> str:
    if not isinstance(size, int) or not 0 <= size <= MIB:
        return ""
    data = content(size)
    return "".join(hashlib.sha256(data[at : at + P]).hexdigest() for at in range(0, size, P))


@st.composite
def entries(draw: st.DrawFn) -> list[list[Any]]:
    """Return the entries of a manifest, mostly with their directories; all else may be wrong."""
    names = st.sampled_from(RIGHT_NAMES if draw(st.integers(0, 3)) else NAMES)
    right = draw(st.integers(0, 2)) > 0
    made: dict[str, list[Any]] = {}
    for _number in range(draw(st.integers(0, 12))):
        parts = draw(st.lists(names, min_size=1, max_size=4))
        for depth in range(1, len(parts)):
            above = "/".join(parts[:depth])
            made.setdefault(above, [above, "directory", 0o755, 0, ""])
        path, kind = "/".join(parts), draw(st.sampled_from(["file", "file", "link", "directory"]))
        size = draw(st.sampled_from(SIZES[:6] if right else SIZES)) if kind == "file" else 0
        mode = 0 if kind == "link" else draw(st.sampled_from(MODES[:5] if right else MODES))
        text = hashes(size) if kind == "file" else ""
        made.setdefault(path, [path, kind, mode, size, draw(st.sampled_from(TARGETS)) if kind == "link" else text])
    rows = list(made.values())
    if rows and not right:
        # Some of it is another kind of thing, there twice, or not there.
        which, row = draw(st.integers(0, len(rows) - 1)), draw(st.integers(0, 5))
        if row < 5:
            rows[which] = [*rows[which]]
            rows[which][row] = draw(st.sampled_from([*NAMES, *TARGETS, *MODES, *SIZES, "device", [], {}, [[]] * 3]))
        else:
            rows.append([*rows[which]])
        if draw(st.booleans()):
            rows.pop(draw(st.integers(0, len(rows) - 1)))
    return rows


def text_of(rows: list[Any], piece: Any = P) -> str:
    return "".join(f"{json.dumps(row)}\n" for row in ({"format": 1, "piece": piece}, *rows))


def assert_harmless(tree: Path) -> None:
    """Look that a tree gives nobody rights, and that its links stay inside."""
    for folder, folders, files in os.walk(os.fsencode(tree)):
        for name in [*folders, *files]:
            place = os.path.join(folder, name)
            status = os.lstat(place)
            if stat.S_ISLNK(status.st_mode):
                at = os.path.relpath(place, os.fsencode(tree))
                if at == b"bin/python" and os.readlink(place).startswith(b"/"):
                    assert os.readlink(place) == b"/usr/bin/python3"
                    continue
                real = os.path.realpath(place)
                if real != os.path.realpath(b"/usr/bin/python3"):
                    assert (real + b"/").startswith(os.fsencode(tree) + b"/"), (place, real)
            else:
                assert stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)
                assert not status.st_mode & 0o7022, (place, oct(status.st_mode))
                assert status.st_uid == os.geteuid()


def install(text: str, plain: bool) -> bool:
    """Make the tree of a manifest, if it is taken, and look at it. Return whether it was."""
    try:
        manifest = _tree.parse(text, plain, room=64 * MIB)
    except ValueError:
        return False
    with tempfile.TemporaryDirectory() as folder:
        above = Path(folder)
        (above / "canary").write_text("canary")
        tree = above / "tree"
        store = _store_io.Store(str(tree), manifest, _tree_io.look(str(tree), _tree.Record(""), P, plain=plain))
        try:
            store.prepare(0)
            for number, piece in enumerate(manifest.pieces):
                entry = manifest.entries[piece.entry]
                assert store.put(number, content(entry.size)[piece.start :][: piece.size])
            store.install()
            record = store.record(True)
        finally:
            store.release()
        assert_harmless(tree)
        assert sorted(path.name for path in above.iterdir()) == ["canary", "tree"]
        assert (above / "canary").read_text() == "canary"
        # It is what the manifest says, so that nobody fetches it again.
        again = _tree_io.look(str(tree), record, manifest.piece, plain=plain)
        assert _tree.digest(_tree.dump(again.manifest())) == _tree.digest(
            text_of(sorted(json.loads(row) for row in text.split("\n")[1:-1]))
        )
        assert again.hashed == 0
    return True


@pytest.mark.parametrize("plain", [False, True])
def test_what_is_taken_of_a_manifest_gives_nobody_rights(plain: bool) -> None:
    taken = 0

    @settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @example([["suid", "file", 0o4755, 0, ""]])
    @example([["etc", "link", 0, 0, "/etc"]])
    @example([["open", "directory", 0o1777, 0, ""], ["open/x", "file", 0o644, 0, ""]])
    @example([["a", "link", 0, 0, "b"], ["b", "link", 0, 0, "a"]])
    @example([["a", "directory", 0o755, 0, ""], ["a/up", "link", 0, 0, ".."], ["out", "link", 0, 0, "a/up/.."]])
    @example([["bin", "directory", 0o755, 0, ""], ["bin/python", "link", 0, 0, "/usr/bin/python3"]])
    @example([["a", "directory", 0o755, 0, ""], ["a/b", "file", 0o644, 0, ""]])
    @given(entries())
    def check(rows: list[list[Any]]) -> None:
        nonlocal taken
        tracemalloc.reset_peak()
        before, began = tracemalloc.get_traced_memory()[0], time.process_time()
        taken += install(text_of(rows), plain)
        assert time.process_time() - began < 2
        assert tracemalloc.get_traced_memory()[1] - before < 100 * MIB

    tracemalloc.start()
    try:
        check()
    finally:
        tracemalloc.stop()
    # Otherwise it would show nothing.
    assert taken > 20, taken


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (text_of([["a", "file", 0o644, 2**50, ""]]), "size is not"),
        (text_of([["a", "file", 0o644, 2**42, ""]], _tree.LARGEST), "expected at most 67108864"),
        (text_of([["a", "file", 0o644, 2**20, ""]], _tree.LARGEST), "pieces of 8388608 bytes; expected 16384"),
        (text_of([[str(number), "file", 0o644, 2**42, ""] for number in range(5)], _tree.LARGEST), "expected at most"),
        (text_of([]) + "[" * 10**6, "not a manifest"),
        (text_of([]) + "1" * 10**6, "manifest|digits"),
        ("\n" * (2**18 + 1), "262145 lines"),
        ("x" * (64 * MIB + 1), "67108865 bytes"),
        ("[" * (60 * MIB), "not a manifest"),
        (text_of([["/".join("d" * 300), "directory", 0o755, 0, ""]]), "too long"),
    ],
)
def test_giants_are_refused_before_anything_is_made_of_them(text: str, why: str) -> None:
    """71 bytes may say that a file has 2^50: lists of its pieces would fill the memory."""
    tracemalloc.start()
    began = time.process_time()
    try:
        with pytest.raises(ValueError, match=why):
            _tree.parse(text, growing=True, room=64 * MIB)
        assert tracemalloc.get_traced_memory()[1] < 100 * MIB
    finally:
        tracemalloc.stop()
    assert time.process_time() - began < 2


def test_many_links_through_links_take_no_time() -> None:
    rows: list[list[Any]] = [["d", "directory", 0o755, 0, ""]]
    rows += [[f"d/l{number}", "link", 0, 0, "../d/" * 20 + f"l{number + 1}"] for number in range(16000)]
    began = time.process_time()
    with pytest.raises(ValueError, match="it is a link to"):
        _tree.parse(text_of(rows))
    assert time.process_time() - began < 2


def test_something_else_in_the_place_of_a_new_tree_is_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next check whether the tree is there must not find it complete."""
    entry = _tree.plain_file("a", 3, hashlib.sha256(b"abc").hexdigest())
    manifest, tree = _tree.Manifest(P, [entry]), tmp_path / "tree"
    store = _store_io.Store(str(tree), manifest, _tree_io.look(str(tree), _tree.Record(""), P, plain=True))
    store.prepare(0)
    assert store.put(0, b"abc")
    appear = store.appear

    def changed(*args: Any) -> None:
        appear(*args)
        (tree / "a").chmod(0o4755)

    monkeypatch.setattr(store, "appear", changed)
    with pytest.raises(_store_io.Failed, match="differs from its manifest"):
        store.install()
    store.release()
    assert [path.name for path in tmp_path.iterdir()] == [".tree.vllm-ray-sync"]
