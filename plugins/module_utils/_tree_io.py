# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trees on disk: read one with its pieces, collect those of another beside it, change it. PRIVATE to the collection.

Until all pieces are there and checked, the tree is not touched: they are collected in a
staging directory on the same file system. A new tree then appears by one rename, files of an old one by a rename each.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import hashlib
import json
import os
import shutil
import stat
import tempfile
import threading
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from ansible_collections.vllm_ray.cluster.plugins.module_utils import _tree
from ansible_collections.vllm_ray.cluster.plugins.module_utils._manifest_io import (
    existing,
    free_bytes,
    make_directories,
    read_text,
)

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

STAGING = ".vllm-ray-sync"
# After so many bytes the kernel is told to begin to write them: it would wait for half a minute, and all at the end
# costs as long as the disk takes for them.
WRITE_BACK = 16 * 1024**2
SYNC_FILE_RANGE_WRITE = 2
GIB = 1024**3


class Closed(Exception):
    """A piece came after its run had ended."""


class Failed(Exception):
    """It can't be done. The message says what was found, what is wanted and what mends it."""


@dataclass(frozen=True)
class Look:
    """A tree as it is. hashed: bytes that were read for it; piece: size of its pieces; plain: how it was looked at."""

    piece: int
    entries: Mapping[str, _tree.Entry] = field(default_factory=dict)
    states: Mapping[str, _tree.State] = field(default_factory=dict)
    hashed: int = 0
    exists: bool = False
    plain: bool = False

    def manifest(self) -> _tree.Manifest:
        return _tree.Manifest(self.piece, self.entries.values())

    def record(self, path: str, made: bool) -> _tree.Record:
        files = {name: _tree.Known(state, self.entries[name].text) for name, state in self.states.items()}
        return _tree.Record(path, made, self.piece, files)


# --- Reading ---------------------------------------------------------------------------------------------------------


