# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import json
import random

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._tree import (
    DIRECTORY,
    FILE,
    LARGEST,
    LINK,
    SMALLEST,
    Changes,
    Entry,
    Known,
    Manifest,
    Record,
    State,
    TooLarge,
    bits,
    changes,
    count,
    digest,
    dump,
    foreign,
    harmful,
    hashes,
    lowest,
    numbers,
    parse,
    parse_record,
    piece_size,
    plain_file,
    render_record,
    to_hash,
    with_directories,
)

P = SMALLEST


def file(path: str, *parts: bytes, mode: int = 0o644) -> Entry:
    return Entry(path, FILE, mode, sum(map(len, parts)), hashes(parts))


def folder(path: str, mode: int = 0o755) -> Entry:
    return Entry(path, DIRECTORY, mode, 0, "")


TREE = Manifest(
    P,
    [
        file("b", b"x" * P, b"y"),
        folder("a"),
        file("a/empty"),
        file("a/same", b"y"),
        Entry("a/link", LINK, 0, 0, "../b"),
    ],
)


def test_pieces_follow_the_files_in_order() -> None:
    assert [(TREE.entries[piece.entry].path, piece.start, piece.size) for piece in TREE.pieces] == [
        ("a/same", 0, 1),
        ("b", 0, P),
        ("b", P, 1),
    ]
    assert TREE.starts == (0, 1, 1 + P, 2 + P)
    assert (TREE.bytes, TREE.everything) == (2 + P, 0b111)
    assert TREE.pieces[0].sha256 == hashlib.sha256(b"y").hexdigest()


def test_pieces_of_equal_content_are_twins() -> None:
    assert TREE.twins() == {0: [0, 2]}


@pytest.mark.parametrize("seed", range(20))
def test_sets_of_pieces(seed: int) -> None:
    chance = random.Random(seed)
    chosen = sorted(chance.sample(range(300), chance.randint(1, 80)))
    assert numbers(bits(chosen)) == chosen
    assert count(bits(chosen)) == len(chosen)
    assert lowest(bits(chosen)) == chosen[0]
    assert bits([]) == 0
    assert numbers(0) == []


@pytest.mark.parametrize(
    ("total", "size"),
    [(0, SMALLEST), (64 * 1024**2, SMALLEST), (1024**3, 256 * 1024), (20 * 10**9, 4 * 1024**2), (10**12, LARGEST)],
)
def test_the_size_of_pieces_follows_from_the_total(total: int, size: int) -> None:
    assert piece_size(total) == size


@pytest.mark.parametrize("total", [64 * 1024**2, 10**9, 20 * 10**9, 30 * 10**9])
def test_ten_changed_runs_of_one_percent_cost_less_than_a_third_more(total: int) -> None:
    # A run touches at most one piece more than it is long.
    assert total * 0.01 + 10 * piece_size(total) <= total * 0.013


@pytest.mark.parametrize("name", ["with space", "ümläut", "line\nend", "\u2028", "no\udce4utf8", "/".join("d" * 200)])
def test_a_manifest_is_what_it_was_whatever_its_names_are(name: str) -> None:
    parents = [folder("/".join(name.split("/")[:depth])) for depth in range(1, len(name.split("/")))]
    made = Manifest(P, [*parents, file(name, b"z")])
    again = parse(dump(made))
    assert again.entries == made.entries
    assert digest(dump(again)) == digest(dump(made))


def test_equal_trees_have_equal_digests_in_any_order() -> None:
    assert digest(dump(Manifest(P, reversed(TREE.entries)))) == digest(dump(TREE))


