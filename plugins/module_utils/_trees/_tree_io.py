# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trees on disk: read one with its pieces, and the records of what was read. PRIVATE to the collection."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _json, _safe_io, _unsafe
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._directory_io import Directory
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._folders_io import (
    STAGING,
    Failed,
    Folders,
    Refused,
)
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._unsafe import Account, Unsafe
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees import _tree
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._manifest_io import linked_text, make_directories

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sized

GIB = 1024**3
# A record is about as long as the manifest of its tree.
RECORD_MAXIMUM = 2 * _tree.LARGEST_MANIFEST
# Who may follow links that other accounts made, where nothing else is known: nobody in particular.
EVERYBODY = Account()


@dataclass(frozen=True)
class Look:
    """A tree as it is. hashed: bytes that were read for it; piece: size of its pieces; plain, account: as of Tree."""

    piece: int
    entries: Mapping[str, _tree.Entry] = field(default_factory=dict)
    states: Mapping[str, _tree.State] = field(default_factory=dict)
    hashed: int = 0
    exists: bool = False
    plain: bool = False
    account: Account = EVERYBODY

    def manifest(self) -> _tree.Manifest:
        return _tree.Manifest(self.piece, self.entries.values())

    def record(self, path: str, made: bool) -> _tree.Record:
        files = {name: _tree.Known(state, self.entries[name].text) for name, state in self.states.items()}
        return _tree.Record(path, made, self.piece, files)


# --- Reading ---------------------------------------------------------------------------------------------------------


class Tree:
    """A tree that is there, to be read.

    plain: only regular files count, through links, without hidden names. account: who must be able to read what links
    lead to that somebody else made; within the tree and its store of blobs, where it is a snapshot of Hugging Face's
    cache, they lead anywhere.
    """

    def __init__(self, path: str, plain: bool, account: Account = EVERYBODY) -> None:
        self.path, self.plain, self.account = path, plain, account
        self.inside: list[str] = []
        self.folders: Folders | None = None
        try:
            self.folders = Folders(_safe_io.open_directory(path))
            self.inside = [self.folders.root.path, *blobs_of(self.folders.root.path)]
        except Unsafe:
            if not plain:
                raise

    def __enter__(self) -> Tree:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        if self.folders:
            self.folders.close()

    def open(self, name: str) -> int:
        """Open a file of the tree and return its descriptor. Failed where we may not read it for others."""
        if self.folders:
            # Mostly no name on the way is a link.
            try:
                with self.folders.holding(name) as (directory, last):
                    return directory.open(last)
            except Unsafe:
                if not self.plain:
                    raise
        place = os.path.join(self.path, name)
        try:
            return _safe_io.open_as(place, self.account, self.inside)
        except Unsafe as error:
            raise closed(error, place) from error

    def scan(self) -> dict[str, tuple[_tree.Entry, _tree.State]]:
        """Return the names of the tree. Files have no hashes yet."""
        if self.plain:
            return scan_plain(self.path, self.account)
        return scan_folders(t.cast(Folders, self.folders))


def closed(error: Unsafe, place: str) -> Refused:
    """Return the error that we may not read something for others. place: its path in the tree."""
    real = os.path.realpath(place)
    fix = f"copy it to {place!r}, or let everybody read it: chmod o+r '{real}', and chmod o+x the directories above it"
    return Refused(f"{_unsafe.shown(place)} is {error.found}", error.wanted, fix if real != place else error.fix)


def blobs_of(path: str) -> list[str]:
    """Return the directory with a snapshot's content in Hugging Face's cache. path: of the snapshot, without links."""
    above = os.path.dirname(path)
    return [os.path.join(os.path.dirname(above), "blobs")] if os.path.basename(above) == "snapshots" else []


