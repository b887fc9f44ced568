# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks that name the run that holds them. A wait for a lock has a time limit. PRIVATE to the collection."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _safe_io

if t.TYPE_CHECKING:
    from collections.abc import Iterator

LOCK = ".lock"
# Seconds between two tries to get it.
PAUSE = 0.2


def holder(text: str, now: float) -> str:
    """Return the holder of a lock, from what that run wrote into it. now: in seconds since 1970."""
    try:
        data = json.loads(text)
        minutes = max(0.0, now - data["since"]) / 60
        return f"process {int(data['process'])}, which {str(data['what'])[:100]} for {minutes:.0f} minutes"
    except (ValueError, KeyError, TypeError):
        return "a process that did not say what it does"


class Busy(Exception):
    """Another run is at work in a directory. found: which, and since when."""

    def __init__(self, lock: str, held_by: str, seconds: float) -> None:
        self.found = f"{lock} held by {held_by} after {seconds:.0f} s"
        super().__init__(
            f"Found {self.found}. Expected: no other run there. Wait until it ends and run again. If it hangs, end "
            "that process: its unfinished work is then repeated."
        )


@contextlib.contextmanager
def held(directory: str, what: str, seconds: float) -> Iterator[None]:
    """Let only one run at a time be at work in a directory. The kernel lets go when the run dies.

    what: what this run does, for others that wait. Raises Busy where another one holds the lock for so many seconds.
    """
    with _safe_io.open_directory(directory, make=0o755) as folder:
        handle = folder.open(LOCK, os.O_RDWR | os.O_CREAT)
    with os.fdopen(handle, "r+", encoding="utf-8", errors="replace") as stream:
        end = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= end:
                    stream.seek(0)
                    raise Busy(f"{directory}/{LOCK}", holder(stream.read(4096), time.time()), seconds) from None
                time.sleep(PAUSE)
        # A run that waits reads it. The text of an earlier run is outdated.
        stream.truncate(0)
        stream.write(json.dumps({"process": os.getpid(), "what": what, "since": int(time.time())}))
        stream.flush()
        yield
