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
import re
import typing as t
from dataclasses import dataclass, field

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

FILE, LINK, DIRECTORY = "file", "link", "directory"
FORMAT = 1
PLAIN_FILE, PLAIN_DIRECTORY = 0o644, 0o755
HEX = 64
# A piece is as large as lets a tree have some 4096 of them or more. Then a change of ten places costs 10/4096 of the
# tree more than what changed at most, and a chain of ten hosts is full after 10/4096 of its time. The limits are for
# small and for very large trees: a hash costs some 10 us besides its bytes, and a piece is held in memory.
PIECES = 4096
SMALLEST, LARGEST = 16 * 1024, 8 * 1024**2
# What a manifest may say at most. It comes from another host, so this is checked before anything is made of it: a
# tree of 100,000 files has a manifest of some 20 MB, and one of 1 TB has 130,000 pieces.
LARGEST_MANIFEST = 64 * 1024**2
ENTRIES_MAXIMUM, TREE_MAXIMUM = 2**18, 8 * 1024**4
# Largest number of bytes of a path in a tree and of one of its names; largest depth of a path.
PATH_MAXIMUM, NAME_MAXIMUM, DEPTH_MAXIMUM = 2048, 255, 256
# How many links a tree may have, how many of them one may lead through, and the length of what one leads to.
LINKS_MAXIMUM, LINKS_FOLLOWED, TARGET_MAXIMUM, TARGET_DEPTH = 2**14, 8, 512, 64
# Set-user-id, set-group-id, sticky, and what lets others than the owner write.
FORBIDDEN_MODE = 0o7022
# Names of what the collection puts beside and into trees.
OURS = ".vllm-ray-"
# The one link that may lead out of a tree: a release may have the Python of the host.
INTERPRETER = "bin/python"
INTERPRETER_TARGET = re.compile(r"(/[^/\0]+)*/python(3(\.[0-9]{1,2})?)?")
HASHES = re.compile(r"[0-9a-f]*")


class TooLarge(ValueError):
    """A tree for which there is no room."""


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
    """What the file system reports of a file. A change of content changes ctime_ns, even if mtime is restored."""

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
        """Take note of a file's hashes, and return the set of its pieces. ValueError where these can't be its hashes.

        Hashes that are known stay: pieces may be here because of them.
        """
        if not 0 <= entry < len(self.entries) or self.entries[entry].kind != FILE:
            raise ValueError(f"entry {entry} is not a file of the manifest")
        pieces, known, path = self.pieces_of(entry), self.entries[entry].text, self.entries[entry].path
        if len(text) != HEX * len(pieces) or not HASHES.fullmatch(text):
            raise ValueError(f"{path!r}: expected {len(pieces)} hashes of its pieces, received {len(text) / HEX:g}")
        if known not in ("", text):
            raise ValueError(f"{path!r}: its hashes differ from those received before; it changed during the copy")
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


def parse(text: str, plain: bool = False, growing: bool = False, room: int | None = None) -> Manifest:
    """Return the manifest of a text that came from somewhere else.

    plain: of a plain tree. growing: hashes of files may be missing yet. room: how many bytes the tree may have at most.
    Raises TooLarge, and ValueError where it is none or where root should not make what it says: see check.
    """
    if len(text) > LARGEST_MANIFEST:
        raise ValueError(f"the manifest has {len(text)} bytes; expected at most {LARGEST_MANIFEST}")
    lines = text.count("\n")
    if lines > ENTRIES_MAXIMUM:
        raise ValueError(f"the manifest has {lines} lines; expected at most {ENTRIES_MAXIMUM}")
    try:
        head, *rows = text.splitlines()
        about = json.loads(head)
        entries = [Entry(*json.loads(row)) for row in rows]
        piece = about["piece"]
        if about["format"] != FORMAT or not is_whole(piece) or not SMALLEST <= piece <= LARGEST:
            raise ValueError(f"unsupported manifest: format {about['format']}, pieces of {piece} bytes")
        check(entries, piece, plain, growing, room)
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"this is not a manifest: {error}") from error
    return Manifest(piece, entries)


def is_whole(value: object) -> bool:
    """Return whether a value of a manifest is a whole number: JSON's true and false are numbers in Python."""
    return isinstance(value, int) and not isinstance(value, bool)


def check(
    entries: Sequence[Entry], piece: int, plain: bool = False, growing: bool = False, room: int | None = None
) -> None:
    """Raise ValueError where entries are no tree that root may make: nothing may be outside it because of them, nobody
    may get rights from them, and they must be no larger than what there is room for.

    A plain tree has only files and their directories, which everybody may read and the owner may write, and no hidden
    names. In other trees, only the owner may write, and links stay inside.
    """
    if not all(is_whole(entry.size) and 0 <= entry.size <= TREE_MAXIMUM for entry in entries):
        raise ValueError(f"the manifest is wrong: a file's size is not from 0 to {TREE_MAXIMUM} bytes")
    total = sum(entry.size for entry in entries)
    if total > TREE_MAXIMUM or (room is not None and total > room):
        most = TREE_MAXIMUM if room is None else min(room, TREE_MAXIMUM)
        raise TooLarge(f"the tree has {total} bytes; expected at most {most}")
    if piece != piece_size(total):
        raise ValueError(f"pieces of {piece} bytes; expected {piece_size(total)} for a tree of {total} bytes")
    kinds: dict[str, Entry] = {}
    for entry in sorted(entries):
        parent = entry.path.rpartition("/")[0]
        wrong = name_problem(entry.path, plain) or kind_problem(entry, piece, plain, growing)
        if not wrong and parent and (parent not in kinds or kinds[parent].kind != DIRECTORY):
            wrong = "what it lies in"
        if wrong or entry.path in kinds:
            raise ValueError(f"the manifest's entry {entry.path!r} is wrong: {wrong or 'it is there twice'}")
        kinds[entry.path] = entry
    if plain:
        void = {path for path, entry in kinds.items() if entry.kind == DIRECTORY}
        void -= {path.rpartition("/")[0] for path in kinds}
        if void:
            raise ValueError(f"the manifest's entry {min(void)!r} is wrong: it is an empty directory")
    links = [entry for entry in kinds.values() if entry.kind == LINK]
    if len(links) > LINKS_MAXIMUM:
        raise ValueError(f"the manifest has {len(links)} links; expected at most {LINKS_MAXIMUM}")
    for entry in links:
        if not stays_inside(entry, kinds):
            raise ValueError(f"the manifest's entry {entry.path!r} is wrong: it is a link to {entry.text!r}")