def state_of(status: os.stat_result) -> _tree.State:
    return _tree.State(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def scan(path: str, plain: bool = False, account: Account = EVERYBODY) -> dict[str, tuple[_tree.Entry, _tree.State]]:
    """Return the names of a tree; see Tree."""
    with Tree(path, plain, account) as tree:
        return tree.scan()


def too_many(path: str, found: Sized) -> None:
    """Raise Failed where a tree has more names than a manifest may have."""
    if len(found) > _tree.ENTRIES_MAXIMUM:
        raise Refused(f"{path!r} has more than {_tree.ENTRIES_MAXIMUM} names", "a smaller tree", "correct the path")


def scan_folders(folders: Folders) -> dict[str, tuple[_tree.Entry, _tree.State]]:
    """Return the names of a tree, links as links, without our own staging directory. Files have no hashes yet."""
    found: dict[str, tuple[_tree.Entry, _tree.State]] = {}
    pending = [""]
    while pending:
        folder = pending.pop()
        with folders.at(folder) as directory, os.scandir(directory.fd) as inside:
            for one in inside:
                name = f"{folder}/{one.name}" if folder else one.name
                if name == STAGING:
                    continue
                status = one.stat(follow_symlinks=False)
                mode = stat.S_IMODE(status.st_mode)
                if stat.S_ISREG(status.st_mode):
                    entry = _tree.Entry(name, _tree.FILE, mode, status.st_size, "")
                elif stat.S_ISLNK(status.st_mode):
                    entry = _tree.Entry(name, _tree.LINK, 0, 0, directory.readlink(one.name) or "")
                elif stat.S_ISDIR(status.st_mode):
                    entry = _tree.Entry(name, _tree.DIRECTORY, mode, 0, "")
                    pending.append(name)
                else:
                    raise unlike(directory.at(one.name), status)
                found[name] = (entry, state_of(status))
                too_many(folders.root.path, found)
    return found


def unlike(place: str, status: os.stat_result) -> Refused:
    """Return the error that something can't be in a tree."""
    kind = _unsafe.kind_of(status.st_mode)
    return Refused(f"{place!r} is {kind}", "a tree of files, links and directories", "move it away")


def entered(path: str, folder: str, account: Account) -> Directory:
    """Open a directory of a plain tree. Refused where we may not list it for others."""
    place = os.path.join(path, folder)
    try:
        return _safe_io.open_directory(place, account=account)
    except Unsafe as error:
        raise closed(error, place) from error


def scan_plain(path: str, account: Account = EVERYBODY) -> dict[str, tuple[_tree.Entry, _tree.State]]:
    """Return the regular files of a tree, through links, and their directories, without hidden names.

    Modes are those that files and directories have for everybody: such a tree is its content alone.
    """
    found: dict[str, tuple[_tree.Entry, _tree.State]] = {}
    states: dict[str, _tree.State] = {}
    pending: list[tuple[str, frozenset[str]]] = [("", frozenset())]
    while pending:
        folder, above = pending.pop()
        with entered(path, folder, account) as directory:
            # A link to a directory above it would have no end.
            if directory.path in above:
                continue
            states[folder] = state_of(directory.status())
            for one in directory.names():
                if one.startswith("."):
                    continue
                name = f"{folder}/{one}" if folder else one
                # Through links, so that one that leads nowhere is an error: the tree would lack a file.
                status = os.stat(os.path.join(path, name))
                if stat.S_ISDIR(status.st_mode):
                    pending.append((name, above | {directory.path}))
                elif stat.S_ISREG(status.st_mode):
                    found[name] = (_tree.plain_file(name, status.st_size), state_of(status))
                else:
                    raise unlike(os.path.join(path, name), status)
                too_many(path, found)
    tree = _tree.with_directories(entry for entry, _state in found.values())
    return {**found, **{entry.path: (entry, states[entry.path]) for entry in tree if entry.kind == _tree.DIRECTORY}}


def hash_file(handle: int, piece: int) -> str:
    """Return the hashes of the pieces of an open file in a row."""
    os.lseek(handle, 0, os.SEEK_SET)
    return _tree.hashes(iter(lambda: read_block(handle, piece), b""))


def read_block(handle: int, size: int) -> bytes:
    """Return so many bytes of an open file, fewer only at its end."""
    data = os.read(handle, size)
    while data and len(data) < size:
        more = os.read(handle, size - len(data))
        if not more:
            break
        data += more
    return data


def hash_files(
    path: str, states: Mapping[str, _tree.State], piece: int, plain: bool = False, account: Account = EVERYBODY
) -> dict[str, str]:
    """Return the hashes of the pieces of some files of a tree, by their names. states: as they were scanned.

    Failed where one is another by now, or after that: a file that was not checked is not read.
    """

    def one(name: str) -> str:
        handle = tree.open(name)
        try:
            before = state_of(os.fstat(handle))
            text = hash_file(handle, piece) if before == states[name] else ""
            if before != states[name] or state_of(os.fstat(handle)) != before:
                found = f"{os.path.join(path, name)!r} changed while it was read"
                raise Refused(
                    found, "a tree that no process changes", "wait for the process that writes to it, and run again"
                )
            return text
        finally:
            os.close(handle)

    # Hashing lets other threads run, so it takes all cores.
    with Tree(path, plain, account) as tree, ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        return dict(zip(states, pool.map(one, states)))


def look(
    path: str,
    record: _tree.Record,
    piece: int = 0,
    full: bool = False,
    plain: bool = False,
    account: Account = EVERYBODY,
) -> Look:
    """Return a tree as it is. piece: size of its pieces; 0: what follows from its size. full: hash every file.

    plain, account: see Tree.
    """
    if not os.path.isdir(path):
        return Look(piece or _tree.SMALLEST, plain=plain, account=account)
    found = scan(path, plain, account)
    piece = piece or _tree.piece_size(sum(entry.size for entry, _state in found.values()))
    states = {name: state for name, (entry, state) in found.items() if entry.kind == _tree.FILE}
    names = _tree.to_hash(states, record, piece, full)
    texts = hash_files(path, {name: states[name] for name in names}, piece, plain, account)
    entries = {
        name: entry._replace(text=texts[name] if name in texts else record.files[name].text)
        if name in states
        else entry
        for name, (entry, _state) in found.items()
    }
    return Look(piece, entries, states, sum(states[name].size for name in names), True, plain, account)


# --- Records ---------------------------------------------------------------------------------------------------------


def read_record(directory: str, path: str) -> _tree.Record:
    return _tree.parse_record(linked_text(os.path.join(directory, _tree.record_name(path)), RECORD_MAXIMUM), path)


def write_record(directory: str, record: _tree.Record) -> None:
    """Write the record of a tree where it is another. The tree may be on another disk, which keeps it: so its record
    must be kept, too."""
    name, text = _tree.record_name(record.path), _tree.render_record(record)
    if linked_text(os.path.join(directory, name), RECORD_MAXIMUM) == text:
        return
    with _safe_io.open_directory(directory, make=0o755) as folder:
        folder.write(name, text.encode("utf-8", "surrogateescape"), 0o600, sync=True)


def progress_name(directory: str, path: str) -> str:
    """Return the file that shows how far the last run on a tree is."""
    return os.path.join(directory, _tree.record_name(path) + ".progress")


def write_progress(directory: str, path: str, progress: Mapping[str, object]) -> None:
    """Leave word of how far a run is. That a disk is full must not end it."""
    with contextlib.suppress(OSError):
        make_directories(directory)
        _safe_io.write_file(progress_name(directory, path), json.dumps(progress).encode())


def read_progress(directory: str, path: str) -> dict[str, object]:
    """Return how far a run is, nothing where there is none."""
    try:
        return _json.parse(linked_text(progress_name(directory, path)), dict)
    except ValueError:
        return {}


@contextlib.contextmanager
def held(directory: str, path: str, seconds: float) -> Iterator[None]:
    """Let only one run at a time change a tree of this host. The kernel lets go when the run dies."""
    with _safe_io.open_directory(directory, make=0o755) as folder:
        handle = folder.open(_tree.record_name(path) + ".lock", os.O_RDWR | os.O_CREAT)
    end = time.monotonic() + seconds
    try:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise Failed(f"Another run is changing {path}. Wait until it ends, and run again.") from None
                time.sleep(0.2)
        yield
    finally:
        os.close(handle)
