# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collect the pieces of a tree beside its place, and make it what is wanted. PRIVATE to the collection.

Until all pieces are there and checked, the tree is not touched: they are collected in a
staging directory on the same file system. A new tree then appears by one rename, files of an old one by a rename each.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import itertools
import os
import stat
import threading
import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _directory_io, _safe_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._directory_io import Directory
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._folders_io import (
    STAGING,
    Failed,
    Folders,
    copy_file,
    own_directory,
    stagings_of,
    take_back,
)
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees import _tree
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._manifest_io import existing, free_bytes
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._tree_io import GIB, Look, Tree, hash_file, scan

if t.TYPE_CHECKING:
    from collections.abc import Iterable

WRONG = ".vllm-ray-wrong"
# After so many bytes the kernel is asked to begin to write them: it would wait for half a minute, and all at the end
# costs as long as the disk takes for them.
WRITE_BACK = 16 * 1024**2
SYNC_FILE_RANGE_WRITE = 2


class Closed(Exception):
    """A piece came after its run had ended."""


def flush(directory: Directory) -> None:
    """Write what the kernel still holds of a file system to its disk: one call, however many files there are."""
    if ctypes.CDLL(None, use_errno=True).syncfs(directory.fd):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), directory.path)


def room_for(path: str) -> int:
    """Return the bytes that a tree to come may take: what is free, and what an earlier run has staged."""
    staged = 0
    for staging in stagings_of(path):
        with contextlib.suppress(OSError):
            for directory, name in _safe_io.walk(staging):
                status = directory.lstat(name)
                staged += status.st_blocks * 512 if status else 0
    return free_bytes(path) + staged


def begin_write_back(handle: int) -> None:
    """Let the kernel begin to write what it holds of an open file, without waiting for it. It is only a hint."""
    call = getattr(ctypes.CDLL(None), "sync_file_range", None)
    if call:
        call(handle, ctypes.c_int64(0), ctypes.c_int64(0), SYNC_FILE_RANGE_WRITE)


