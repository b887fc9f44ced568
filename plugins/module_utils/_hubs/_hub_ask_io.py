# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a hub or a mirror what a model is. PRIVATE to the collection."""

from __future__ import annotations

import itertools
import socket
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from urllib.error import HTTPError, URLError

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _http_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs import _hub_problems
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._manifest_io import Unusable

if t.TYPE_CHECKING:
    from collections.abc import Sequence
    from http.client import HTTPResponse

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs._hub_interface import Way, Wish
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs._hub_listing import File, Listing

# Seconds before a hub that has an error of its own, or none to speak of, is asked again.
PAUSES = (1, 3)
LARGEST = 64 * 1024**2


def get(wish: Wish, url: str, way: Way, method: str = "GET") -> HTTPResponse:
    """Return the answer to a request; asked again where the hub has an error of its own. Raises Unusable."""
    for problem in _hub_problems.way_problems(wish, way, _http_io.may_have_secret):
        raise Unusable(problem)
    for pause in itertools.chain(PAUSES, [0]):
        try:
            answer: HTTPResponse = _http_io.download(url, *way, method=method, cookie=wish.hub.cookie)
            return answer
        except (URLError, socket.timeout, OSError) as error:
            status, reason = 0, way.without_secrets(str(getattr(error, "reason", error)))
            if isinstance(error, HTTPError):
                error.close()
                status, reason = error.code, f"HTTP {error.code} {reason}"
            if not pause or 400 <= status < 500:
                raise Unusable(_hub_problems.refusal(wish, status, reason, bool(way.token))) from error
            time.sleep(pause)
    raise AssertionError("unreachable")


def ask(wish: Wish, way: Way) -> Listing:
    """Return the commit of a revision, and its files; not all hubs list their sizes. Raises Unusable."""
    try:
        with get(wish, wish.hub.listing_url(wish), way) as answer:
            return wish.hub.parse_listing(wish, answer.read(LARGEST).decode())
    except (OSError, ValueError) as error:
        raise Unusable(_hub_problems.refusal(wish, 0, str(error), bool(way.token))) from error
    except LookupError as error:
        raise Unusable(_hub_problems.refusal(wish, 404, "", bool(way.token))) from error


def sized(wish: Wish, files: Sequence[File], way: Way) -> list[File]:
    """Return files with their sizes, of a hub whose listings have none. Raises Unusable."""

    def size(file: File) -> int:
        with get(wish, wish.file_url(file.path), way, "HEAD") as answer:
            length = answer.headers.get("Content-Length") or ""
        if not length.isdecimal():
            raise Unusable(_hub_problems.refusal(wish, 0, f"it reports no size of {file.path}", has_token=False))
        return int(length)

    with ThreadPoolExecutor(8) as pool:
        return [file._replace(size=found) for file, found in zip(files, pool.map(size, files))]
