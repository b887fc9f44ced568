# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One host's part in making a tree equal everywhere, as all hosts do it at the same time. PRIVATE to the collection.

A small HTTP server on the cluster address answers the hosts of the set, for as long as the call lasts:

- /manifest: the wanted tree's manifest, known by its SHA-256; of a tree that is being downloaded, what is known of it.
- /hashes: of the files of such a tree, in the order in which they were finished.
- /state: which pieces are here, and whether this host is done. Each host asks all others about once a second.
- /tree with a Range of whole pieces: those of them that are here, at least the first. The first is waited for.

Requests and answers are signed with the token of the run, and pieces believed only by their hash. So only members of
the run can say what is in a tree that is being downloaded, and of these only the one that downloads it is asked.

What a peer sends is bounded all the same: the proof of an answer is in its head and covers its length, so nothing large
is read of strangers; no answer may be larger than what it can be, and none may come byte by byte.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import http.server
import ipaddress
import itertools
import json
import math
import os
import socket
import socketserver
import threading
import time
import typing as t
import urllib.parse
from collections import Counter
from dataclasses import replace

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _folders_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._folders_io import Failed
from ansible_collections.vllm_ray.cluster.plugins.module_utils._net._network import RANDOM_PORTS
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees import _store_io, _tree, _tree_io, _tree_sync
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._manifest_io import (
    account_of,
    existing,
    free_bytes,
)

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Seconds: how long a server waits for a piece that it has yet to get; how long a peer may be silent in an answer, and
# in one that is short; how often peers are asked for their state, and how often until they first answer.
WAIT, SILENCE, SHORT_SILENCE = 1.0, 6.0, 3.0
POLL, FIRST_POLL = 1.0, 0.2
IDLE = 0.05
# An answer of fewer bytes waits so long for more of them.
FEW, FEW_WAIT = 256 * 1024, 0.02
WORKERS = 2
# Bytes, and seconds of the limit, that pass at a time where there is one; bytes that are read at a time.
PART, PART_SECONDS, READ = 16 * 1024, 0.02, 64 * 1024
# So often may a peer break off within a piece, and what comes of it counts.
BREAKS = 3
# Seconds in which the head of an answer or the next READ bytes of it must come, and the bytes/s of short answers.
SLOWEST, SLOWEST_RATE = 15.0, 250_000
# How many connections a peer may have: it needs one for each worker, and two for its questions.
CONNECTIONS = 16
# So many manifests with a wrong digest may a peer give.
WRONG_MANIFESTS = 3
NAMES_SHOWN = 5
PROOF, SHA256 = "X-Proof", "X-SHA256"


class Filler(t.Protocol):
    """What brings the files of a tree to the host from elsewhere, such as the client of a hub."""

    @property
    def files(self) -> Sequence[tuple[str, int]]:
        """Paths in the tree and sizes in bytes of all files that will come."""

    def poll(self) -> Sequence[tuple[str, str]]:
        """Return the files that are finished and right since the last call: path in the tree, and where it is."""

    @property
    def got(self) -> int:
        """How many bytes have come so far."""

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""

    @property
    def failure(self) -> str:
        """What went wrong, if something did."""

    def close(self) -> None:
        """End it, also before its time."""


class Throttle:
    """Lets so many bytes/s pass, for all threads together. rate: 0 = no limit."""

    def __init__(self, rate: float) -> None:
        self.bucket, self.lock = _tree_sync.Bucket(rate), threading.Lock()

    def part(self, size: int) -> int:
        """Return how many of so many bytes to pass at a time: with a limit few, or a peer would seem to be silent."""
        return min(size, max(PART, int(self.bucket.rate * PART_SECONDS))) if self.bucket.rate else size

    def take(self, size: int) -> None:
        with self.lock:
            seconds = self.bucket.take(size, time.monotonic())
        if seconds:
            time.sleep(seconds)


