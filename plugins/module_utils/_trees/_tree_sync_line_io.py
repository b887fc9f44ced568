# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections to the other hosts of a run. PRIVATE to the collection.

What a peer sends is bounded: the proof of an answer is in its head and covers its length, so nothing large is read of
strangers; no answer may be larger than what it can be, and none may come byte by byte.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import math
import socket
import time
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees import _tree_sync

if t.TYPE_CHECKING:
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._tree_sync_run_io import Run

# Seconds: how long a peer may be silent in an answer, and in one that is short.
SILENCE, SHORT_SILENCE = 6.0, 3.0
# Seconds in which the head of an answer or the next part of it must come, and the bytes/s of short answers.
SLOWEST, SLOWEST_RATE = 15.0, 250_000
PROOF, SHA256 = "X-Proof", "X-SHA256"


class Line:
    """A connection to a peer that is opened when it is needed, and kept.

    until: when what is under way is broken off. A peer that sends byte by byte is never silent for long.
    """

    def __init__(self, host: Run, name: str, seconds: float) -> None:
        self.host, self.name, self.seconds = host, name, seconds
        self.open: http.client.HTTPConnection | None = None
        self.under_way: http.client.HTTPConnection | None = None
        self.until = math.inf
        host.lines.add(self)

    def allow(self, seconds: float = math.inf) -> None:
        """Give the peer so many seconds from now on."""
        self.until = time.monotonic() + seconds

    def cut(self) -> None:
        """End what is under way. A thread that waits for it sees the end of the connection."""
        self.until, connection = math.inf, self.under_way
        if connection and connection.sock:
            with contextlib.suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    def get(self, target: str, span: str = "") -> http.client.HTTPResponse:
        """Ask, and return the answer, whose body is still to be read. Once more, if a kept connection was closed."""
        headers = {
            "Authorization": _tree_sync.signature(self.host.token, target, span),
            **({"Range": span} if span else {}),
        }
        kept = self.open is not None
        try:
            connection = self.open or self.connect()
            self.open = self.under_way = connection
            self.allow(SLOWEST)
            connection.request("GET", target, headers=headers)
            return connection.getresponse()
        except (ConnectionError, http.client.BadStatusLine):
            self.close()
            if not kept:
                raise
            return self.get(target, span)
        except BaseException:
            self.close()
            raise

    def connect(self) -> http.client.HTTPConnection:
        """Find the port of the peer, which is that of the run or, where that was taken, one of the next."""
        known = self.host.ports_of.get(self.name)
        last: OSError | None = None
        for port in [known] if known else self.host.ports:
            connection = http.client.HTTPConnection(
                self.host.addresses[self.name], port, timeout=SHORT_SILENCE, source_address=(self.host.address, 0)
            )
            is_open, self.under_way = False, connection
            self.allow(SLOWEST)
            try:
                connection.connect()
                is_open = True
                if not known:
                    self.prove(connection)
                self.host.ports_of[self.name], self.host.met = port, True
                connection.sock.settimeout(self.seconds)
                return connection
            except (OSError, http.client.HTTPException) as error:
                last = error if isinstance(error, OSError) else OSError(str(error))
            connection.close()
            if not is_open and isinstance(last, (TimeoutError, socket.timeout)):
                # Nobody is there; another port would take as long.
                break
        self.host.ports_of.pop(self.name, None)
        raise last or ConnectionRefusedError(f"no process of this run at {self.host.addresses[self.name]}")

    def prove(self, connection: http.client.HTTPConnection) -> None:
        """Let a server show that it is one of this run: others know nothing of its token."""
        connection.request("GET", "/state", headers={"Authorization": _tree_sync.signature(self.host.token, "/state")})
        self.checked("/state", connection.getresponse(), _tree_sync.SAID_MAXIMUM)

    def ask(self, target: str, most: int) -> bytes:
        """Return the answer of a member of this run, of so many bytes at most. HTTPException, where it is none."""
        try:
            return self.checked(target, self.get(target), most)
        except BaseException:
            # The rest of an answer that was not read would be taken for the next one.
            self.close()
            raise
        finally:
            self.allow()

    def checked(self, target: str, answer: http.client.HTTPResponse, most: int) -> bytes:
        """Return the body of an answer whose head shows that it is of this run."""
        size, sha256 = answer.length, answer.getheader(SHA256) or ""
        wanted = _tree_sync.seal(self.host.token, target, -1 if size is None else size, sha256)
        if answer.status != 200 or not hmac.compare_digest((answer.getheader(PROOF) or "").encode(), wanted.encode()):
            raise http.client.HTTPException(f"an answer with status {answer.status} that proves nothing")
        if size is None or size > most:
            raise http.client.HTTPException(f"an answer of {size} bytes; expected at most {most}")
        self.allow(SLOWEST + size / SLOWEST_RATE)
        data = answer.read()
        if hashlib.sha256(data).hexdigest() != sha256:
            raise http.client.HTTPException("an answer whose content differs from its header")
        return data

    def close(self) -> None:
        self.allow()
        if self.open:
            self.open.close()
        self.open = None

    def leave(self) -> None:
        """Close it for good."""
        self.close()
        self.host.lines.discard(self)


def drain(answer: http.client.HTTPResponse) -> None:
    """Read the rest of an answer that says nothing."""
    if answer.length != 0:
        raise http.client.HTTPException(f"an answer with status {answer.status} and {answer.length} bytes")
    answer.read()
