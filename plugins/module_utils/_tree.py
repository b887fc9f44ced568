# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a tree is, to the byte: its manifest, its pieces, what makes it another. PRIVATE to the collection.

A piece is a part of one file, and is known by its SHA-256. All pieces in the manifest's order are one stream of bytes,
so that a piece is a range of it. Owners and times are no part of a tree: each host has accounts of its own, and
bytecode in releases does not depend on times.

Sets of pieces are integers: bit n is piece n. They are small, and compared in a few instructions.
"""

from __future__ import annotations

import bisect
import hashlib
import itertools
import json
import typing as t
from dataclasses import dataclass, field

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FILE, LINK, DIRECTORY = "file", "link", "directory"
FORMAT = 1
PLAIN_FILE, PLAIN_DIRECTORY = 0o644, 0o755
HEX = 64
# A piece is as large as lets a tree have some 4096 of them or more. Then a change of ten places costs 10/4096 of the
# tree more than what changed at most, and a chain of ten hosts is full after 10/4096 of its time. The limits are for
# small and for very large trees: a hash costs some 10 us besides its bytes, and a piece is held in memory.
PIECES = 4096
SMALLEST, LARGEST = 16 * 1024, 8 * 1024**2


class Entry(t.NamedTuple):
    """One name of a tree. size: bytes of a file. text: the hashes of a file's pieces in a row, or a link's target."""

    path: str
    kind: str
    mode: int
    size: int
    text: str


class Piece(t.NamedTuple):
    """A part of a file. entry: which of the manifest's; start: where it begins in the file, in bytes."""

    entry: int
    start: int
    size: int
    sha256: str


class State(t.NamedTuple):
    """What the file system says of a file. Whoever changes its content changes ctime_ns, whatever else is put back."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int


class Known(t.NamedTuple):
    """A file of a record: its state when it was hashed, and the hashes of its pieces."""

    state: State
    text: str


@dataclass(frozen=True)
class Record:
    """What is known of a tree since its last look. made: the collection made it, so it may remove from it."""

    path: str
    made: bool = False
    piece: int = 0
    files: Mapping[str, Known] = field(default_factory=dict)


@dataclass(frozen=True)
class Changes:
    """What makes the tree that is there the wanted one. remove: deepest names first, so that directories are empty."""

    directories: tuple[Entry, ...] = ()
    files: tuple[Entry, ...] = ()
    links: tuple[Entry, ...] = ()
    modes: tuple[Entry, ...] = ()
    remove: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.directories or self.files or self.links or self.modes or self.remove)


class Manifest:
    """All names of a tree in order, and the pieces of its files. starts: where each piece begins in the stream.

    While a tree is downloaded, its names and sizes are known, and hashes are learned file by file. known: the set of
    pieces whose hashes are.
    """

    def __init__(self, piece: int, entries: Iterable[Entry]) -> None:
        self.piece = piece
        self.entries = sorted(entries)
        self.pieces = [
            Piece(number, start, min(piece, entry.size - start), entry.text[at : at + HEX])
            for number, entry in enumerate(self.entries)
            if entry.kind == FILE
            for start, at in zip(range(0, entry.size, piece), itertools.count(0, HEX))
        ]
        self.starts = (0, *itertools.accumulate(piece.size for piece in self.pieces))
        self.owners = [piece.entry for piece in self.pieces]
        self.known = bits(number for number, piece in enumerate(self.pieces) if piece.sha256)

    def pieces_of(self, entry: int) -> range:
        """Return the pieces of a file."""
        first = bisect.bisect_left(self.owners, entry)
        return range(first, bisect.bisect_right(self.owners, entry))

    def learn(self, entry: int, text: str) -> int:
        """Take note of a file's hashes, and return the set of its pieces. ValueError where it has not as many."""
        pieces = self.pieces_of(entry)
        if len(text) != HEX * len(pieces):
            raise ValueError(f"{self.entries[entry].path!r} has {len(pieces)} pieces, and {len(text) / HEX} hashes")
        for at, number in enumerate(pieces):
            self.pieces[number] = self.pieces[number]._replace(sha256=text[HEX * at : HEX * at + HEX])
        self.entries[entry] = self.entries[entry]._replace(text=text)
        self.known |= bits(pieces)
        return bits(pieces)

    @property
    def everything(self) -> int:
        """Return the set of all pieces."""
        return (1 << len(self.pieces)) - 1

    @property
    def bytes(self) -> int:
        return self.starts[-1]

    def twins(self) -> dict[int, list[int]]:
        """Return the pieces of equal content, by the first of them. Pieces that have no equal are left out."""
        by_hash: dict[str, list[int]] = {}
        for number, piece in enumerate(self.pieces):
            if piece.sha256:
                by_hash.setdefault(piece.sha256, []).append(number)
        return {numbers[0]: numbers for numbers in by_hash.values() if len(numbers) > 1}


# --- Sets of pieces --------------------------------------------------------------------------------------------------


def count(pieces: int) -> int:
    return bin(pieces).count("1")


def lowest(pieces: int) -> int:
    """Return the first piece of a set that is not empty."""
    return (pieces & -pieces).bit_length() - 1


