# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watch a download, and hand on each of its files once it is finished and has the hub's own hash. PRIVATE to the
collection."""

from __future__ import annotations

import contextlib
import os
import stat
import threading
import time
import typing as t
from collections import deque

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _folders_io, _safe_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs import _hub_listing, _hub_problems
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees import _manifest, _manifest_io

if t.TYPE_CHECKING:
    from collections.abc import Sequence

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs._hub_interface import Wish

BLOCK = 1024**2
# Seconds between two looks for finished files.
LOOK = 0.2
# How often what came with wrong bytes is fetched.
TIMES = 2
# Seconds for a thread to see that it is over.
LAST = 10


class Filler:
    """What brings the files of a model, for tree_sync: see its protocol of this name.

    files: what will come. part: where it is downloaded to, kept for the next run where it does not end well. It begins
    when it is first asked for files. A file under its own name is finished: clients rename it at its end.
    """

    def __init__(self, wish: Wish, files: Sequence[_hub_listing.File], part: str) -> None:
        self.wish, self.part = wish, part
        # Besides root, this account may own the directory of the download: the client runs as it.
        self.lent: int | None = None
        self.folders: _folders_io.Folders | None = None
        self.wanted = {file.path: file for file in files}
        self.files = [(file.path, file.size) for file in files]
        self.right: set[str] = set()
        self.wrong: set[str] = set()
        self.fresh: deque[tuple[str, str]] = deque()
        self.problem: dict[str, str] | None = None
        self.ended = self.stopped = False
        self.looking = threading.Lock()
        self.threads: list[threading.Thread] = []

    def fetch(self) -> None:
        """Download the missing files. Returns when all are there. Raises Unusable."""
        raise NotImplementedError

    def stop(self) -> None:
        """End what is under way."""

    # --- What tree_sync asks ---

    def poll(self) -> list[tuple[str, str]]:
        """Return the files that are finished and right since the last call: path, and where it is."""
        if not self.threads:
            self.threads = [threading.Thread(target=way, daemon=True) for way in (self.work, self.watch)]
            for thread in self.threads:
                thread.start()
        return [self.fresh.popleft() for _one in range(len(self.fresh))]

    @property
    def got(self) -> int:
        return min(bytes_in(self.part), sum(size for _path, size in self.files))

    @property
    def failure(self) -> str:
        return _manifest.sentence(self.problem) if self.problem else ""

    def close(self) -> None:
        self.stopped = True
        self.stop()
        for thread in self.threads:
            thread.join(LAST)

    # --- The work ---

    def work(self) -> None:
        """Bring all files, and say what is wrong with those that do not come."""
        try:
            self.folders = self.begin()
            for _time in range(TIMES):
                self.wrong.clear()
                self.fetch()
                self.look()
                if not self.wrong - self.right:
                    return
            self.problem = _hub_problems.wrong_problem(self.wish, sorted(self.wrong - self.right))
        except _manifest_io.Unusable as error:
            self.problem = error.problem
        except (OSError, _folders_io.Failed) as error:
            wanted = "a writable directory with enough free space"
            fix = "free disk space or correct the directory, then run again: downloaded data is kept"
            self.problem = _manifest.problem("model", f"{self.part}: {error}", wanted, fix)
        finally:
            self.ended = True

    def begin(self) -> _folders_io.Folders:
        """Open the directory of the download, and make it where it is missing."""
        above, name = os.path.split(self.part)
        with _safe_io.open_directory(above, make=0o755) as directory:
            return _folders_io.Folders(_folders_io.own_directory(directory, name, self.lent))

    def watch(self) -> None:
        while not (self.ended or self.stopped):
            # fetch reports what can't be read.
            with contextlib.suppress(OSError):
                self.look()
            time.sleep(LOOK)

    def look(self) -> None:
        """Find the files that are finished, and remove those that are not what the hub has."""
        with self.looking:
            for path, file in self.wanted.items():
                if path in self.right or self.stopped or self.size_of(path) != file.size:
                    continue
                if self.is_right(file):
                    self.right.add(path)
                    self.fresh.append((path, os.path.join(self.part, path)))
                elif not self.stopped:
                    with t.cast(_folders_io.Folders, self.folders).holding(path) as (directory, name):
                        directory.unlink(name)
                    self.wrong.add(path)

    def is_right(self, file: _hub_listing.File) -> bool:
        """Return whether a file has the hash that the hub says, where it says one."""
        total, wanted = _hub_listing.hasher(file)
        with t.cast(_folders_io.Folders, self.folders).holding(file.path) as (directory, name):
            handle = directory.open(name)
        with os.fdopen(handle, "rb", buffering=0) as stream:
            while not self.stopped:
                block = stream.read(BLOCK)
                if not block:
                    return not wanted or total.hexdigest() == wanted
                total.update(block)
        return False

    def size_of(self, path: str) -> int:
        """Return the size of a regular file of the download, -1 where there is none."""
        if not self.folders:
            return -1
        try:
            with self.folders.holding(path) as (directory, name):
                status = directory.lstat(name)
        except OSError:
            return -1
        return status.st_size if status and stat.S_ISREG(status.st_mode) else -1


def bytes_in(part: str) -> int:
    """Return what has been written of a download: files may have been given their size before their content."""
    total = 0
    with contextlib.suppress(OSError):
        for directory, name in _safe_io.walk(part):
            status = directory.lstat(name)
            total += min(status.st_size, status.st_blocks * 512) if status else 0
    return total
