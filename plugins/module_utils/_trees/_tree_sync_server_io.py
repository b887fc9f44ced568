# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server by which one host of a run answers the others. PRIVATE to the collection.

It listens on the cluster address for as long as the run lasts:

- /manifest: the wanted tree's manifest, known by its SHA-256; of a tree that is being downloaded, what is known of it.
- /hashes: of the files of such a tree, in the order in which they were finished.
- /state: which pieces are here, and whether this host is done. Each host asks all others about once a second.
- /tree with a Range of whole pieces: those of them that are here, at least the first. The first is waited for.

Requests and answers are signed with the token of the run.
"""

from __future__ import annotations

import hashlib
import hmac
import http.server
import ipaddress
import itertools
import json
import socket
import socketserver
import threading
import time
import typing as t
from collections import Counter

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._folders_io import Failed
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees import _tree_sync
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._tree_sync_line_io import PROOF, SHA256

if t.TYPE_CHECKING:
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees import _store_io
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._tree_sync_run_io import Run

    # What socketserver calls the socket of a connection.
    Request = t.Union[socket.socket, tuple[bytes, socket.socket]]

# Seconds: how long the server waits for a piece that it has yet to get.
WAIT = 1.0
# An answer of fewer bytes waits so long for more of them.
FEW, FEW_WAIT = 256 * 1024, 0.02
# How many connections a peer may have: it needs one for each worker, and two for its questions.
CONNECTIONS = 16


class Server(http.server.ThreadingHTTPServer):
    """Answers the other hosts of the run, and nobody else."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, host: Run, port: int) -> None:
        self.host = host
        self.address_family = socket.AF_INET if ipaddress.ip_address(host.address).version == 4 else socket.AF_INET6
        self.counting, self.connections = threading.Lock(), Counter[str]()
        super().__init__((host.address, port), Handler)

    def verify_request(self, _request: object, client_address: tuple[str, int]) -> bool:
        return client_address[0] in self.host.names and self.connections[client_address[0]] < CONNECTIONS

    def process_request_thread(self, request: Request, client_address: tuple[str, int]) -> None:
        """Answer one connection, and count it meanwhile."""
        with self.counting:
            self.connections[client_address[0]] += 1
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self.counting:
                self.connections[client_address[0]] -= 1

    def server_bind(self) -> None:
        """Bind without HTTPServer's question for the name of the address, which can take seconds."""
        socketserver.TCPServer.server_bind(self)

    def handle_error(self, _request: object, _client_address: object) -> None:
        """Say nothing: a peer that breaks off is no error here."""


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection of a peer."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60.0
    server: Server

    def log_message(self, *_words: object) -> None:
        """Say nothing: what a module prints is its result."""

    def do_GET(self) -> None:
        host, span = self.server.host, self.headers.get("Range")
        wanted = _tree_sync.signature(host.token, self.path, span or "")
        if not hmac.compare_digest(self.headers.get("Authorization", "").encode(), wanted.encode()):
            self.answer(403)
            return
        place, _mark, query = self.path.partition("?")
        if place == "/state":
            self.answer(200, host.state(host.names[self.client_address[0]], query))
        elif place == "/manifest" and host.text:
            self.answer(200, host.text.encode())
        elif place == "/hashes" and query.isdecimal():
            self.answer(200, json.dumps(host.learned[int(query) :]).encode())
        elif place == "/tree" and host.store:
            self.give(host.store, span)
        else:
            self.answer(404)

    def answer(self, status: int, body: bytes = b"") -> None:
        sha256 = hashlib.sha256(body).hexdigest()
        self.send_response_only(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header(SHA256, sha256)
        self.send_header(PROOF, _tree_sync.seal(self.server.host.token, self.path, len(body), sha256))
        self.end_headers()
        self.wfile.write(body)

    def give(self, store: _store_io.Store, span: str | None) -> None:
        """Send the pieces of a span from the first one that are here."""
        pieces, starts = _tree_sync.parse_span(span, store.manifest.starts), store.manifest.starts
        if pieces is None:
            self.answer(416)
            return
        first, last = pieces
        if not store.wait_for(first, WAIT):
            self.answer(503)
            return
        here = self.here(store, first, last)
        if here < last and starts[here + 1] - starts[first] < FEW:
            # Small pieces come one after the other: some of them at a time cost less.
            time.sleep(FEW_WAIT)
            here = self.here(store, here, last)
        self.send_response_only(206)
        self.send_header("Content-Range", f"bytes {starts[first]}-{starts[here + 1] - 1}/{starts[-1]}")
        self.send_header("Content-Length", str(starts[here + 1] - starts[first]))
        self.end_headers()
        numbers = range(first, here + 1)
        for entry, group in itertools.groupby(numbers, lambda number: store.manifest.pieces[number].entry):
            with store.open(entry) as stream:
                for number in group:
                    if not self.send_piece(store, stream, number):
                        # The file became shorter: the rest of the answer can't come.
                        self.close_connection = True
                        return

    def send_piece(self, store: _store_io.Store, stream: t.BinaryIO, number: int) -> bool:
        """Send a piece of an open file, and return whether all of it was there."""
        host, piece, left = self.server.host, store.manifest.pieces[number], store.manifest.pieces[number].size
        while left:
            part = host.up.part(left)
            host.up.take(part)
            sent = self.connection.sendfile(stream, piece.start + piece.size - left, part)
            left -= sent
            if sent < part:
                break
        with host.lock:
            host.sent += piece.size - left
        return not left

    def here(self, store: _store_io.Store, first: int, last: int) -> int:
        """Return the last of the pieces from the first on that are here without a gap."""
        while first < last and store.have >> first + 1 & 1:
            first += 1
        return first


def serve(host: Run) -> Server:
    """Listen on the first of the run's ports that is free."""
    error: OSError | None = None
    for port in host.ports:
        try:
            server = Server(host, port)
        except OSError as reason:
            error = reason
            continue
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
        return server
    raise Failed(
        f"{host.name} can't listen on {host.address}, ports {', '.join(map(str, host.ports))}: {error}. Expected: "
        "an address of this host, and a free port. Correct the host's address, or try again."
    )
