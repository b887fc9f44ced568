# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which requests the API answers without the key (tests/integration asks all routes of the release)."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "roles" / "vllm" / "files" / "closed_api.py"
KEY = "k" * 64
RIGHT = (b"authorization", f"Bearer {KEY}".encode())
CLIENTS = "192.0.2.5, 198.51.100.0/24,2001:db8::/64"
CROSS = [(b"origin", b"http://a.example"), (b"access-control-request-method", b"POST")]


def load(monkeypatch: pytest.MonkeyPatch, key: str | None = KEY, clients: str = "") -> ModuleType:
    if key is None:
        monkeypatch.delenv("VLLM_API_KEY", raising=False)
    else:
        monkeypatch.setenv("VLLM_API_KEY", key)
    monkeypatch.setenv("CLOSED_API_METRICS", clients)
    spec = importlib.util.spec_from_file_location("closed_api", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ask(module: ModuleType, headers: Iterable[tuple[bytes, bytes]] = (), **scope: Any) -> list[dict[str, Any]]:
    """Return what a server gets to send for a request; the app behind the middleware sends "passed"."""
    sent: list[dict[str, Any]] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "passed"})

    async def receive() -> dict[str, Any]:
        raise AssertionError("nothing of a request is read before it may pass")

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    request = {"type": "http", "method": "GET", "path": "/v1/models", "headers": list(headers), **scope}
    with pytest.raises(StopIteration):
        # It waits for nothing.
        module.ClosedApi(app)(request, receive, send).send(None)
    return sent


def passes(module: ModuleType, headers: Iterable[tuple[bytes, bytes]] = (), **scope: Any) -> bool:
    return ask(module, headers, **scope) == [{"type": "passed"}]


@pytest.mark.parametrize("key", [None, "", "k" * 31])
def test_without_a_long_key_it_can_not_be_loaded(monkeypatch: pytest.MonkeyPatch, key: str | None) -> None:
    with pytest.raises(ValueError, match="VLLM_API_KEY has no key of 32 characters or more") as refused:
        load(monkeypatch, key)
    assert "kkk" not in str(refused.value)


def test_clients_that_are_no_network_end_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="everybody"):
        load(monkeypatch, clients="everybody")


def test_the_refusal_has_the_shape_of_openai(monkeypatch: pytest.MonkeyPatch) -> None:
    start, body = ask(load(monkeypatch))
    assert start["status"] == 401
    headers = dict(start["headers"])
    assert headers[b"www-authenticate"] == b"Bearer"
    assert headers[b"content-type"] == b"application/json"
    assert int(headers[b"content-length"]) == len(body["body"])
    error = json.loads(body["body"])["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == "invalid_api_key"


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("scheme", [b"Bearer ", b"bearer ", b"BEARER "])
def test_the_key_opens_everything(monkeypatch: pytest.MonkeyPatch, kind: str, scheme: bytes) -> None:
    assert passes(load(monkeypatch), [(b"authorization", scheme + KEY.encode())], type=kind, path="/invocations")


@pytest.mark.parametrize(
    "values",
    [
        [],
        [b""],
        [b"Bearer"],
        [b"Bearer "],
        [KEY.encode()],
        [b"Basic " + KEY.encode()],
        [b"Bearer  " + KEY.encode()],
        [b"Bearer " + KEY.encode() + b" "],
        [b"Bearer " + KEY.encode()[:-1]],
        [b"Bearer " + KEY.upper().encode()],
        [b"Bearer \xff" + KEY.encode()],
        [b"Bearer\t" + KEY.encode()],
        [b"Bearer " + KEY.encode(), b"Bearer " + KEY.encode()],
        [b"Bearer " + KEY.encode(), b"Bearer other"],
    ],
)
def test_nothing_else_is_the_key(monkeypatch: pytest.MonkeyPatch, values: list[bytes]) -> None:
    assert not passes(load(monkeypatch), [(b"authorization", value) for value in values])


def test_a_key_elsewhere_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not passes(load(monkeypatch), [(b"x-api-key", KEY.encode())], query_string=f"api_key={KEY}".encode())


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(("path", "root"), [("/health", ""), ("/health", "/api"), ("/api/health", "/api")])
def test_health_is_open(monkeypatch: pytest.MonkeyPatch, method: str, path: str, root: str) -> None:
    assert passes(load(monkeypatch), method=method, path=path, root_path=root)


@pytest.mark.parametrize(
    ("path", "root"),
    [
        ("//health", ""),
        ("/health/", ""),
        ("/health/../v1/models", ""),
        ("/v1/../health", ""),
        ("/./health", ""),
        ("/HEALTH", ""),
        ("/health\x00", ""),
        ("/health ", ""),
        ("/%68ealth", ""),
        ("/health%2f..%2fv1", ""),
        ("/health;/v1", ""),
        ("/health?", ""),
        ("/healthz", ""),
        ("health", ""),
        ("", ""),
        ("/apihealth", "/api"),
        ("/api//health", "/api"),
        ("/api/api/health", "/api"),
        # Starlette sees no path here, and no route.
        ("/health", "/health"),
        ("/metrics", ""),
        ("/ping", ""),
        ("/", ""),
    ],
)
def test_no_other_path_is(monkeypatch: pytest.MonkeyPatch, path: str, root: str) -> None:
    assert not passes(load(monkeypatch), path=path, root_path=root)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "get"])