def name_problem(path: str, plain: bool) -> str:
    """Return what is wrong with a path in a tree, nothing where it is right."""
    parts = path.split("/")
    try:
        sizes = [len(part.encode("utf-8", "surrogateescape")) for part in parts]
    except UnicodeEncodeError:
        return "its name is not valid in a file system"
    if "\0" in path or not {"", ".", ".."}.isdisjoint(parts):
        return "its name"
    if any(part.startswith("." if plain else OURS) for part in parts):
        return "its name is not allowed in such a tree"
    if max(sizes) > NAME_MAXIMUM or sum(sizes) + len(sizes) > PATH_MAXIMUM or len(parts) > DEPTH_MAXIMUM:
        return "its name is too long"
    return ""


def kind_problem(entry: Entry, piece: int, plain: bool, growing: bool) -> str:
    """Return what is wrong with an entry besides its name and its directory. Empty if it is right."""
    if entry.kind not in ((FILE, DIRECTORY) if plain else (FILE, LINK, DIRECTORY)):
        return "its kind"
    if entry.kind != FILE and entry.size:
        return "its size"
    modes = {FILE: PLAIN_FILE, DIRECTORY: PLAIN_DIRECTORY, LINK: 0}
    fixed = plain or entry.kind == LINK
    if not is_whole(entry.mode) or (entry.mode != modes[entry.kind] if fixed else not is_safe_mode(entry.mode)):
        return f"its mode {entry.mode!r}, with which others could write or get its owner's rights"
    if entry.kind == LINK:
        try:
            size = len(entry.text.encode("utf-8", "surrogateescape"))
        except UnicodeEncodeError:
            return "where it leads to"
        right = 0 < size <= TARGET_MAXIMUM and "\0" not in entry.text and entry.text.count("/") < TARGET_DEPTH
        return "" if right else "where it leads to"
    pieces = -(-entry.size // piece)
    if len(entry.text) != HEX * pieces and not (growing and entry.kind == FILE and entry.text == ""):
        return "its hashes"
    return "" if HASHES.fullmatch(entry.text) else "its hashes"


def is_safe_mode(mode: int) -> bool:
    """Whether only the owner may write what has a mode, and nobody gets rights by it."""
    return 0 <= mode <= 0o777 and not mode & FORBIDDEN_MODE


def harmful(entries: Mapping[str, Entry]) -> list[str]:
    """Return what root should not make of a release, one sentence for each entry. entries: by path."""
    found = []
    for path, entry in entries.items():
        why = name_problem(path, plain=False)
        if not why and entry.kind == LINK and not stays_inside(entry, entries):
            why = f"it is a link to {entry.text!r}, out of the tree"
        elif not why and entry.kind != LINK and not is_safe_mode(entry.mode):
            why = f"its mode is {entry.mode:04o}, with which others could write or get its owner's rights"
        if why:
            found.append(f"{path!r} is wrong: {why}")
    return found


def stays_inside(link: Entry, kinds: Mapping[str, Entry]) -> bool:
    """Whether a link leads to a place in its tree, also through the other links on its way. A missing target counts as
    a place, because nobody can create another one there. kinds: the entries by path.
    """
    if link.path == INTERPRETER and INTERPRETER_TARGET.fullmatch(link.text):
        return {".", ".."}.isdisjoint(link.text.split("/"))
    here = link.path.split("/")[:-1]
    pending, followed = [*reversed(link.text.split("/"))], 1
    if link.text.startswith("/"):
        return False
    while pending:
        name = pending.pop()
        if name == "..":
            if not here:
                return False
            here.pop()
        elif name not in ("", "."):
            entry = kinds.get("/".join([*here, name]))
            if entry is None or entry.kind != LINK:
                here.append(name)
                continue
            followed += 1
            if entry.text.startswith("/"):
                # The interpreter, which is a file: nothing is below it.
                return entry.path == INTERPRETER and not pending
            if followed > LINKS_FOLLOWED:
                return False
            pending += reversed(entry.text.split("/"))
    return True


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
    """Return the files of a plain tree with their directories."""
    listed = list(files)
    above = {folder for entry in listed for folder in parents(entry.path)}
    return [*listed, *(Entry(folder, DIRECTORY, PLAIN_DIRECTORY, 0, "") for folder in above)]


def parents(path: str) -> list[str]:
    """Return the directories above a relative path."""
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
