# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A look asks a hub that is reached by a proxy alone and has a certificate of one's own."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _http_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs import _hub, _hub_ask_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._models import _model_config_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._manifest_io import Unusable
from ansible_collections.vllm_ray.cluster.tests.integration.hub_server import Hub, Model

ROOT = Path(__file__).resolve().parents[2]
# A name that nobody can resolve but the proxy.
NAME = "hub.invalid"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_scenario-token"


class Proxy(BaseHTTPRequestHandler):
    """Leads every tunnel to the hub, and notes each request for one."""

    target: int
    asked: list[dict[str, str]]

    def do_CONNECT(self) -> None:
        self.asked.append({"path": self.path, **{name.lower(): value for name, value in self.headers.items()}})
        with contextlib.suppress(ConnectionError), socket.create_connection(("127.0.0.1", self.target)) as hub:
            self.send_response(200)
            self.end_headers()
            ends = {self.connection: hub, hub: self.connection}
            while True:
                for end in select.select(list(ends), [], [], 30)[0]:
                    data = end.recv(65536)
                    if not data:
                        self.close_connection = True
                        return
                    ends[end].sendall(data)

    def log_message(self, *_args: Any) -> None:
        """Say nothing."""


class Tls(ThreadingHTTPServer):
    """A server whose connections are encrypted, each in its own thread."""

    context: ssl.SSLContext

    def finish_request(self, request: Any, client_address: Any) -> None:
        # A client that does not trust it disconnects.
        with (
            contextlib.suppress(ssl.SSLError, ConnectionError),
            self.context.wrap_socket(request, server_side=True) as secured,
        ):
            super().finish_request(secured, client_address)


def serve(server: ThreadingHTTPServer) -> int:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return int(server.server_address[1])


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """A private model of a hub behind a proxy: what asks for it."""
    for name in ("http_proxy", "https_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={NAME}"]
    command += ["-addext", f"subjectAltName=DNS:{NAME}", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    model = Model({"config.json": (ROOT / "demo-model" / "model" / "config.json").read_bytes()}, TOKEN, commit=COMMIT)
    plain = Hub()
    plain.models["private/demo"] = model
    Tls.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    Tls.context.load_cert_chain(certificate, key)
    with (
        contextlib.closing(plain),
        Tls(("127.0.0.1", 0), plain.handler) as hub,
        ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as proxy,
    ):
        Proxy.target, Proxy.asked = serve(hub), []
        yield {
            "model": "private/demo",
            "hub": "huggingface",
            "revision": "",
            "endpoint": f"https://{NAME}",
            "token": TOKEN,
            "proxy": f"http://me:planted@127.0.0.1:{serve(proxy)}",
            "ca_certificate": str(certificate),
        }
        hub.shutdown()
        proxy.shutdown()


def test_the_hub_is_reached_by_the_proxy_and_trusted_by_the_certificate(params: dict[str, Any]) -> None:
    found = _model_config_io.info(_model_config_io.query_of(params))
    assert (found.commit, found.model.layers) == (COMMIT, 6)
    assert {one["path"] for one in Proxy.asked} == {f"{NAME}:443"}
    # The proxy gets its own password, and not the hub's token.
    assert all("proxy-authorization" in one and "authorization" not in one for one in Proxy.asked)
    wish = _hub.wish("huggingface", "private/demo", "main", params["endpoint"])
    with _http_io.download(wish.hub.listing_url(wish), *_hub.way_of(params)) as answer:
        assert COMMIT in answer.read().decode()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"proxy": None}, "gives no usable answer"),
        ({"ca_certificate": None}, "CERTIFICATE_VERIFY_FAILED"),
        ({"ca_certificate": "/nowhere.pem"}, "no certificates can be read from /nowhere.pem"),
        ({"token": None}, "without a token"),
    ],
    ids=["no proxy", "no certificate", "no such file", "no token"],
)
def test_each_of_them_is_needed(params: dict[str, Any], change: dict[str, Any], words: str) -> None:
    with pytest.raises(Unusable, match=words) as caught:
        _model_config_io.info(_model_config_io.query_of({**params, **change}))
    assert "planted" not in str(caught.value)


@pytest.mark.parametrize(
    ("location", "refused"),
    [("http://127.0.0.1:9/stolen", True), ("ftp://127.0.0.1/stolen", True), (f"https://{NAME}/found", False)],
)
def test_a_redirect_out_of_encryption_is_refused(params: dict[str, Any], location: str, refused: bool) -> None:
    class Redirecting(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/found" else 302)
            self.send_header("Location", location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_args: Any) -> None:
            """Say nothing."""

    with Tls(("127.0.0.1", 0), Redirecting) as server:
        Proxy.target = serve(server)
        try:
            if refused:
                with pytest.raises(OSError, match="which is not encrypted"):
                    _http_io.download(params["endpoint"], *_hub.way_of(params))
            else:
                with _http_io.download(params["endpoint"], *_hub.way_of(params)) as answer:
                    assert answer.status == 200
        finally:
            server.shutdown()


def test_no_token_is_sent_without_encryption() -> None:
    with pytest.raises(OSError, match="no token is sent there"):
        _http_io.download("http://192.0.2.1/model?x=1", TOKEN)
    wish = _hub.wish("huggingface", "private/demo", endpoint="http://192.0.2.1")
    with pytest.raises(Unusable, match="an https URL where a token is given"):
        _hub_ask_io.ask(wish, _hub.Way(TOKEN))
