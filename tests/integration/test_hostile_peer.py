# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A peer that knows the token of the run, and answers every question with garbage, giants, slow bytes, wrong lengths or
wrong digests: a host that fetches a tree ends in bounded time and memory, and has the tree if another host has it."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import json
import socketserver
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._folders_io import Failed
from ansible_collections.vllm_ray.cluster.plugins.module_utils._net import _network
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees import (
    _tree,
    _tree_io,
    _tree_sync,
    _tree_sync_fetch_io,
    _tree_sync_io,
    _tree_sync_line_io,
    _tree_sync_server_io,
)
from ansible_collections.vllm_ray.cluster.tests.integration.test_tree_sync import MIB, Cluster, contents, grow

LONGEST = 60
GIANT = 1 << 40
TRICKLE = 0.2


class HostilePeer(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """A member of the run. fault: what it does to a question, by its place; returns whether it did something.

    text: the manifest of the wanted tree, which it says it has.
    """

    daemon_threads = True

    def __init__(self, address: str, token: str, text: str, fault: Callable[[Answer, str], bool]) -> None:
        self.token, self.text, self.fault, self.asked = token, text, fault, set[str]()
        self.ended = threading.Event()
        self.pieces = len(_tree.parse(text).pieces) if text else 0
        port = _tree_sync.ports(token, _network.RANDOM_PORTS)[0]
        super().__init__((address, port), Answer)

    def handle_error(self, *_about: Any) -> None:
        """The other end breaks off, as it should."""


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: HostilePeer

    def log_message(self, *_words: Any) -> None:
        pass

    @property
    def place(self) -> str:
        return self.path.partition("?")[0]

    def do_GET(self) -> None:
        self.server.asked.add(self.place)
        if self.server.fault(self, self.place):
            self.close_connection = True
            return
        said = {"/state": self.state(), "/manifest": self.server.text.encode(), "/hashes": b"[]"}
        if self.place in said:
            self.proven(said[self.place])
        else:
            self.proven(b"", status=404)

    def state(self, **other: Any) -> bytes:
        # It says that it is done, as the others would wait for it otherwise: it might need them.
        said = _tree_sync.Said((1 << self.server.pieces) - 1, True, False, True, "", frozenset(), 0, False)
        return json.dumps({**json.loads(_tree_sync.render_said(said)), **other}).encode()

    def proven(self, body: bytes, size: int | None = None, sha256: str = "", status: int = 200) -> None:
        """Send an answer whose head is that of a member. size, sha256: what it says of the body."""
        size, sha256 = len(body) if size is None else size, sha256 or hashlib.sha256(body).hexdigest()
        self.send_response_only(status)
        self.send_header("Content-Length", str(size))
        self.send_header(_tree_sync_line_io.SHA256, sha256)
        self.send_header(_tree_sync_line_io.PROOF, _tree_sync.seal(self.server.token, self.path, size, sha256))
        self.end_headers()
        self.wfile.write(body)

    def span(self) -> int:
        first, _dash, last = self.headers["Range"].partition("=")[2].partition("-")
        return int(last) + 1 - int(first)

    def endless(self, block: bytes = bytes(MIB)) -> None:
        with contextlib.suppress(OSError):
            while not self.server.ended.is_set():
                self.wfile.write(block)

    def slowly(self, data: bytes) -> None:
        """Send byte by byte, so that nobody ever waits long for one."""
        with contextlib.suppress(OSError):
            for at in range(len(data)):
                if self.server.ended.wait(TRICKLE):
                    return
                self.wfile.write(data[at : at + 1])
                self.wfile.flush()


Step = Callable[[Answer], Any]


def at(place: str, *steps: Step) -> Callable[[Answer, str], bool]:
    """Return a fault of one place, or of all where it is empty."""

    def fault(answer: Answer, asked: str) -> bool:
        if place not in ("", asked):
            return False
        for step in steps:
            step(answer)
        return True

    return fault


def says(body: bytes, size: int | None = None, **head: Any) -> Step:
    return lambda answer: answer.proven(body, size, **head)


def states(**other: Any) -> Step:
    return lambda answer: answer.proven(answer.state(**other))


def sends(data: bytes) -> Step:
    return lambda answer: answer.wfile.write(data)


def trickles(data: bytes) -> Step:
    return lambda answer: answer.slowly(data)


def partial(size: int = -1) -> Step:
    """Return the head of an answer with pieces. size: what it says of their length; -1: what was asked for."""

    def head(answer: Answer) -> None:
        answer.send_response_only(206)
        answer.send_header("Content-Length", str(answer.span() if size < 0 else size))
        answer.end_headers()

    return head


def giant(status: int = 200) -> Step:
    return says(b"", GIANT, sha256="0" * 64, status=status)


SPACES = hashlib.sha256(b" " * 1000).hexdigest()
FAULTS: dict[str, Callable[[Answer, str], bool]] = {
    "garbage": at("", sends(b"\xff" * 100_000)),
    "nothing": at(""),
    "a line without an end": at("", lambda answer: answer.endless(b"x" * MIB)),
    "headers without an end": at("", sends(b"HTTP/1.1 200 OK\r\n"), lambda answer: answer.endless(b"a: b\r\n" * 1000)),
    "a giant without a proof": at(
        "", sends(f"HTTP/1.1 200 OK\r\nContent-Length: {GIANT}\r\n\r\n".encode()), Answer.endless
    ),
    "no length": at("", sends(b"HTTP/1.1 200 OK\r\n\r\n"), Answer.endless),
    "a proven giant": at("", giant(), Answer.endless),
    "an error that is a giant": at("", giant(503), Answer.endless),
    "another content than its head says": at("", says(b"x" * 100, sha256="0" * 64)),
    "fewer bytes": at("", says(b"x", 100)),
    "a slow head": at("", trickles(b"HTTP/1.1 200 OK\r\n" * 100)),
    "a slow state": at("/state", says(b"", 1000, sha256=SPACES), trickles(b" " * 1000)),
    "a state that is deep": at("", says(b"[" * 1_000_000)),
    "a state that is a list": at("", says(b"[]")),
    "a state of other types": at("/state", states(have=5, shuns=7, learned=[])),
    "a state of endless numbers": at("/state", states(learned=float("inf"))),
    "a state of more pieces": at("/state", states(have="f" * 900_000)),
    "a manifest of another tree": at("/manifest", says(b'{"format": 1, "piece": 16384}\n')),
    "a manifest that is a giant": at("/manifest", says(b"", 2**30), Answer.endless),
    "a manifest that comes slowly": at("/manifest", says(b"", 9000), trickles(bytes(9000))),
    "pieces of other bytes": at("/tree", partial(), lambda answer: answer.wfile.write(bytes(answer.span()))),
    "pieces without an end": at("/tree", partial(GIANT), Answer.endless),
    "pieces that break off": at("/tree", partial(), sends(b"x")),
    "slow pieces": at("/tree", partial(), trickles(bytes(MIB))),
    "no pieces at all": at("/tree", partial(0)),
    "a giant in place of pieces": at("/tree", giant(503), Answer.endless),
}
# Those that differ where nobody else helps.
ALONE = (
    *("garbage", "a proven giant", "a slow state", "a state that is deep", "a manifest of another tree"),
    *("pieces of other bytes", "pieces without an end", "slow pieces", "no pieces at all"),
)


class Run(Cluster):
    """h1 has the tree, h2 wants it, h3 is hostile."""

    def peer(self, fault: Callable[[Answer, str], bool], text: str) -> HostilePeer:
        return HostilePeer(self.hosts[2]["address"], str(self.folder), text, fault)

    def take_part(self, name: str, digest: str, said: dict[str, Any], **options: Any) -> threading.Thread:
        """Let a host of this process take part; said: what came of it, by host."""
        times = {"window": 1, "grace": 0.5, "patience": 2, "limit_mbit": 0, "reserve_gib": 0}
        places = {"path": str(self.tree(name)), "record_directory": str(self.records(name))}
        who = {"hosts": self.hosts, "name": name, "token": str(self.folder), "digest": digest}
        params = {**who, **times, **places, "depth": "quick", "replace": False, **options}

        def run() -> None:
            try:
                said[name] = _tree_sync_io.Host(params).run()
            except (Failed, OSError, ValueError) as error:
                said[name] = error

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    for name, seconds in {"SLOWEST": 1.0, "SILENCE": 0.8, "SHORT_SILENCE": 0.8}.items():
        monkeypatch.setattr(_tree_sync_line_io, name, seconds)
    for name, seconds in {"POLL": 0.2, "FIRST_POLL": 0.1}.items():
        monkeypatch.setattr(_tree_sync_fetch_io, name, seconds)
    monkeypatch.setattr(_tree_sync, "LONGEST_PAUSE", 0.5)
    made = Run(tmp_path, 3)
    grow(made.tree("h1"), size=MIB)
    return made


@contextlib.contextmanager
def hostile(run: Run, name: str, text: str) -> Iterator[HostilePeer]:
    peer = run.peer(FAULTS[name], text)
    thread = threading.Thread(target=peer.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield peer
    finally:
        peer.ended.set()
        peer.shutdown()
        peer.server_close()


@contextlib.contextmanager
def bounded(mib: int = 100) -> Iterator[None]:
    """Look that it takes neither much memory nor long."""
    tracemalloc.start()
    began = time.monotonic()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < mib * MIB
    finally:
        tracemalloc.stop()
    assert time.monotonic() - began < LONGEST


@pytest.mark.parametrize("name", FAULTS)
def test_another_host_helps(run: Run, name: str) -> None:
    text = _tree.dump(_tree_io.look(str(run.tree("h1")), _tree.Record("")).manifest())
    said: dict[str, Any] = {}
    with hostile(run, name, text) as peer, bounded():
        threads = [run.take_part(host, _tree.digest(text), said) for host in ("h1", "h2")]
        for thread in threads:
            thread.join(LONGEST)
        assert peer.asked
    assert isinstance(said.get("h2"), dict), said
    assert isinstance(said.get("h1"), dict), said
    assert contents(run.tree("h2")) == contents(run.tree("h1"))


@pytest.mark.parametrize("name", ALONE)
def test_alone_it_is_an_error_that_says_what_is_missing(run: Run, name: str) -> None:
    text = _tree.dump(_tree_io.look(str(run.tree("h1")), _tree.Record("")).manifest())
    said: dict[str, Any] = {}
    with hostile(run, name, text), bounded():
        run.take_part("h2", _tree.digest(text), said).join(LONGEST)
    assert isinstance(said.get("h2"), Failed), said
    assert any(words in str(said["h2"]) for words in ("knows no host that has the tree", "is missing")), said
    assert not run.tree("h2").exists()


GROWING = {
    "a file of 2^50 bytes": _tree.dump(_tree.Manifest(_tree.LARGEST, []))
    + '["a", "file", 420, 1125899906842624, ""]\n',
    "a set-uid file": _tree.dump(_tree.Manifest(_tree.SMALLEST, [])) + '["a", "file", 2541, 0, ""]\n',
    "a link": _tree.dump(_tree.Manifest(_tree.SMALLEST, [])) + '["a", "link", 0, 0, "/etc"]\n',
    "a hidden name": _tree.dump(_tree.Manifest(_tree.SMALLEST, [])) + '[".a", "file", 420, 0, ""]\n',
    "a deep one": "[" * 1_000_000,
}


@pytest.mark.parametrize("what", GROWING)
def test_a_host_that_downloads_is_believed_no_such_manifest(run: Run, what: str) -> None:
    """Any manifest of this host is accepted: the digest is not known yet."""
    said: dict[str, Any] = {}
    peer = run.peer(at("/manifest", says(GROWING[what].encode())), "")
    threading.Thread(target=peer.serve_forever, daemon=True).start()
    try:
        with bounded():
            run.take_part("h2", "", said, source="h3", plain=True).join(LONGEST)
    finally:
        peer.shutdown()
        peer.server_close()
    assert isinstance(said["h2"], Failed), said
    assert "does not create" in str(said["h2"])
    assert [path.name for path in (run.folder / "h2").iterdir()] == ["records"]


@pytest.mark.parametrize("learned", ['[[7, ""]]', '[[-1, "00"]]', '[[0, "x"]]', '{"a": 1}', "[[0]]", "[" * 100_000])
def test_hashes_that_can_not_be_those_of_the_manifest(run: Run, learned: str) -> None:
    text = _tree.dump(_tree.Manifest(_tree.SMALLEST, [_tree.plain_file("a", 10)]))
    said: dict[str, Any] = {}

    def fault(answer: Answer, asked: str) -> bool:
        if asked == "/hashes":
            answer.proven(learned.encode())
        elif asked == "/state":
            answer.proven(answer.state(have="0", learned=1))
        elif asked == "/manifest":
            answer.proven(text.encode())
        return True

    peer = run.peer(fault, "")
    threading.Thread(target=peer.serve_forever, daemon=True).start()
    try:
        with bounded():
            run.take_part("h2", "", said, source="h3", plain=True).join(LONGEST)
    finally:
        peer.shutdown()
        peer.server_close()
    assert isinstance(said["h2"], Failed), said


def test_a_peer_gets_no_more_than_some_connections(run: Run) -> None:
    """Each would hold a thread of the host that answers."""
    import socket

    text = _tree.dump(_tree_io.look(str(run.tree("h1")), _tree.Record("")).manifest())
    said: dict[str, Any] = {}
    thread = run.take_part("h1", _tree.digest(text), said)
    port = _tree_sync.ports(str(run.folder), _network.RANDOM_PORTS)[0]
    opened = []
    time.sleep(0.5)
    for _number in range(3 * _tree_sync_server_io.CONNECTIONS):
        with contextlib.suppress(OSError):
            opened.append(socket.create_connection((run.hosts[0]["address"], port), 5, (run.hosts[1]["address"], 0)))
    time.sleep(0.5)
    handlers = [one for one in threading.enumerate() if "process_request_thread" in one.name]
    assert len(handlers) <= _tree_sync_server_io.CONNECTIONS
    for connection in opened:
        connection.close()
    thread.join(LONGEST)
    assert isinstance(said["h1"], dict)