def state_of(status: os.stat_result) -> _tree.State:
    return _tree.State(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def scan(path: str, plain: bool = False) -> dict[str, tuple[_tree.Entry, _tree.State]]:
    """Return the names of a tree, links as links, without our own staging directory. Files have no hashes yet.

    plain: only regular files and what they lie in; see scan_plain.
    """
    if plain:
        return scan_plain(path)
    found: dict[str, tuple[_tree.Entry, _tree.State]] = {}
    pending = [""]
    while pending:
        folder = pending.pop()
        with os.scandir(os.path.join(path, folder)) as inside:
            for one in inside:
                name = f"{folder}/{one.name}" if folder else one.name
                if name == STAGING:
                    continue
                status = one.stat(follow_symlinks=False)
                mode = stat.S_IMODE(status.st_mode)
                if stat.S_ISREG(status.st_mode):
                    entry = _tree.Entry(name, _tree.FILE, mode, status.st_size, "")
                elif stat.S_ISLNK(status.st_mode):
                    entry = _tree.Entry(name, _tree.LINK, 0, 0, os.readlink(one.path))
                elif stat.S_ISDIR(status.st_mode):
                    entry = _tree.Entry(name, _tree.DIRECTORY, mode, 0, "")
                    pending.append(name)
                else:
                    raise Failed(f"{one.path!r} is no file, link or directory. Wanted: a tree of these. Move it away.")
                found[name] = (entry, state_of(status))
    return found


def scan_plain(path: str) -> dict[str, tuple[_tree.Entry, _tree.State]]:
    """Return the regular files of a tree, through links, and the directories that they lie in, without hidden names.

    Modes are those that files and directories have for everybody: such a tree is its content alone.
    """
    found: dict[str, tuple[_tree.Entry, _tree.State]] = {}
    pending = [("", frozenset([os.path.realpath(path)]))]
    while pending:
        folder, above = pending.pop()
        with os.scandir(os.path.join(path, folder)) as inside:
            for one in inside:
                if one.name.startswith("."):
                    continue
                name = f"{folder}/{one.name}" if folder else one.name
                if one.is_dir():
                    real = os.path.realpath(one.path)
                    # A link to a directory above it would have no end.
                    if real not in above:
                        pending.append((name, above | {real}))
                    continue
                # Through links, so that one that leads nowhere is an error: the tree would lack a file.
                status = os.stat(one.path)
                if stat.S_ISREG(status.st_mode):
                    found[name] = (_tree.plain_file(name, status.st_size), state_of(status))
    tree = _tree.with_directories(entry for entry, _state in found.values())
    folders = {entry.path: entry for entry in tree if entry.kind == _tree.DIRECTORY}
    return {**found, **{name: (entry, state_of(os.stat(os.path.join(path, name)))) for name, entry in folders.items()}}


def hash_file(path: str, piece: int) -> str:
    """Return the hashes of a file's pieces in a row."""
    with open(path, "rb", buffering=0) as stream:
        return _tree.hashes(iter(lambda: stream.read(piece), b""))


def hash_files(path: str, names: Sequence[str], piece: int) -> dict[str, str]:
    """Return the hashes of the pieces of some files of a tree, by their names."""
    # Hashing lets other threads run, so it takes all cores.
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        return dict(zip(names, pool.map(lambda name: hash_file(os.path.join(path, name), piece), names)))


def look(path: str, record: _tree.Record, piece: int = 0, full: bool = False, plain: bool = False) -> Look:
    """Return a tree as it is. piece: size of its pieces; 0: what follows from its size. full: hash every file."""
    if not os.path.isdir(path):
        return Look(piece or _tree.SMALLEST, plain=plain)
    found = scan(path, plain)
    piece = piece or _tree.piece_size(sum(entry.size for entry, _state in found.values()))
    states = {name: state for name, (entry, state) in found.items() if entry.kind == _tree.FILE}
    names = _tree.to_hash(states, record, piece, full)
    texts = hash_files(path, names, piece)
    for name in names:
        if state_of(os.stat(os.path.join(path, name))) != states[name]:
            raise Failed(f"{os.path.join(path, name)!r} changes while it is read. Wanted: a tree at rest. Try again.")
    entries = {
        name: entry._replace(text=texts[name] if name in texts else record.files[name].text)
        if name in states
        else entry
        for name, (entry, _state) in found.items()
    }
    return Look(piece, entries, states, sum(states[name].size for name in names), True, plain)


# --- Records ---------------------------------------------------------------------------------------------------------


def read_record(directory: str, path: str) -> _tree.Record:
    return _tree.parse_record(read_text(os.path.join(directory, _tree.record_name(path))), path)


def write_record(directory: str, record: _tree.Record) -> None:
    """Write the record of a tree where it is another."""
    name, text = os.path.join(directory, _tree.record_name(record.path)), _tree.render_record(record)
    if read_text(name) == text:
        return
    make_directories(directory)
    handle, temporary = tempfile.mkstemp(dir=directory)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(handle)
        os.replace(temporary, name)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    # The tree may be on another disk, which keeps it: so its record must be kept, too.
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def progress_name(directory: str, path: str) -> str:
    """Return the file that tells how far the last run on a tree is."""
    return os.path.join(directory, _tree.record_name(path) + ".progress")


def write_progress(directory: str, path: str, progress: Mapping[str, t.Any]) -> None:
    """Leave word of how far a run is. That a disk is full must not end it."""
    name = progress_name(directory, path)
    with contextlib.suppress(OSError):
        make_directories(directory)
        with open(name + ".new", "w", encoding="utf-8") as stream:
            json.dump(progress, stream)
        os.replace(name + ".new", name)


def read_progress(directory: str, path: str) -> dict[str, t.Any]:
    """Return how far a run is, nothing where there is none."""
    try:
        return dict(json.loads(read_text(progress_name(directory, path))))
    except (ValueError, TypeError):
        return {}


@contextlib.contextmanager
def held(directory: str, path: str, seconds: float) -> Iterator[None]:
    """Let only one run at a time change a tree of this host. The kernel lets go when the run dies."""
    make_directories(directory)
    end = time.monotonic() + seconds
    with open(os.path.join(directory, _tree.record_name(path) + ".lock"), "a", encoding="utf-8") as stream:
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise Failed(f"Another run is changing {path}. Wait for its end, and run it again.") from None
                time.sleep(0.2)
        yield


# --- Writing ---------------------------------------------------------------------------------------------------------


def flush(path: str) -> None:
    """Write what the kernel still holds of a file system to its disk: one call, however many files there are."""
    handle = os.open(path, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(handle):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)
    finally:
        os.close(handle)


def stagings_of(path: str) -> tuple[str, str]:
    """Return the staging directory in a tree that is there (it may be a mount of its own), and beside one to come."""
    return os.path.join(path, STAGING), os.path.join(os.path.dirname(path), f".{os.path.basename(path)}{STAGING}")


def room_for(path: str) -> int:
    """Return the bytes that a tree to come may take: what is free, and what an earlier run has staged."""
    staged = 0
    for staging in stagings_of(path):
        for folder, _folders, files in os.walk(staging):
            for name in files:
                with contextlib.suppress(OSError):
                    staged += os.lstat(os.path.join(folder, name)).st_blocks * 512
    return free_bytes(path) + staged


def begin_write_back(handle: int) -> None:
    """Let the kernel begin to write what it holds of an open file, without waiting for it. It is only a hint."""
    call = getattr(ctypes.CDLL(None), "sync_file_range", None)
    if call:
        call(handle, ctypes.c_int64(0), ctypes.c_int64(0), SYNC_FILE_RANGE_WRITE)


class Store:
    """The pieces of the wanted tree that are on this host, in the tree that is there or in the staging directory.

    have: the set of them. Threads may read, wait and put at the same time.
    """

    def __init__(self, path: str, manifest: _tree.Manifest, now: Look) -> None:
        self.path, self.manifest, self.now = path, manifest, now
        self.diff = _tree.changes(now.entries, manifest.entries)
        self.staging = stagings_of(path)[not now.exists]
        self.tree = os.path.join(self.staging, "tree")
        self.changed = threading.Condition()
        self.folders: set[str] = set()
        self.twins = manifest.twins()
        self.twin_of = {number: first for first, numbers in self.twins.items() for number in numbers}
        brought = {entry.path for entry in self.diff.files}
        self.brought = {number for number, entry in enumerate(manifest.entries) if entry.path in brought}
        # The hash of a whole piece of zeros: such pieces of sparse files stay holes.
        self.zeros = hashlib.sha256(bytes(manifest.piece)).hexdigest()
        self.have = _tree.bits(
            number for number, piece in enumerate(manifest.pieces) if piece.entry not in self.brought
        )
        self.found_bytes = self.unwritten = self.writers = 0
        self.closed = False

    def record(self, made: bool) -> _tree.Record:
        """Return the record of the tree, now that it is what is wanted: nothing is hashed for it."""
        texts = {entry.path: entry.text for entry in self.manifest.entries if entry.kind == _tree.FILE}
        touched = {entry.path for entry in (*self.diff.files, *self.diff.modes)}
        files = {
            # What this run did not touch, somebody else may have changed since it was hashed.
            name: _tree.Known(state if name in touched else self.now.states[name], texts[name])
            for name, (_entry, state) in scan(self.path, self.now.plain).items()
            if name in texts
        }
        return _tree.Record(self.path, made, self.manifest.piece, files)

    # --- Pieces ---

    def open(self, number: int) -> t.BinaryIO:
        """Open the file of a piece."""
        entry = self.manifest.pieces[number].entry
        name = self.manifest.entries[entry].path
        if entry in self.brought:
            # It moves to the tree at the end.
            with contextlib.suppress(FileNotFoundError):
                return open(os.path.join(self.tree, name), "rb", buffering=0)
        return open(os.path.join(self.path, name), "rb", buffering=0)

    def wait_for(self, number: int, seconds: float) -> bool:
        """Wait until a piece is here."""
        with self.changed:
            return self.changed.wait_for(lambda: bool(self.have >> number & 1), seconds)

    def put(self, number: int, data: bytes | bytearray | memoryview) -> int:
        """Write a piece wherever its content belongs, and return the set of pieces that are here by it.

        Empty, where it is not what the manifest says. Closed, where nothing may be written any more.
        """
        if hashlib.sha256(data).hexdigest() != self.manifest.pieces[number].sha256:
            return 0
        twins = self.twins.get(self.twin_of.get(number, -1), [number])
        with self.changed:
            if self.closed:
                raise Closed
            self.writers += 1
        try:
            for twin in twins:
                if not self.have >> twin & 1:
                    self.write(twin, data)
        finally:
            with self.changed:
                self.writers -= 1
                self.changed.notify_all()
        self.add(_tree.bits(twins))
        return _tree.bits(twins)

    def close(self) -> None:
        """Let nobody write any more: another run may begin. Pieces can be read as before."""
        with self.changed:
            self.closed = True
            self.changed.wait_for(lambda: not self.writers)

    def add(self, pieces: int) -> None:
        """Let others know of pieces that are here now."""
        with self.changed:
            self.have |= pieces
            self.changed.notify_all()

    def write(self, number: int, data: bytes | bytearray | memoryview) -> None:
        piece = self.manifest.pieces[number]
        place = os.path.join(self.tree, self.manifest.entries[piece.entry].path)
        self.make_folder(os.path.dirname(place))
        handle = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            # At once as large as it will be: several threads write, and none may cut off what another one wrote.
            whole = self.manifest.entries[piece.entry].size
            if os.fstat(handle).st_size != whole:
                os.truncate(handle, whole)
            done = piece.size if piece.sha256 == self.zeros and is_hole(handle, piece.start, piece.size) else 0
            while done < len(data):
                done += os.pwrite(handle, memoryview(data)[done:], piece.start + done)
            self.unwritten += len(data)
            if self.unwritten >= WRITE_BACK:
                self.unwritten = 0
                begin_write_back(handle)
        finally:
            os.close(handle)

    def make_folder(self, folder: str) -> None:
        if folder not in self.folders:
            os.makedirs(folder, 0o700, exist_ok=True)
            self.folders.add(folder)

    # --- Before ---

    def prepare(self, reserve: int | None) -> None:
        """Make the staging directory, and take over what an earlier run left there and what the old tree has.

        reserve: bytes that must stay free, besides those of the tree; None: whoever fills it looks after that.
        """
        self.check_links()
        make_directories(os.path.dirname(self.staging))
        os.makedirs(self.tree, 0o700, exist_ok=True)
        self.prune()
        if reserve is not None:
            self.check_room(reserve)
        brought = sorted(self.brought)
        with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
            for pieces in pool.map(self.resume, brought):
                self.have |= pieces
        self.copy_known(self.path, self.now)

    def check_links(self) -> None:
        """Raise Failed, where names are to change that are behind a link, and so no part of this tree."""
        going, diff = set(self.diff.remove), self.diff
        for name in [*going, *(entry.path for entry in (*diff.directories, *diff.files, *diff.links))]:
            link = self.link_above(name)
            if link and link not in going:
                place = os.path.join(self.path, link)
                raise Failed(
                    f"{place} is a link to {os.path.realpath(place)}, and {name} behind it differs. Wanted: a "
                    "directory of its own. Remove the link, and run it again."
                )

    def link_above(self, name: str) -> str:
        """Return the first directory above a name of a plain tree that is a link, empty where none is."""
        above = _tree.parents(name) if self.now.plain else []
        return next((folder for folder in above if os.path.islink(os.path.join(self.path, folder))), "")

    def prune(self) -> None:
        """Remove what is in the staging directory and no part of what is to be brought."""
        wanted = {self.manifest.entries[number].path for number in self.brought}
        kept = {folder for path in wanted for folder in _tree.parents(path)}
        for name, (entry, _state) in sorted(scan(self.tree).items(), reverse=True):
            if entry.kind == _tree.DIRECTORY:
                if name not in kept:
                    os.rmdir(os.path.join(self.tree, name))
            elif entry.kind != _tree.FILE or name not in wanted:
                os.unlink(os.path.join(self.tree, name))

    def check_room(self, reserve: int) -> None:
        """Raise Failed, where the file system is too small for what is to be brought."""
        staged = 0
        for number in self.brought:
            with contextlib.suppress(FileNotFoundError):
                staged += os.stat(os.path.join(self.tree, self.manifest.entries[number].path)).st_blocks * 512
        needed = sum(self.manifest.entries[number].size for number in self.brought) - staged + reserve
        free = free_bytes(self.staging)
        if self.brought and free < needed:
            raise Failed(
                f"{existing(self.path)} has {free / GIB:.1f} GiB free. Wanted: {needed / GIB:.1f} GiB, "
                f"{reserve / GIB:.1f} GiB of it to spare. Make room, or choose another path."
            )

    def resume(self, number: int) -> int:
        """Return the set of pieces of a file that an earlier run left whole. What is whole is seen by its hash only."""
        entry = self.manifest.entries[number]
        place = os.path.join(self.tree, entry.path)
        if not entry.text:
            return 0
        try:
            status = os.stat(place)
            if status.st_size > entry.size:
                os.truncate(place, entry.size)
            if not status.st_blocks and status.st_size:
                return 0
            text = hash_file(place, self.manifest.piece)
        except FileNotFoundError:
            return 0
        first = self.manifest.pieces_of(number).start
        steps = range(0, min(len(text), len(entry.text)), _tree.HEX)
        return _tree.bits(
            first + at
            for at, start in enumerate(steps)
            if text[start : start + _tree.HEX] == entry.text[start : start + _tree.HEX]
        )

    # --- While it grows ---

    def learn(self, number: int, text: str) -> int:
        """Take note of the hashes of a file, and return the set of its pieces that an earlier run left here."""
        self.manifest.learn(number, text)
        pieces = self.resume(number) & ~self.have
        self.add(pieces)
        return pieces

    def adopt(self, number: int, place: str) -> tuple[str, int]:
        """Take over a finished file; return the hashes and the set of its pieces. It stays where it is, too."""
        staged = os.path.join(self.tree, self.manifest.entries[number].path)
        self.make_folder(os.path.dirname(staged))
        with contextlib.suppress(FileNotFoundError):
            os.unlink(staged)
        try:
            os.link(place, staged)
        except OSError:
            # Another file system, or one without such links.
            shutil.copyfile(place, staged)
        text = hash_file(staged, self.manifest.piece)
        pieces = self.manifest.learn(number, text)
        self.add(pieces)
        return text, pieces

    def copy_known(self, path: str, now: Look) -> None:
        """Copy the pieces that a tree of this host has, wherever it has them: the old tree, or another one."""
        missing = self.manifest.everything & ~self.have
        if not missing or now.piece != self.manifest.piece:
            return
        known = {
            entry.text[at : at + _tree.HEX]: (name, start)
            for name, entry in now.entries.items()
            if entry.kind == _tree.FILE
            for start, at in zip(range(0, entry.size, now.piece), range(0, len(entry.text), _tree.HEX))
        }
        for number in _tree.numbers(missing):
            piece = self.manifest.pieces[number]
            if piece.sha256 in known and not self.have >> number & 1:
                name, start = known[piece.sha256]
                with open(os.path.join(path, name), "rb", buffering=0) as stream:
                    data = os.pread(stream.fileno(), piece.size, start)
                if self.put(number, data):
                    self.found_bytes += piece.size

    # --- After ---

    def install(self) -> None:
        """Make the tree what is wanted, now that all pieces are here."""
        new = not self.now.exists
        for entry in self.diff.files:
            place = os.path.join(self.tree, entry.path)
            if not entry.size:
                self.make_folder(os.path.dirname(place))
                os.close(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600))
            os.chmod(place, entry.mode)
        for entry in self.diff.links:
            self.make_folder(os.path.dirname(os.path.join(self.tree, entry.path)))
            os.symlink(entry.text, os.path.join(self.tree, entry.path))
        if new:
            self.appear()
        else:
            self.replace()
        for staging in stagings_of(self.path):
            shutil.rmtree(staging, ignore_errors=True)
        # Last, so that after a cut of the power not even an empty directory is left.
        flush(self.path)

    def appear(self) -> None:
        """Let a new tree appear as a whole, and only after all of it is on the disk."""
        for entry in self.diff.directories:
            self.make_folder(os.path.join(self.tree, entry.path))
        for entry in reversed(self.diff.directories):
            os.chmod(os.path.join(self.tree, entry.path), entry.mode)
        os.chmod(self.tree, 0o755)
        flush(self.tree)
        os.rename(self.tree, self.path)

    def replace(self) -> None:
        """Change an old tree name by name: at each there is what was, or what is wanted."""
        flush(self.tree)
        for name in self.diff.remove:
            # What is behind a link stays: the link goes.
            if not self.link_above(name):
                self.remove(os.path.join(self.path, name))
        for entry in self.diff.directories:
            self.make_directory(os.path.join(self.path, entry.path))
        for entry in (*self.diff.files, *self.diff.links):
            os.replace(os.path.join(self.tree, entry.path), os.path.join(self.path, entry.path))
        for entry in reversed((*self.diff.directories, *self.diff.modes)):
            os.chmod(os.path.join(self.path, entry.path), entry.mode)

    def remove(self, place: str) -> None:
        """Remove one name. In a directory of a plain tree may be left what does not count."""
        if not os.path.isdir(place) or os.path.islink(place):
            os.unlink(place)
            return
        try:
            os.rmdir(place)
        except OSError as error:
            if not (self.now.plain and error.errno == errno.ENOTEMPTY):
                raise

    def make_directory(self, place: str) -> None:
        """Make a directory. One without files may be there, which in a plain tree does not count."""
        try:
            os.mkdir(place, 0o700)
        except FileExistsError:
            if not (self.now.plain and os.path.isdir(place)):
                raise


def is_hole(handle: int, start: int, size: int) -> bool:
    """Tell whether nothing was written to a part of an open file. Where the file system can't tell, something was."""
    try:
        return os.lseek(handle, start, os.SEEK_DATA) >= start + size
    except OSError as error:
        # There is no data from here on.
        return error.errno == errno.ENXIO
