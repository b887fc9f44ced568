# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Download a model from the URLs of its files, by ranges of the missing bytes. PRIVATE to the collection."""

from __future__ import annotations

import http.client
import os
import socket
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from urllib.error import HTTPError, URLError

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _http_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._folders_io import Folders
from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs import _hub_problems
from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs._hub_filler_io import BLOCK, Filler
from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs._hub_interface import PARALLEL_FILES
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._manifest_io import Unusable

if t.TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._directory_io import Directory
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs._hub_interface import Way, Wish
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs._hub_listing import File

HALVES = ".halves"
# How often a file is asked for without getting a byte of it, and the seconds before the next time.
TIMES, PAUSE = 5, 1


class Mirror(Filler):
    """Files of a web server. Unfinished files are in a directory of their own, and are continued."""

    def __init__(self, wish: Wish, files: Sequence[File], part: str, way: Way) -> None:
        super().__init__(wish, files, part)
        self.way = way

    def fetch(self) -> None:
        with ThreadPoolExecutor(PARALLEL_FILES) as pool:
            for _done in pool.map(self.bring, self.wanted.values()):
                pass

    def bring(self, file: File) -> None:
        """Bring one file. Raises Unusable."""
        half = f"{HALVES}/{file.path}"
        left = TIMES
        while self.size_of(file.path) != file.size and not self.stopped and not self.problem:
            before = max(0, self.size_of(half))
            reason = self.go_on(file, half, before)
            if self.size_of(half) == file.size:
                with self.held(half) as (folder, name), self.held(file.path) as (place, new):
                    folder.rename(name, place, new)
                return
            left = TIMES if self.size_of(half) > before else left - 1
            if not left:
                raise Unusable(_hub_problems.refusal(self.wish, 0, f"{file.path}: {reason}", has_token=False))
            time.sleep(PAUSE)

    def held(self, path: str) -> AbstractContextManager[tuple[Directory, str]]:
        """Open the directory of the download that holds a file, and make what is missing."""
        return t.cast(Folders, self.folders).holding(path, make=True)

    def go_on(self, file: File, half: str, start: int) -> str:
        """Fetch the rest of a file, as far as it comes; return why it did not come further. Raises Unusable."""
        if start > file.size:
            self.forget(half)
            start = 0
        span = f"bytes={start}-" if start else ""
        try:
            url = self.wish.file_url(file.path)
            with _http_io.download(url, *self.way, span=span) as answer:
                # A server without ranges sends the whole file again.
                goes_on = answer.status == 206 and (answer.headers["Content-Range"] or "").startswith(f"bytes {start}-")
                with self.held(half) as (directory, name):
                    handle = directory.open(name, os.O_WRONLY | os.O_CREAT)
                with os.fdopen(handle, "wb") as stream:
                    stream.truncate(start if goes_on else 0)
                    stream.seek(0, os.SEEK_END)
                    while not self.stopped and stream.tell() <= file.size:
                        block = answer.read(BLOCK)
                        if not block:
                            break
                        stream.write(block)
        except HTTPError as error:
            error.close()
            if error.code in (408, 416, 429) or error.code >= 500:
                if error.code == 416:
                    self.forget(half)
                return f"HTTP {error.code} {error.reason}"
            raise Unusable(_hub_problems.refusal(self.wish, error.code, str(error.reason), has_token=False)) from error
        except (URLError, http.client.HTTPException, socket.timeout, ConnectionError) as error:
            return self.way.without_secrets(str(getattr(error, "reason", error)))
        return f"it ended after {self.size_of(half)} of {file.size} bytes"

    def forget(self, half: str) -> None:
        """Remove what is begun of a file."""
        with self.held(half) as (directory, name):
            directory.unlink(name)