class Server(http.server.ThreadingHTTPServer):
    """Answers the other hosts of the run, and nobody else."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, host: Host, port: int) -> None:
        self.host = host
        self.address_family = socket.AF_INET if ipaddress.ip_address(host.address).version == 4 else socket.AF_INET6
        self.counting, self.connections = threading.Lock(), Counter[str]()
        super().__init__((host.address, port), Handler)

    def verify_request(self, _request: t.Any, client_address: t.Any) -> bool:
        return client_address[0] in self.host.names and self.connections[client_address[0]] < CONNECTIONS

    def process_request_thread(self, request: t.Any, client_address: t.Any) -> None:
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

    def handle_error(self, _request: t.Any, _client_address: t.Any) -> None:
        """Say nothing: a peer that breaks off is no error here."""


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection of a peer."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60.0
    server: Server

    def log_message(self, *_words: t.Any) -> None:
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


class Line:
    """A connection to a peer that is opened when it is needed, and kept.

    until: when what is under way is broken off. A peer that sends byte by byte is never silent for long.
    """

    def __init__(self, host: Host, name: str, seconds: float) -> None:
        self.host, self.name, self.seconds = host, name, seconds
        self.open: http.client.HTTPConnection | None = None
        self.under_way: http.client.HTTPConnection | None = None
        self.until = math.inf
        host.lines.add(self)

    def allow(self, seconds: float = math.inf) -> None:
        """Give the peer so many seconds from now on."""
        self.until = time.monotonic() + seconds

    def cut(self) -> None:
        """End what is under way; whoever waits for it sees the end of the connection."""
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


class Host:
    """This host's part in one run."""

    def __init__(self, params: Mapping[str, t.Any], filler: Filler | None = None) -> None:
        self.params, self.name, self.token = params, params["name"], params["token"]
        # While the tree is downloaded: who does it, what is known of its hashes in the order in which it became known,
        # and when that host last said that it goes on.
        self.filler, self.source = filler, params.get("source") or ""
        self.plain, self.copy_from = bool(params.get("plain")), params.get("copy_from") or ""
        self.learned: list[tuple[int, str]] = []
        self.growing_at = self.told_at = -math.inf
        self.path, self.account = _folders_io.resolved(params["path"]), account_of(params.get("user") or "")
        self.order = [host["name"] for host in params["hosts"]]
        self.addresses = {host["name"]: str(ipaddress.ip_address(host["address"])) for host in params["hosts"]}
        if self.name not in self.addresses or len({*self.addresses.values()}) < len(params["hosts"]):
            raise Failed(
                f"{self.name}: the hosts are {', '.join(self.order)}. Expected: this host among them, and unique "
                "names and addresses. Correct the hosts."
            )
        self.address = self.addresses[self.name]
        self.names = {address: name for name, address in self.addresses.items() if name != self.name}
        rate = params["limit_mbit"] * 1e6 / 8
        self.up, self.down = Throttle(rate), Throttle(rate)
        self.ports = _tree_sync.ports(self.token, RANDOM_PORTS)
        self.ports_of: dict[str, int] = {}
        # Whether a peer is there: asked or asking; whether this host waits for the tree that is wanted.
        self.met = self.asks = False
        # When the last bytes came; how often a peer broke off within a piece.
        self.received_at = -math.inf
        self.broken: Counter[tuple[str, int]] = Counter()
        self.lock = threading.Lock()
        self.lines: set[Line] = set()
        self.text = ""
        self.store: _store_io.Store | None = None
        self.schedule: _tree_sync.Schedule | None = None
        self.done = self.ended = False
        self.failure = ""
        self.workers: list[threading.Thread] = []
        self.sent = 0
        self.received = dict.fromkeys(self.order, 0)
        self.wrong: dict[str, set[str]] = {}

    # --- Answering ---

    def serve(self) -> Server:
        """Listen on the first of the run's ports that is free."""
        error: OSError | None = None
        for port in self.ports:
            try:
                server = Server(self, port)
            except OSError as reason:
                error = reason
                continue
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
            return server
        raise Failed(
            f"{self.name} can't listen on {self.address}, ports {', '.join(map(str, self.ports))}: {error}. Expected: "
            "an address of this host, and a free port. Correct the host's address, or try again."
        )

    def state(self, name: str, query: str) -> bytes:
        """Return what this host says of itself to a peer, and take note of what the peer says of itself."""
        said = urllib.parse.parse_qs(query)
        schedule, store, self.met = self.schedule, self.store, True
        with self.lock:
            if schedule:
                peer = schedule.peers[name]
                # Also of one that can't be asked itself.
                peer.heard_at = time.monotonic()
                if said.get("done") == ["1"]:
                    schedule.hear(name, schedule.everything, time.monotonic(), True, peer.shuns)
                    peer.told = peer.told or self.done
            return _tree_sync.render_said(
                _tree_sync.Said(
                    have=store.have if store else 0,
                    ready=store is not None,
                    reads=store is None and not self.asks,
                    done=self.done,
                    failed=self.failure,
                    shuns=frozenset(schedule.shunned() if schedule else []),
                    learned=len(self.learned),
                    growing=self.grows(),
                )
            )

    def grows(self) -> bool:
        """Return whether more comes from elsewhere, or is still hashed."""
        return bool(self.filler and not self.failure and not (self.schedule and self.schedule.complete))

    # --- Asking ---

    def poll(self, name: str) -> None:
        """Ask a peer for its state again and again."""
        line, schedule = Line(self, name, SHORT_SILENCE), t.cast(_tree_sync.Schedule, self.schedule)
        began, answered = time.monotonic(), False
        while not self.ended:
            done = self.done
            try:
                said = _tree_sync.parse_said(line.ask(f"/state?done={int(done)}", _tree_sync.SAID_MAXIMUM))
                answered = True
                if name == self.source:
                    self.follow(line, said)
                with self.lock:
                    peer = schedule.peers[name]
                    schedule.hear(name, said.have, time.monotonic(), said.done, self.name in said.shuns, said.ready)
                    peer.failed = bool(said.failed)
                    peer.told = peer.told or done
            except (OSError, http.client.HTTPException, ValueError):
                line.close()
                with self.lock:
                    schedule.peers[name].reachable = False
            soon = not answered or time.monotonic() - began < POLL
            self.pause(FIRST_POLL if soon else POLL)
        line.leave()

    def follow(self, line: Line, said: _tree_sync.Said) -> None:
        """Learn the hashes of files that were finished since the last time, of the host that downloads them."""
        store, schedule = t.cast(_store_io.Store, self.store), t.cast(_tree_sync.Schedule, self.schedule)
        if said.failed:
            self.failure = f"{self.source} could not download it: {said.failed}"
        if said.growing:
            self.growing_at = time.monotonic()
        if said.learned > len(self.learned):
            most = 2 * _tree.HEX * (len(store.manifest.pieces) + len(store.manifest.entries))
            for number, text in _tree_sync.parse_learned(line.ask(f"/hashes?{len(self.learned)}", most)):
                # It hashes what an earlier run left, which takes long for a large file.
                self.growing_at = math.inf
                try:
                    found = store.learn(number, text)
                except ValueError as error:
                    self.failure = f"{self.source} sent hashes that do not fit its manifest: {error}. Run again."
                    raise
                except OSError as error:
                    self.failure = f"{self.name} can't read what is in {store.staging}: {error}. Remove it."
                    raise
                finally:
                    self.growing_at = time.monotonic()
                with self.lock:
                    schedule.have |= found
                    schedule.known = store.manifest.known
                self.learned.append((number, text))

    def fill(self, filler: Filler) -> None:
        """Take over what has been downloaded since the last time, and let the others know of it. Failed, if it ended
        before all of it was there."""
        store, schedule = t.cast(_store_io.Store, self.store), t.cast(_tree_sync.Schedule, self.schedule)
        ended = filler.ended
        for path, place in filler.poll():
            number = self.numbers[path]
            text, pieces = store.adopt(number, place)
            with self.lock:
                schedule.have |= pieces
                schedule.known = store.manifest.known
            self.learned.append((number, text))
        if filler.failure or (ended and not schedule.complete):
            lacking = [entry.path for entry in store.manifest.entries if entry.size and not entry.text]
            raise Failed(filler.failure or f"{self.name}: the transfer ended, and {', '.join(lacking)} is missing")

    def pause(self, seconds: float) -> None:
        """Wait, but not longer than the run lasts, and only until this host is done: peers learn that at once."""
        end, done = time.monotonic() + seconds, self.done
        while time.monotonic() < end and not self.ended and self.done == done:
            time.sleep(min(IDLE, seconds))

    def work(self, worker: int) -> None:
        """Get pieces until all are here."""
        store, schedule = t.cast(_store_io.Store, self.store), t.cast(_tree_sync.Schedule, self.schedule)
        lines: dict[str, Line] = {}
        try:
            while not (self.ended or self.failure or schedule.complete):
                with self.lock:
                    ask = schedule.ask(time.monotonic(), worker)
                if ask is None:
                    time.sleep(IDLE)
                    continue
                self.fetch(store, schedule, lines.setdefault(ask.peer, Line(self, ask.peer, SILENCE)), ask)
        finally:
            for line in lines.values():
                line.leave()

    def fetch(self, store: _store_io.Store, schedule: _tree_sync.Schedule, line: Line, ask: _tree_sync.Ask) -> None:
        """Make one request. What came counts, also if the peer breaks off."""
        began, got, lost = time.monotonic(), 0, False
        starts = store.manifest.starts
        try:
            answer = line.get("/tree", f"bytes={starts[ask.first]}-{starts[ask.last + 1] - 1}")
            if answer.status != 206:
                drain(answer)
            left = answer.length or 0
            for number in range(ask.first, ask.last + 1):
                size = store.manifest.pieces[number].size
                if left < size:
                    break
                data = self.read(line, answer, size, number)
                left -= size
                right = self.keep(store, number, data)
                got |= right
                with self.lock:
                    self.received[ask.peer] += size
                    if not right:
                        schedule.refuse(ask.peer, 1 << number)
                        self.wrong.setdefault(ask.peer, set()).add(self.name_of(number))
            if left:
                line.close()
        except (OSError, http.client.HTTPException, _store_io.Closed):
            line.close()
            lost = True
        line.allow()
        with self.lock:
            schedule.take(ask, got, time.monotonic() - began, time.monotonic())
            if lost:
                schedule.lose(ask, time.monotonic())

    def read(self, line: Line, answer: http.client.HTTPResponse, size: int, number: int) -> bytearray:
        """Return so many bytes of an answer, which are a piece."""
        data, piece = bytearray(size), (line.name, number)
        view, done = memoryview(data), 0
        try:
            while done < size:
                line.allow(SLOWEST)
                part = answer.readinto(view[done : done + self.down.part(min(size - done, READ))])
                if not part:
                    raise ConnectionError("the peer closed the connection")
                self.down.take(part)
                # Of a disk that can't be read to its end, the same bytes would come for ever; and wrong ones of a peer
                # that gives such.
                if self.broken[piece] < BREAKS and line.name not in self.wrong:
                    self.received_at = time.monotonic()
                done += part
        except OSError:
            self.broken[piece] += bool(done)
            raise
        return data

    def keep(self, store: _store_io.Store, number: int, data: bytearray) -> int:
        """Put a piece where it belongs; an error of the disk is none of the network."""
        try:
            return store.put(number, data)
        except OSError as error:
            self.failure = (
                f"{self.name} can't write to {store.staging}: {error}. Expected: a writable disk. Make room, and "
                f"run again: {self.path} is unchanged."
            )
            raise

    def name_of(self, number: int) -> str:
        manifest = t.cast(_store_io.Store, self.store).manifest
        return manifest.entries[manifest.pieces[number].entry].path

    # --- The run ---

    def manifest_from_peers(self) -> str:
        """Return the text of the wanted tree's manifest from whoever has it."""
        asked = [self.source] if self.source else [name for name in self.order if name != self.name]
        lines = {name: Line(self, name, SILENCE) for name in asked}
        since, heard, wrong, self.asks = time.monotonic(), set(), Counter[str](), True
        try:
            while time.monotonic() < since + self.params["patience"]:
                for name, line in lines.items():
                    if wrong[name] >= WRONG_MANIFESTS:
                        continue
                    with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                        said = _tree_sync.parse_said(line.ask("/state", _tree_sync.SAID_MAXIMUM))
                        heard.add(name)
                        if said.reads and not said.failed:
                            # It may be the one that has it, and large trees take long.
                            since = time.monotonic()
                        if not said.ready:
                            continue
                        text = line.ask("/manifest", _tree.LARGEST_MANIFEST).decode("utf-8", "replace")
                        if name == self.source or _tree.digest(text) == self.params["digest"]:
                            return text
                        wrong[name] += 1
                time.sleep(4 * IDLE)
        finally:
            self.asks = False
            for line in lines.values():
                line.leave()
        if self.source:
            raise Failed(
                f"{self.name} heard nothing from {self.source}, which downloads the tree, for "
                f"{self.params['patience']:.0f} s. Not reachable: {self.source}. Expected: its run, and connections "
                "between the hosts' addresses. Check its output and the firewall; then run again."
            )
        raise Failed(
            f"{self.name} knows no host that has the tree {(self.params['digest'] or '')[:12]}. It asked: "
            f"{', '.join(asked)}, and got answers from: {', '.join(sorted(heard)) or 'none'}. Expected: one host "
            f"or more whose {self.path} has this digest, and connections between the hosts' addresses. Describe the "
            "tree again, and check the firewall."
        )

    def skeleton(self, filler: Filler) -> str:
        """Return the text of a manifest of files that are still to come."""
        sizes = dict(filler.files)
        entries = _tree.with_directories(_tree.plain_file(path, size) for path, size in sizes.items())
        return _tree.dump(_tree.Manifest(_tree.piece_size(sum(sizes.values())), entries))

    def run(self) -> dict[str, t.Any]:
        """Take part, and return what the module returns."""
        began, directory = time.monotonic(), self.params["record_directory"]
        server = self.serve()
        threading.Thread(target=self.guard, daemon=True).start()
        try:
            record = _tree_io.read_record(directory, self.path)
            full = self.params["depth"] == "full"
            now = _tree_io.look(self.path, record, full=full, plain=self.plain, account=self.account)
            text = _tree.dump(now.manifest())
            changed = not now.exists or _tree.digest(text) != self.params["digest"]
            seen = now.record(self.path, record.made)
            if not changed:
                # A tree that is another one keeps its record until it is repaired: it says what was correct there.
                _tree_io.write_record(directory, seen)
            if self.filler:
                changed = self.bring(self.skeleton(self.filler), seen)
            elif changed:
                other = self.other_place()
                text = _tree.dump(other.manifest()) if other else self.manifest_from_peers()
                changed = self.bring(text, seen, other)
            else:
                self.start(_store_io.Store(self.path, now.manifest(), now), text)
            whole = time.monotonic() - began
            self.done = True
            self.wait_for_peers()
            return self.result(changed, now.hashed, whole, time.monotonic() - began)
        except BaseException as error:
            self.failure = self.failure or str(error) or "it was ended"
            # So that the peers hear of it, and do not wait.
            time.sleep(2 * POLL if self.met else 0)
            raise
        finally:
            self.ended = True
            # Who asks later how far it is hears that nobody goes on.
            self.leave_word({})
            server.shutdown()
            server.server_close()

    def guard(self) -> None:
        """Break off what takes a peer too long."""
        while not self.ended:
            for line in [*self.lines]:
                if time.monotonic() > line.until:
                    line.cut()
            time.sleep(4 * IDLE)

    def other_place(self) -> _tree_io.Look | None:
        """Return the wanted tree, where this host has it in another directory."""
        if not self.copy_from:
            return None
        place = _folders_io.resolved(self.copy_from)
        record = _tree_io.read_record(self.params["record_directory"], place)
        other = _tree_io.look(place, record, plain=self.plain, account=self.account)
        return other if _tree.digest(_tree.dump(other.manifest())) == self.params["digest"] else None

    def bring(self, text: str, seen: _tree.Record, other: _tree_io.Look | None = None) -> bool:
        """Make the tree that of a manifest. Return whether it was another.

        seen: what was just hashed of it; other: what other_place() returned.
        """
        directory, manifest = self.params["record_directory"], self.believed(text, seen)
        with _tree_io.held(directory, self.path, self.params["patience"]):
            # Another run may have been at work, and pieces may be of another size than this tree's own.
            record = _tree_io.read_record(directory, self.path)
            now = _tree_io.look(self.path, seen, manifest.piece, plain=self.plain, account=self.account)
            store = _store_io.Store(self.path, manifest, now)
            if store.diff:
                self.ask_consent(store, record)
                store.prepare(None if self.filler else int(self.params["reserve_gib"] * _tree_io.GIB))
                if other:
                    store.copy_known(_folders_io.resolved(self.copy_from), other)
            self.start(store, text)
            with contextlib.closing(store):
                self.wait_for_pieces()
            made = record.made or not now.entries
            if store.diff:
                # Before the tree appears, so that a cut after that leaves no tree that seems to be somebody else's.
                _tree_io.write_record(directory, replace(record, made=made))
                store.install()
            _tree_io.write_record(directory, store.record(made))
            return bool(store.diff)

    def believed(self, text: str, seen: _tree.Record) -> _tree.Manifest:
        """Return the manifest of a text. Failed, where root should not make such a tree here.

        What a filler brings was checked by the caller, and a part of it may be here already.
        """
        had = sum(known.state.size for known in seen.files.values())
        room = None if self.filler else _store_io.room_for(self.path) + had
        try:
            return _tree.parse(text, self.plain, growing=bool(self.source), room=room)
        except _tree.TooLarge as error:
            place, free = existing(self.path), free_bytes(self.path) / _tree_io.GIB
            raise Failed(f"{place} has {free:.1f} GiB free; {error}. Make room, or set another path.") from error
        except ValueError as error:
            raise Failed(
                f"{self.name} does not create {self.path}: {error}. Correct the tree at its source."
            ) from error

    def ask_consent(self, store: _store_io.Store, record: _tree.Record) -> None:
        """Raise Failed where names would be lost that this module did not make."""
        lost = [] if record.made or self.params["replace"] else _tree.foreign(store.diff, store.now.entries)
        if lost:
            more = f" and {len(lost) - NAMES_SHOWN} more" if len(lost) > NAMES_SHOWN else ""
            raise Failed(
                f"{self.path} on {self.name} was not made by this module and differs: {', '.join(lost[:NAMES_SHOWN])}"
                f"{more}. Expected: consent to replace or remove these. Set replace=true, or set another path."
            )

    def start(self, store: _store_io.Store, text: str) -> None:
        """Begin to answer from a store, to ask the peers for their state, and to fetch what is missing."""
        sizes = [piece.size for piece in store.manifest.pieces]
        self.schedule = _tree_sync.Schedule(sizes, self.order, self.name, store.have, time.monotonic())
        self.schedule.known = store.manifest.known
        self.numbers = {entry.path: number for number, entry in enumerate(store.manifest.entries)}
        self.text, self.store = text, store
        pollers = [threading.Thread(target=self.poll, args=(name,), daemon=True) for name in self.schedule.peers]
        self.workers = [threading.Thread(target=self.work, args=(number,), daemon=True) for number in range(WORKERS)]
        for thread in [*pollers, *self.workers]:
            thread.start()

    def wait_for_pieces(self) -> None:
        """Return when all pieces are here. Failed, when none has come for too long."""
        schedule = t.cast(_tree_sync.Schedule, self.schedule)
        have, since = schedule.have, time.monotonic()
        while not schedule.complete:
            if self.failure:
                raise Failed(self.failure)
            if self.filler:
                self.fill(self.filler)
            self.tell(schedule)
            if schedule.have != have or self.grows() or max(self.growing_at, self.received_at) > since:
                have, since = schedule.have, time.monotonic()
            if time.monotonic() - since > self.params["patience"]:
                raise Failed(self.why_stuck(schedule))
            time.sleep(IDLE)
        # A piece may still be on its way a second time. Nobody writes any more when files move to their places.
        for worker in self.workers:
            worker.join()

    def wait_for_peers(self) -> None:
        """Stay until nobody needs this host any more."""
        schedule, window = t.cast(_tree_sync.Schedule, self.schedule), self.params["window"]
        # A host that is well may have answered as long ago as that.
        grace = max(self.params["grace"], 2 * POLL + SHORT_SILENCE)
        while True:
            with self.lock:
                if schedule.everybody_done(time.monotonic(), window, grace):
                    return
            self.tell(schedule)
            time.sleep(IDLE)

    def tell(self, schedule: _tree_sync.Schedule) -> None:
        """Leave word of how far all hosts are, about once a second."""
        if time.monotonic() < self.told_at + POLL:
            return
        self.told_at = time.monotonic()
        with self.lock:
            far = schedule.progress(self.told_at, self.params["window"], self.params["grace"])
        if self.filler:
            far[self.name] = (max(far[self.name][0], self.filler.got), _tree_sync.DOWNLOADS)
        self.leave_word(far)

    def leave_word(self, far: Mapping[str, tuple[float, str]]) -> None:
        size = self.schedule.bytes if self.schedule else 0
        said = {"run": _tree_sync.run_name(self.token), "bytes": size, "at": time.time(), "hosts": far}
        _tree_io.write_progress(self.params["record_directory"], self.path, said)

    def why_stuck(self, schedule: _tree_sync.Schedule) -> str:
        """Return what keeps the last pieces from coming."""
        missing = schedule.everything & ~schedule.have
        names = sorted({self.name_of(number) for number in _tree.numbers(missing)})
        with_pieces = [name for name in self.order if name in schedule.peers and schedule.peers[name].have & missing]
        away = [name for name in self.order if name in schedule.peers and not schedule.peers[name].reachable]
        wrong = [f"{name}: {', '.join(sorted(paths)[:NAMES_SHOWN])}" for name, paths in sorted(self.wrong.items())]
        return (
            f"{self.name} is missing {_tree.count(missing)} of {len(schedule.sizes)} pieces, of {len(names)} files "
            f"such as {names[0]!r}, and received none for {self.params['patience']:.0f} s. Not reachable: "
            f"{', '.join(away) or 'none'}. Hosts with some of them: {', '.join(with_pieces) or 'none'}. Sent content "
            f"that does not match its hash: {'; '.join(wrong) or 'none'}. Expected: every piece on at least one host. "
            "Make the hosts reachable, or repair their files with a full verification; then run again: received data "
            "is kept."
        )

    def result(self, changed: bool, hashed: int, whole: float, seconds: float) -> dict[str, t.Any]:
        schedule, store = t.cast(_tree_sync.Schedule, self.schedule), t.cast(_store_io.Store, self.store)
        return {
            "changed": changed,
            "digest": self.params["digest"] or _tree.digest(_tree.dump(store.manifest)),
            "bytes": store.manifest.bytes,
            "received_bytes": sum(self.received.values()),
            "received_from": {name: size for name, size in self.received.items() if size},
            "sent_bytes": self.sent,
            "found_bytes": store.found_bytes,
            "hashed_bytes": hashed,
            "wrong": {name: sorted(paths) for name, paths in sorted(self.wrong.items())},
            "absent": sorted(name for name, peer in schedule.peers.items() if not peer.done),
            "whole_seconds": round(whole, 2),
            "seconds": round(seconds, 2),
        }