def bits(numbers: Iterable[int]) -> int:
    """Return the set of some pieces."""
    listed = set(numbers)
    if not listed:
        return 0
    cells = bytearray(max(listed) // 8 + 1)
    for number in listed:
        cells[number // 8] |= 1 << number % 8
    return int.from_bytes(cells, "little")


def numbers(pieces: int) -> list[int]:
    """Return the pieces of a set in order."""
    return [at for at, bit in enumerate(reversed(bin(pieces)[2:])) if bit == "1"]


# --- Manifests -------------------------------------------------------------------------------------------------------


def piece_size(total: int) -> int:
    """Return how large the pieces of a tree of so many bytes are: from its size only, so that equal trees agree."""
    size = SMALLEST
    while size < LARGEST and 2 * size * PIECES <= total:
        size *= 2
    return size


def hashes(parts: Iterable[bytes]) -> str:
    """Return the text of a file's entry."""
    return "".join(hashlib.sha256(part).hexdigest() for part in parts)


def dump(manifest: Manifest) -> str:
    """Return a manifest's text; equal trees have equal texts. Names that are no UTF-8 pass as lone surrogates."""
    head = json.dumps({"format": FORMAT, "piece": manifest.piece})
    return "".join(f"{line}\n" for line in [head, *(json.dumps(entry) for entry in manifest.entries)])


def digest(text: str) -> str:
    """Return the one hash by which a tree is known."""
    return hashlib.sha256(text.encode()).hexdigest()


def parse(text: str, growing: bool = False) -> Manifest:
    """Return the manifest of a text. ValueError, where it is none or leads out of the tree. growing: hashes of files
    may be missing yet."""
    try:
        head, *lines = text.splitlines()
        about = json.loads(head)
        entries = [Entry(*json.loads(line)) for line in lines]
        piece = int(about["piece"])
        if about["format"] != FORMAT or not SMALLEST <= piece <= LARGEST:
            raise ValueError(f"format {about['format']}, pieces of {piece} bytes")
        check(entries, piece, growing)
        return Manifest(piece, entries)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"this is no manifest: {error}") from error


def check(entries: Iterable[Entry], piece: int, growing: bool = False) -> None:
    """Raise ValueError where entries are no tree: nobody may write outside it because of them."""
    kinds: dict[str, str] = {}
    for entry in sorted(entries):
        parent, _slash, name = entry.path.rpartition("/")
        pieces = -(-entry.size // piece) if entry.kind == FILE else 0
        wrong = (
            (entry.kind not in (FILE, LINK, DIRECTORY), "its kind"),
            (name in ("", ".", "..") or entry.path.startswith("/") or "\0" in entry.path, "its name"),
            (bool(parent) and kinds.get(parent) != DIRECTORY, "what it lies in"),
            (entry.path in kinds, "there are two of it"),
            (entry.size < 0 or not 0 <= entry.mode <= 0o7777, "its size or mode"),
            (entry.kind != LINK and len(entry.text) != HEX * pieces and not (growing and not entry.text), "its hashes"),
        )
        for is_wrong, what in wrong:
            if is_wrong:
                raise ValueError(f"the manifest's entry {entry.path!r} is wrong: {what}")
        kinds[entry.path] = entry.kind


def changes(have: Mapping[str, Entry], want: Iterable[Entry]) -> Changes:
    """Return what makes the tree that is there the wanted one. have: its entries by path, none where it isn't there."""
    wanted = {entry.path: entry for entry in want}
    same_kind = {path for path, entry in have.items() if path in wanted and wanted[path].kind == entry.kind}
    new = [
        entry
        for path, entry in sorted(wanted.items())
        if path not in same_kind or (have[path].size, have[path].text) != (entry.size, entry.text)
    ]
    return Changes(
        directories=tuple(entry for entry in new if entry.kind == DIRECTORY),
        files=tuple(entry for entry in new if entry.kind == FILE),
        links=tuple(entry for entry in new if entry.kind == LINK),
        modes=tuple(
            entry
            for path, entry in sorted(wanted.items())
            if path in same_kind and entry.kind != LINK and have[path].mode != entry.mode
        ),
        remove=tuple(sorted(have.keys() - same_kind, reverse=True)),
    )


def foreign(diff: Changes, have: Mapping[str, Entry]) -> list[str]:
    """Return the names whose content would be lost."""
    return sorted({*diff.remove, *(entry.path for entry in (*diff.files, *diff.links) if entry.path in have)})


def plain_file(path: str, size: int, text: str = "") -> Entry:
    """Return a file of a plain tree, of which only the content counts: it has the mode that such files get."""
    return Entry(path, FILE, PLAIN_FILE, size, text)


def with_directories(files: Iterable[Entry]) -> list[Entry]:
    """Return the files of a plain tree with the directories that they lie in."""
    listed = list(files)
    above = {folder for entry in listed for folder in parents(entry.path)}
    return [*listed, *(Entry(folder, DIRECTORY, PLAIN_DIRECTORY, 0, "") for folder in above)]


def parents(path: str) -> list[str]:
    """Return the directories in which a relative path lies."""
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


# --- Records ---------------------------------------------------------------------------------------------------------


def record_name(path: str) -> str:
    """Return the name of the file that holds the record of a tree."""
    return hashlib.sha256(path.encode("utf-8", "surrogateescape")).hexdigest()[:32] + ".tree.json"


def parse_record(text: str, path: str) -> Record:
    """Return the record in a text, an empty one where it is of no use: then everything is hashed again."""
    try:
        data = json.loads(text)
        files = {
            str(name): Known(State(*(int(number) for number in one[:4])), str(one[4]))
            for name, one in data["files"].items()
        }
        if data["path"] != path:
            return Record(path)
        return Record(path, bool(data["made"]), int(data["piece"]), files)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        return Record(path)


def render_record(record: Record) -> str:
    """Return the text of a record; the same record always gives the same text."""
    files = {name: [*known.state, known.text] for name, known in sorted(record.files.items())}
    return json.dumps({"path": record.path, "made": record.made, "piece": record.piece, "files": files}) + "\n"


def to_hash(states: Mapping[str, State], record: Record, piece: int, full: bool = False) -> list[str]:
    """Return the files whose hashes can't be taken from the record."""
    known = record.files if record.piece == piece and not full else {}
    return sorted(path for path, state in states.items() if path not in known or known[path].state != state)