class Store:
    """The pieces of the wanted tree that are on this host, in the tree that is there or in the staging directory.

    have: the set of them. Threads may read, wait and put at the same time. All is done by open directories, as others
    may write what is above them.
    """

    def __init__(self, path: str, manifest: _tree.Manifest, now: Look) -> None:
        self.path, self.manifest, self.now = path, manifest, now
        self.diff = _tree.changes(now.entries, manifest.entries)
        self.staging = stagings_of(path)[not now.exists]
        # The tree that is there, its own directories, the staging directory, and the tree in it: once they are needed.
        self.old: Tree | None = None
        self.final: Folders | None = None
        self.above: Directory | None = None
        self.stage: Directory | None = None
        self.staged: Folders | None = None
        self.changed = threading.Condition()
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
            for name, (_entry, state) in scan(self.path, self.now.plain, self.now.account).items()
            if name in texts
        }
        return _tree.Record(self.path, made, self.manifest.piece, files)

    # --- Pieces ---

    def open(self, entry: int) -> t.BinaryIO:
        """Open a file of the manifest."""
        name = self.manifest.entries[entry].path
        if entry in self.brought and self.staged:
            # It moves to the tree at the end.
            with contextlib.suppress(FileNotFoundError), self.staged.holding(name) as (directory, last):
                return os.fdopen(directory.open(last), "rb", buffering=0)
        with self.changed:
            self.old = self.old or Tree(self.path, self.now.plain, self.now.account)
        return os.fdopen(self.old.open(name), "rb", buffering=0)

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
            missing = (twin for twin in twins if not self.have >> twin & 1)
            for entry, numbers in itertools.groupby(missing, lambda twin: self.manifest.pieces[twin].entry):
                self.write(self.manifest.entries[entry], numbers, data)
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

    def release(self) -> None:
        """Close the directories that it holds; it is of no use after that."""
        for held in (self.old, self.final, self.staged, self.stage, self.above):
            if held:
                held.close()

    def add(self, pieces: int) -> None:
        """Let others know of pieces that are here now."""
        with self.changed:
            self.have |= pieces
            self.changed.notify_all()

    def write(self, entry: _tree.Entry, numbers: Iterable[int], data: bytes | bytearray | memoryview) -> None:
        """Write some pieces of a file, which have the same content."""
        with self.into(entry.path) as (directory, name):
            handle = directory.open(name, os.O_WRONLY | os.O_CREAT)
        try:
            # At once as large as it will be: several threads write, and none may cut off what another one wrote.
            if os.fstat(handle).st_size != entry.size:
                os.ftruncate(handle, entry.size)
            for number in numbers:
                piece = self.manifest.pieces[number]
                done = piece.size if piece.sha256 == self.zeros and is_hole(handle, piece.start, piece.size) else 0
                while done < len(data):
                    done += os.pwrite(handle, memoryview(data)[done:], piece.start + done)
                self.unwritten += len(data)
                if self.unwritten >= WRITE_BACK:
                    self.unwritten = 0
                    begin_write_back(handle)
        finally:
            os.close(handle)

    def into(self, path: str) -> contextlib.AbstractContextManager[tuple[Directory, str]]:
        """Open the directory of the staged tree that a path goes to; see Folders.holding."""
        return t.cast(Folders, self.staged).holding(path, make=True)

    # --- Before ---

    def prepare(self, reserve: int | None, lent: int | None = None) -> None:
        """Make the staging directory, and take over what an earlier run left there and what the old tree has.

        reserve: bytes that must stay free, besides those of the tree; None: the filler checks the space. lent: an
        account that may have written to the staging directory.
        """
        self.check_links()
        if self.now.exists:
            self.final = Folders(_safe_io.open_directory(self.path))
        folder, name = os.path.split(self.staging)
        self.above = _safe_io.open_directory(folder, make=0o755)
        self.stage = own_directory(self.above, name, lent)
        if lent is not None:
            take_back(self.stage)
        self.staged = Folders(own_directory(self.stage, "tree"))
        self.prune()
        if reserve is not None:
            self.check_room(reserve)
        brought = sorted(self.brought)
        with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
            for pieces in pool.map(self.resume, brought):
                self.have |= pieces
        if self.now.exists:
            self.copy_known(self.path, self.now)

    def check_links(self) -> None:
        """Raise Failed, where names are to change that are behind a link, and so no part of this tree."""
        going, diff = set(self.diff.remove), self.diff
        for name in [*going, *(entry.path for entry in (*diff.directories, *diff.files, *diff.links))]:
            link = self.link_above(name)
            if link and link not in going:
                place = os.path.join(self.path, link)
                raise Failed(
                    f"{place} is a link to {os.path.realpath(place)}, and {name} behind it differs. Expected: a "
                    "separate directory. Remove the link, and run again."
                )

    def link_above(self, name: str) -> str:
        """Return the first directory above a name of a plain tree that is a link, empty where none is."""
        above = _tree.parents(name) if self.now.plain else []
        return next((folder for folder in above if os.path.islink(os.path.join(self.path, folder))), "")

    def prune(self) -> None:
        """Remove what is in the staging directory and no part of what is to be brought."""
        wanted = {self.manifest.entries[number].path for number in self.brought}
        kept = {folder for path in wanted for folder in _tree.parents(path)}
        staged, pending = t.cast(Folders, self.staged), [""]
        while pending:
            folder = pending.pop()
            with staged.at(folder) as directory:
                for one in directory.names():
                    name, status = f"{folder}/{one}" if folder else one, directory.lstat(one)
                    if status and stat.S_ISDIR(status.st_mode) and name in kept:
                        pending.append(name)
                    elif not (status and stat.S_ISREG(status.st_mode) and name in wanted):
                        directory.remove(one)

    def check_room(self, reserve: int) -> None:
        """Raise Failed, where the file system is too small for what is to be brought."""
        staged = 0
        for number in self.brought:
            with contextlib.suppress(FileNotFoundError):
                place = self.manifest.entries[number].path
                with t.cast(Folders, self.staged).holding(place) as (directory, name):
                    status = directory.lstat(name)
                    staged += status.st_blocks * 512 if status else 0
        needed = sum(self.manifest.entries[number].size for number in self.brought) - staged + reserve
        free = free_bytes(self.staging)
        if self.brought and free < needed:
            raise Failed(
                f"{existing(self.path)} has {free / GIB:.1f} GiB free. Expected: {needed / GIB:.1f} GiB, "
                f"{reserve / GIB:.1f} GiB of it to spare. Make room, or choose another path."
            )

    def resume(self, number: int) -> int:
        """Return the set of pieces of a file that an earlier run left whole. What is whole is seen by its hash only."""
        entry = self.manifest.entries[number]
        if not entry.text:
            return 0
        try:
            with t.cast(Folders, self.staged).holding(entry.path) as (directory, name):
                handle = directory.open(name, os.O_RDWR)
        except FileNotFoundError:
            return 0
        try:
            status = os.fstat(handle)
            if status.st_size > entry.size:
                os.ftruncate(handle, entry.size)
            if not status.st_blocks and status.st_size:
                return 0
            text = hash_file(handle, self.manifest.piece)
        finally:
            os.close(handle)
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
        with self.into(self.manifest.entries[number].path) as (to, new):
            with _safe_io.parent_of(place) as (directory, name):
                to.remove(new)
                try:
                    directory.hard_link(name, to, new)
                except OSError:
                    # Another file system, or one without such links.
                    copy_file(directory.open(name), to.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
            handle = to.open(new)
        try:
            text = hash_file(handle, self.manifest.piece)
        finally:
            os.close(handle)
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
        with Tree(path, now.plain, now.account) as tree:
            for number in _tree.numbers(missing):
                piece = self.manifest.pieces[number]
                if piece.sha256 in known and not self.have >> number & 1:
                    name, start = known[piece.sha256]
                    with os.fdopen(tree.open(name), "rb", buffering=0) as stream:
                        data = os.pread(stream.fileno(), piece.size, start)
                    if self.put(number, data):
                        self.found_bytes += piece.size

    # --- After ---

    def install(self) -> None:
        """Make the tree what is wanted, now that all pieces are here. Failed where it became another nevertheless."""
        staged, stage = t.cast(Folders, self.staged), t.cast(Directory, self.stage)
        for entry in self.diff.files:
            with self.into(entry.path) as (directory, name):
                handle = directory.open(name, os.O_WRONLY | os.O_CREAT)
            try:
                if not entry.size:
                    os.ftruncate(handle, 0)
                if not _directory_io.trusted(os.fstat(handle).st_uid):
                    with contextlib.suppress(PermissionError):
                        _safe_io.own_open(handle, os.geteuid(), os.getegid())
                _safe_io.own_open(handle, mode=entry.mode)
            finally:
                os.close(handle)
        for entry in self.diff.links:
            with self.into(entry.path) as (directory, name):
                directory.link(name, entry.text)
        folder, name = os.path.split(self.path)
        with _safe_io.open_directory(folder) as above:
            try:
                if self.final:
                    self.replace(staged, self.final)
                else:
                    self.appear(staged, stage, above, name)
                self.check()
                for holder, staging in ((self.final and self.final.root, STAGING), (above, f".{name}{STAGING}")):
                    with contextlib.suppress(OSError):
                        if holder:
                            holder.remove(staging)
                # Last, so that after a cut of the power not even an empty directory is left.
                flush((self.final or staged).root)
            except BaseException:
                self.set_aside(above, name)
                raise

    def appear(self, staged: Folders, stage: Directory, above: Directory, name: str) -> None:
        """Let a new tree appear as a whole, and only after all of it is on the disk."""
        for entry in self.diff.directories:
            with staged.at(entry.path, make=True):
                pass
        for entry in reversed(self.diff.directories):
            with staged.at(entry.path) as directory:
                directory.own(mode=entry.mode)
        staged.root.own(mode=0o755)
        flush(staged.root)
        stage.rename("tree", above, name)

    def replace(self, staged: Folders, final: Folders) -> None:
        """Change an old tree name by name: at each there is what was, or what is wanted."""
        flush(staged.root)
        for name in self.diff.remove:
            # What is behind a link stays: the link goes.
            if not self.link_above(name):
                with final.holding(name) as (directory, last):
                    self.remove(directory, last)
        final.forget()
        for entry in self.diff.directories:
            # One without files may be there, which in a plain tree does not count.
            with final.at(entry.path, make=True):
                pass
        for entry in (*self.diff.files, *self.diff.links):
            with staged.holding(entry.path) as (source, name), final.holding(entry.path) as (target, new):
                source.rename(name, target, new)
        for entry in reversed((*self.diff.directories, *self.diff.modes)):
            if entry.kind == _tree.DIRECTORY:
                with final.at(entry.path) as directory:
                    directory.own(mode=entry.mode)
            else:
                with final.holding(entry.path) as (directory, last):
                    directory.own_file(last, mode=entry.mode)

    def remove(self, directory: Directory, name: str) -> None:
        """Remove one name. In a directory of a plain tree may be left what does not count."""
        status = directory.lstat(name)
        if not status or not stat.S_ISDIR(status.st_mode):
            directory.unlink(name)
        elif not directory.rmdir(name) and not self.now.plain:
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), directory.at(name))

    def check(self) -> None:
        """Raise Failed where what was made is not what the manifest says."""
        made = self.final or t.cast(Folders, self.staged)
        diff = self.diff
        for entry in (*diff.directories, *diff.files, *diff.links, *diff.modes):
            with made.holding(entry.path) as (directory, name):
                status = directory.lstat(name)
                found = found_of(entry.path, status, directory.readlink(name)) if status else None
                wanted = entry._replace(text=entry.text if entry.kind == _tree.LINK else "")
                if found != wanted or (status and not _directory_io.trusted(status.st_uid)):
                    raise Failed(
                        f"{directory.at(name)} differs from its manifest although it was just written. Expected: "
                        f"no other process that writes to {self.path}. Find that process, and run again."
                    )

    def set_aside(self, above: Directory, name: str) -> None:
        """Take a new tree its name, so that nobody takes it for whole."""
        now = above.lstat(name)
        if self.final or not now or not self.staged or now.st_ino != self.staged.root.status().st_ino:
            return
        with contextlib.suppress(OSError):
            above.remove(f".{name}{WRONG}")
            above.rename(name, above, f".{name}{WRONG}")
            above.remove(f".{name}{WRONG}")


def found_of(path: str, status: os.stat_result, target: str | None) -> _tree.Entry | None:
    """Return what is at a path of a tree as its manifest has it, without hashes; None for what no tree has."""
    mode = stat.S_IMODE(status.st_mode)
    if stat.S_ISREG(status.st_mode):
        return _tree.Entry(path, _tree.FILE, mode, status.st_size, "")
    if stat.S_ISDIR(status.st_mode):
        return _tree.Entry(path, _tree.DIRECTORY, mode, 0, "")
    return _tree.Entry(path, _tree.LINK, 0, 0, target) if target is not None else None


def is_hole(handle: int, start: int, size: int) -> bool:
    """Return whether nothing was written to a part of an open file; False if the file system can't report it."""
    try:
        return os.lseek(handle, start, os.SEEK_DATA) >= start + size
    except OSError as error:
        # There is no data from here on.
        return error.errno == errno.ENXIO