def drain(answer: http.client.HTTPResponse) -> None:
    """Read the rest of an answer that says nothing."""
    if answer.length != 0:
        raise http.client.HTTPException(f"an answer with status {answer.status} and {answer.length} bytes")
    answer.read()


def describe(params: Mapping[str, t.Any], dry: bool = False) -> dict[str, t.Any]:
    """Read a tree, write its record, and return its digest and sizes."""
    path, account = _folders_io.resolved(params["path"]), account_of(params.get("user") or "")
    if not os.path.isdir(path):
        raise Failed(f"{path} is not a directory. Expected: a tree. Correct the path.")
    record = _tree_io.read_record(params["record_directory"], path)
    full = params["depth"] == "full"
    now = _tree_io.look(path, record, full=full, plain=params["plain"], account=account)
    if not dry:
        _tree_io.write_record(params["record_directory"], now.record(path, record.made))
    manifest = now.manifest()
    try:
        _tree.check(manifest.entries, manifest.piece, params["plain"])
    except ValueError as error:
        raise Failed(f"{path} can't be copied to other hosts: {error}. Correct it on this host.") from error
    return {
        "changed": False,
        "digest": _tree.digest(_tree.dump(manifest)),
        "bytes": manifest.bytes,
        "files": len(now.states),
        "pieces": len(manifest.pieces),
        "piece_bytes": manifest.piece,
        "hashed_bytes": now.hashed,
    }


def perform(params: Mapping[str, t.Any], dry: bool = False) -> dict[str, t.Any]:
    """Do what the module's parameters say."""
    if params["state"] == "described":
        return describe(params, dry)
    if not dry:
        return Host(params).run()
    path = _folders_io.resolved(params["path"])
    digest = describe(params, dry)["digest"] if os.path.isdir(path) else ""
    return {"changed": digest != params["digest"], "digest": params["digest"]}
