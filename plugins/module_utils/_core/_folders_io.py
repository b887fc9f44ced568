# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories of trees, held open: ours below those of others, and lent ones. PRIVATE to the collection."""

from __future__ import annotations

import contextlib
import os
import stat
import threading
import typing as t
from collections import OrderedDict

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _directory_io, _safe_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._directory_io import Directory
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._unsafe import Unsafe
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._manifest_io import existing

if t.TYPE_CHECKING:
    from collections.abc import Iterator

STAGING = ".vllm-ray-sync"
# Directories that are kept open of a tree.
FOLDERS_KEPT = 64
BLOCK = 1024**2


class Failed(Exception):
    """It can't be done. The message says what was found, what is expected and what fixes it."""


class Refused(Failed):
    """Something in a tree can't be used. found, wanted, fix: as of a problem."""

    def __init__(self, found: str, wanted: str, fix: str) -> None:
        super().__init__(f"{found}. Expected: {wanted}. To fix it, {fix}.")
        self.found, self.wanted, self.fix = found, wanted, fix


class Folder:
    """An open directory of Folders. users: how many threads use it now."""

    def __init__(self, directory: Directory) -> None:
        self.directory, self.users = directory, 0


class Folders:
    """A directory and those below it, which are opened without following links and kept open for a while: for a tree of
    thousands of files. Threads may use it at the same time.
    """

    def __init__(self, root: Directory) -> None:
        self.root, self.lock = root, threading.RLock()
        self.kept: OrderedDict[str, Folder] = OrderedDict()

    def __enter__(self) -> Folders:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        with self.lock:
            self.forget()
            self.root.close()

    def forget(self) -> None:
        """Close the directories that nobody uses now."""
        with self.lock:
            for path in [path for path, folder in self.kept.items() if not folder.users]:
                self.kept.pop(path).directory.close()

    @contextlib.contextmanager
    def at(self, path: str, make: bool = False) -> Iterator[Directory]:
        """Yield the directory of a path below the root, which is the root where the path is empty.

        make: make what is missing, for us alone. Raises OSError, Unsafe where something on the way is no directory.
        """
        if not path:
            yield self.root
            return
        with self.lock:
            folder = self.find(path, make)
            folder.users += 1
        try:
            yield folder.directory
        finally:
            with self.lock:
                folder.users -= 1

    @contextlib.contextmanager
    def holding(self, path: str, make: bool = False) -> Iterator[tuple[Directory, str]]:
        """Yield the directory that holds a path, and the last name. make: as of at()."""
        folder, _slash, name = path.rpartition("/")
        with self.at(folder, make) as directory:
            yield directory, name

    def find(self, path: str, make: bool) -> Folder:
        folder = self.kept.get(path)
        if folder:
            self.kept.move_to_end(path)
            return folder
        above, _slash, name = path.rpartition("/")
        directory = self.find(above, make).directory if above else self.root
        folder = self.kept[path] = Folder(directory.enter(name, 0o700 if make else None))
        unused = [path for path, folder in self.kept.items() if not folder.users]
        for oldest in unused[: max(0, len(self.kept) - FOLDERS_KEPT)]:
            if oldest != path:
                self.kept.pop(oldest).directory.close()
        return folder


def own_directory(above: Directory, name: str, lent: int | None = None) -> Directory:
    """Open a directory that we alone may write, and make it where it is missing. lent: another owner that it may have.

    Fails if it is a link, or belongs to another account, which could make us write and remove anything.
    """
    try:
        directory = above.enter(name, make=0o700)
    except Unsafe as error:
        raise Failed(str(error)) from error
    try:
        now = directory.status()
        if not (_directory_io.trusted(now.st_uid) or now.st_uid == lent) or now.st_mode & 0o022:
            mode = stat.S_IMODE(now.st_mode)
            found = f"a directory of uid {now.st_uid} with mode {mode:04o}"
            raise Failed(str(Unsafe(directory.path, found, "a directory of this user that nobody else may write")))
        if _directory_io.trusted(now.st_uid):
            if stat.S_IMODE(now.st_mode) != 0o700:
                directory.own(mode=0o700)
            # An account that renames it can't enter it, and we hold it by its descriptor.
            directory.exposed = False
    except BaseException:
        directory.close()
        raise
    return directory


def resolved(path: str) -> str:
    """Return a path without the links that only we can have made. Code that writes there refuses those of others."""
    path = os.path.abspath(path)
    there = existing(path)
    try:
        with _safe_io.open_directory(there) as directory:
            return os.path.normpath(os.path.join(directory.path, os.path.relpath(path, there)))
    except OSError:
        return path


def stagings_of(path: str) -> tuple[str, str]:
    """Return the staging directory in a tree that is there (it may be a mount of its own), and beside one to come."""
    return os.path.join(path, STAGING), os.path.join(os.path.dirname(path), f".{os.path.basename(path)}{STAGING}")


def copy_file(source: int, target: int) -> None:
    """Copy one open file to another one, and close both."""
    with os.fdopen(source, "rb", buffering=0) as reading, os.fdopen(target, "wb", buffering=0) as writing:
        for block in iter(lambda: reading.read(BLOCK), b""):
            rest = memoryview(block)
            while rest:
                rest = rest[writing.write(rest) :]


def lend(directory: Directory, uid: int, gid: int) -> None:
    """Give a directory and what is in it to an account, until take_back. Only files with one name go with it."""
    for folder in below(directory):
        folder.own(uid, gid)
        for name in folder.names():
            status = folder.lstat(name)
            if status and stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
                folder.own_file(name, uid, gid)


def take_back(directory: Directory) -> None:
    """Take a directory back that was lent: all that is in it is ours, and only files with one name are in it.

    First the directories, from the top: in one that is ours nobody puts anything any more. A shared file system may
    refuse to change owners; then they are ours by another name.
    """
    for folder in below(directory):
        with contextlib.suppress(PermissionError):
            folder.own(os.geteuid(), os.getegid(), 0o700)
        folder.exposed = False
        for name in folder.names():
            status = folder.lstat(name)
            if status and stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
                with contextlib.suppress(PermissionError):
                    folder.own_file(name, os.geteuid(), os.getegid(), 0o600)
            elif status and not stat.S_ISDIR(status.st_mode):
                folder.unlink(name)


def below(directory: Directory) -> Iterator[Directory]:
    """Yield a directory and all below it, each before what is in it, open while it is yielded. Links are left out."""
    yield directory
    for name in directory.names():
        status = directory.lstat(name)
        if status and stat.S_ISDIR(status.st_mode):
            with directory.enter(name) as inside:
                yield from below(inside)