@pytest.mark.parametrize(
    "entry",
    [
        file("../x", b"z"),
        file("/etc/x", b"z"),
        file("a/../x", b"z"),
        file("", b"z"),
        file("/x", b"z"),
        file("a/link/x", b"z"),
        file("b/x", b"z"),
        file("nowhere/x", b"z"),
        folder("."),
        folder("b"),
        file("a/nul\0", b"z"),
        file("mode", b"z", mode=0o100644),
        Entry("device", "device", 0, 0, ""),
        Entry("short", FILE, 0o644, P + 1, "0" * 64),
        Entry("long", FILE, 0o644, 1, "0" * 128),
        Entry("negative", FILE, 0o644, -1, ""),
    ],
)
def test_a_manifest_that_is_no_tree_is_refused(entry: Entry) -> None:
    with pytest.raises(ValueError, match=r"wrong|another|two"):
        parse(dump(Manifest(P, [*TREE.entries, entry])))


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (file("suid", mode=0o4755), "its mode 2541"),
        (file("sgid", mode=0o2755), "its mode"),
        (file("group", mode=0o664), "its mode"),
        (file("other", mode=0o646), "its mode"),
        (folder("sticky", mode=0o1777), "its mode"),
        (Entry("bool", FILE, True, 0, ""), "its mode"),
        (Entry("float", FILE, 420.0, 0, ""), "its mode"),  # type: ignore[arg-type]
        (Entry("out", LINK, 0, 0, "/etc"), "it is a link to"),
        (Entry("out", LINK, 0, 0, ".."), "it is a link to"),
        (Entry("a/out", LINK, 0, 0, "../../x"), "it is a link to"),
        (Entry("a/out", LINK, 0, 0, "nowhere/../../../x"), "it is a link to"),
        (Entry("out", LINK, 0, 0, "a/link/../../x"), "it is a link to"),
        (Entry("endless", LINK, 0, 0, "endless/x"), "it is a link to"),
        (Entry("python", LINK, 0, 0, "/usr/bin/python3"), "it is a link to"),
        (Entry("a/mode", LINK, 0o777, 0, "empty"), "its mode"),
        (Entry("void", LINK, 0, 0, ""), "where it leads to"),
        (Entry("long", LINK, 0, 0, "x" * 5000), "where it leads to"),
        (Entry("surrogate", LINK, 0, 0, "\ud800"), "where it leads to"),
        (Entry("hashes", FILE, 0o644, 1, "g" * 64), "its hashes"),
        (Entry("size", DIRECTORY, 0o755, 5, ""), "its size"),
        (file(".vllm-ray-sync"), "such a tree"),
        (file("x" * 256), "too long"),
        (file("\ud800"), "not valid in a file system"),
    ],
)
def test_what_root_should_not_make_is_refused(entry: Entry, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse(dump(Manifest(P, [*TREE.entries, entry])))


@pytest.mark.parametrize("target", ["b", "a", "a/link", "a/../b", "nowhere", "./a//empty", "a/nowhere/../same"])
def test_links_inside_are_taken(target: str) -> None:
    assert parse(dump(Manifest(P, [*TREE.entries, Entry("c", LINK, 0, 0, target)])))


@pytest.mark.parametrize(
    ("target", "taken"),
    [
        ("/usr/bin/python3.11", True),
        ("/opt/python/bin/python", True),
        ("/usr/bin/python3.11/../../../etc/passwd", False),
        ("/usr/../bin/python3", False),
        ("/etc", False),
        ("/usr/bin/pythonic", False),
    ],
)
def test_a_release_may_have_the_interpreter_of_the_host(target: str, taken: bool) -> None:
    links = [Entry("bin/python", LINK, 0, 0, target), Entry("bin/python3", LINK, 0, 0, "python")]
    text = dump(Manifest(P, [folder("bin"), *links]))
    if taken:
        assert parse(text)
        with pytest.raises(ValueError, match="it is a link"):
            parse(dump(Manifest(P, [folder("bin"), *links, Entry("below", LINK, 0, 0, "bin/python/x")])))
    else:
        with pytest.raises(ValueError, match="it is a link"):
            parse(text)


@pytest.mark.parametrize(
    "entries",
    [
        [file("program", mode=0o755)],
        [file(".hidden")],
        [folder("a"), file("a/.hidden")],
        [Entry("link", LINK, 0, 0, "a")],
        [folder("empty")],
        [folder("a", mode=0o700), file("a/b")],
    ],
)
def test_a_plain_tree_has_files_that_everybody_reads_and_nothing_else(entries: list[Entry]) -> None:
    text = dump(Manifest(P, entries))
    assert parse(text)
    with pytest.raises(ValueError, match="is wrong"):
        parse(text, plain=True)


def test_a_tree_must_have_room() -> None:
    text = dump(TREE)
    assert parse(text, room=TREE.bytes)
    with pytest.raises(TooLarge, match=f"the tree has {TREE.bytes} bytes; expected at most 5"):
        parse(text, room=5)


def test_pieces_are_as_large_as_follows_from_the_tree() -> None:
    with pytest.raises(ValueError, match="pieces of 32768 bytes; expected 16384"):
        parse(dump(Manifest(2 * P, [file("a", b"x")])))


@pytest.mark.parametrize(("entry", "text"), [(5, ""), (-1, "0" * 64), (0, ""), (1, "x" * 64), (1, "1" * 64)])
def test_hashes_that_can_not_be_a_files_are_not_learned(entry: int, text: str) -> None:
    manifest = Manifest(P, [folder("a"), file("b", b"x")])
    with pytest.raises(ValueError, match=r".+"):
        manifest.learn(entry, text)


def test_what_a_release_should_not_have_is_said() -> None:
    found = harmful(
        {entry.path: entry for entry in (*TREE.entries, file("suid", mode=0o4755), Entry("x", LINK, 0, 0, "/"))}
    )
    assert [text.partition(" is wrong: ")[0] for text in found] == ["'suid'", "'x'"]


def test_absolute_names_are_refused_also_where_their_directories_are_named() -> None:
    with pytest.raises(ValueError, match="its name"):
        parse(dump(Manifest(P, [folder("/etc"), file("/etc/x", b"z")])))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]\n",
        "{}\n",
        "nonsense",
        json.dumps({"format": 2, "piece": P}),
        json.dumps({"format": 1, "piece": 1}),
        json.dumps({"format": 1, "piece": P}) + '\n["a"]',
    ],
)
def test_what_is_no_manifest_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse(text)


