# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server under an account of its own, that answers as an engine, as a dashboard of Ray, or as nobody should.

Run as `fake_service.py UID ADDRESS PORT MODE LOG [FOLDER]`: each request goes into LOG as a line of JSON. It has TLS
where FOLDER has tls.crt and tls.key.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingTCPServer
from typing import Any, TextIO

DEEP = "[" * 200_000
RUNNING = 3
METRICS = """# HELP vllm:num_requests_running Number of requests in model execution batches.
vllm:num_requests_running{{engine="0",model_name="demo"}} {running}.0
vllm:prompt_tokens_total{{engine="0",model_name="demo"}} 100.0
vllm:generation_tokens_total{{engine="0",model_name="demo"}} {generated}.0
"""
ANSWERS: dict[str, Any] = {
    "/v1/models": {"data": [{"id": "demo"}]},
    "/v1/completions": {"choices": [{"text": "b"}]},
    "/v1/chat/completions": {"choices": [{"message": {"content": "b"}}]},
    "/api/v0/nodes": {
        "data": {
            "result": {"result": [{"node_id": "a", "node_ip": "192.0.2.11", "state": "ALIVE", "is_head_node": True}]}
        }
    },
    "/api/cluster_status": {"data": {"clusterStatus": {"loadMetricsReport": {}}}},
}


class Handler(BaseHTTPRequestHandler):
    """Answers as its server's mode says."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        path, mode = self.path.partition("?")[0], self.server.mode
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.note({"path": path, "authorization": self.headers.get("Authorization")})
        if path == "/metrics" and mode in ("hangs", "busy"):
            self.say(
                200, METRICS.format(running=RUNNING, generated=int(time.monotonic() * 10) if mode == "busy" else 7)
            )
        elif mode in ("hangs", "busy") and path != "/v1/models":
            time.sleep(60)
        elif mode.startswith("redirects:"):
            self.say(307, "", Location=f"{mode.partition(':')[2]}{self.path}")
        elif mode == "endless":
            self.stream(b"[" * 65536, 0)
        elif mode == "slow":
            self.stream(b" ", 0.1)
        elif mode == "endless error":
            self.stream(b"x" * 65536, 0, 500)
        elif mode in ("401", "500"):
            self.say(int(mode), "no")
        elif mode == "deep":
            self.say(200, DEEP)
        elif mode == "list":
            self.say(200, "[[]]")
        else:
            self.say(200, json.dumps(ANSWERS.get(path, {})))

    do_POST = do_GET

    def say(self, status: int, text: str, **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(text))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text.encode())

    def stream(self, data: bytes, pause: float, status: int = 200) -> None:
        """Answer without an end."""
        self.send_response(status)
        self.send_header("Connection", "close")
        self.end_headers()
        with contextlib.suppress(OSError):
            while True:
                self.wfile.write(data)
                time.sleep(pause)

    def log_request(self, *_given: Any) -> None:
        """Say nothing."""


class Server(ThreadingTCPServer):
    """Serves in a mode, and notes what it was asked."""

    daemon_threads = allow_reuse_address = True
    request_queue_size = 16
    tls: ssl.SSLContext | None = None

    def __init__(self, address: str, port: int, mode: str, log: TextIO) -> None:
        self.mode, self.log = mode, log
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        super().__init__((address, port), Handler)

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    def get_request(self) -> tuple[Any, Any]:
        connection, peer = super().get_request()
        if self.tls:
            # The handshake comes with the first byte that is read, in a thread of its own.
            connection = self.tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, peer

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not self.tls:
            super().handle_error(request, client_address)

    def note(self, entry: dict[str, Any]) -> None:
        self.log.write(json.dumps(entry) + "\n")
        self.log.flush()


def serve(uid: int, address: str, port: int, mode: str, log: str, tls: str = "") -> None:
    """Serve for ever. Modes `deaf` and `leaves`: accept nothing; one connection, and listen no more."""
    if tls:
        Server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        Server.tls.load_cert_chain(f"{tls}/tls.crt", f"{tls}/tls.key")
    with open(log, "a", encoding="utf-8") as stream:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        run(Server(address, port, mode, stream))


def run(server: Server) -> None:
    print("ready", flush=True)
    if server.mode == "leaves":
        kept = server.socket.accept()
        server.socket.close()
        server.note({"path": "-", "authorization": kept[0].recv(65536).decode() or None})
    elif server.mode == "deaf":
        time.sleep(600)
    else:
        server.serve_forever()


class Service:
    """A running server. uid: whose it is. requests(): what it was asked."""

    def __init__(
        self,
        folder: Path,
        uid: int,
        mode: str = "serves",
        port: int = 0,
        address: str = "127.0.0.1",
        tls: Path | None = None,
    ) -> None:
        self.uid, self.port, self.scheme = uid, port or free_port(address), "https" if tls else "http"
        self.log = folder / f"{uid}-{self.port}-{mode[:4]}.log"
        argv = [sys.executable, "-m", __spec__.name if __spec__ else "", str(uid), address, str(self.port), mode]
        self.process = subprocess.Popen(
            [*argv, str(self.log), *([str(tls)] if tls else [])],
            cwd=Path(__file__).resolve().parents[2],
            stdout=subprocess.PIPE,
            text=True,
        )
        with self.process.stdout or contextlib.nullcontext() as stream:
            assert stream
            if stream.readline() != "ready\n":
                self.end()
                raise AssertionError("the server did not start")

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def requests(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]

    def secrets(self) -> list[str]:
        """Return the values of Authorization that came."""
        return [entry["authorization"] for entry in self.requests() if entry["authorization"]]

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


def free_port(address: str) -> int:
    """Return a port that nobody uses."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), *sys.argv[4:])