def test_no_other_method_of_it_is(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    assert not passes(load(monkeypatch), method=method, path="/health")


def test_preflights_pass_with_both_headers_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    module = load(monkeypatch)
    assert passes(module, CROSS, method="OPTIONS")
    assert not passes(module, CROSS[:1], method="OPTIONS")
    assert not passes(module, CROSS[1:], method="OPTIONS")
    assert not passes(module, CROSS, method="POST")


@pytest.mark.parametrize(
    ("address", "is_client"),
    [
        ("192.0.2.5", True),
        ("192.0.2.6", False),
        ("198.51.100.77", True),
        ("::ffff:192.0.2.5", True),
        ("::ffff:192.0.2.6", False),
        ("2001:db8::7", True),
        ("2001:db8:1::7", False),
        ("127.0.0.1", False),
        ("testclient", False),
        ("", False),
    ],
)
def test_metrics_are_open_for_their_clients(monkeypatch: pytest.MonkeyPatch, address: str, is_client: bool) -> None:
    module = load(monkeypatch, clients=CLIENTS)
    assert passes(module, path="/metrics", client=(address, 40000)) == is_client
    assert not passes(module, path="/v1/models", client=(address, 40000))
    assert not passes(module, path="/metrics/", client=(address, 40000))
    assert not passes(module, path="/metrics", client=(address, 40000), method="POST")


@pytest.mark.parametrize("address", ["192.0.2.5", "2001:db8::7", "::ffff:192.0.2.5"])
def test_any_client_is_a_client_of_metrics(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    module = load(monkeypatch, clients="any")
    assert passes(module, path="/metrics", client=(address, 40000))
    assert not passes(module, [(b"x-forwarded-for", b"192.0.2.5")], path="/metrics", client=(address, 40000))


def test_a_client_that_only_a_header_names_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    module = load(monkeypatch, clients=CLIENTS)
    assert not passes(module, [(b"x-forwarded-for", b"192.0.2.5")], path="/metrics", client=("192.0.2.5", 0))
    assert not passes(module, path="/metrics", client=None)
    assert not passes(module, path="/metrics")


def test_websockets_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    module = load(monkeypatch)
    for path in ("/v1/realtime", "/health"):
        assert ask(module, type="websocket", path=path, method=None) == [{"type": "websocket.close", "code": 1008}]


def test_the_start_and_end_of_the_server_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    assert passes(load(monkeypatch), type="lifespan")