def test_an_equal_tree_needs_no_changes() -> None:
    have = {entry.path: entry for entry in TREE.entries}
    assert not changes(have, TREE.entries)
    assert changes(have, TREE.entries) == Changes()


def test_what_makes_a_tree_another() -> None:
    have = {
        entry.path: entry
        for entry in [
            folder("a", mode=0o700),
            file("a/same", b"y", mode=0o600),
            folder("a/empty"),
            file("a/empty/old", b"o"),
            file("b", b"x" * P, b"z"),
            file("old", b"o"),
        ]
    }
    diff = changes(have, TREE.entries)
    assert [entry.path for entry in diff.files] == ["a/empty", "b"]
    assert [entry.path for entry in diff.links] == ["a/link"]
    assert [entry.path for entry in diff.modes] == ["a", "a/same"]
    assert diff.remove == ("old", "a/empty/old", "a/empty")
    assert not diff.directories
    assert foreign(diff, have) == ["a/empty", "a/empty/old", "b", "old"]


def test_nothing_is_lost_where_nothing_was() -> None:
    diff = changes({}, TREE.entries)
    assert [entry.path for entry in diff.directories] == ["a"]
    assert foreign(diff, {}) == []


def test_a_record_comes_back() -> None:
    record = Record("/tree", True, P, {"b": Known(State(1, 2, 3, 4), "0" * 64)})
    assert parse_record(render_record(record), "/tree") == record
    assert parse_record(render_record(record), "/other") == Record("/other")
    for damaged in ("", "[]", "{", render_record(record).replace("4", '"x"')):
        assert parse_record(damaged, "/tree") == Record("/tree")


def test_what_was_not_touched_is_not_hashed_again() -> None:
    states = {"b": State(1, 2, 3, 4), "c": State(1, 2, 3, 5), "new": State(0, 0, 0, 6)}
    record = Record("/tree", True, P, {"b": Known(states["b"], ""), "c": Known(State(1, 2, 9, 5), "")})
    assert to_hash(states, record, P) == ["c", "new"]
    assert to_hash(states, record, 2 * P) == ["b", "c", "new"]
    assert to_hash(states, record, P, full=True) == ["b", "c", "new"]


def test_a_plain_tree_has_the_directories_that_its_files_lie_in() -> None:
    plain = with_directories([plain_file("a/b/c", 1, "h"), plain_file("d", 0)])
    assert sorted(entry.path for entry in plain if entry.kind == DIRECTORY) == ["a", "a/b"]
    assert {entry.mode for entry in plain} == {0o644, 0o755}
