# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks every request to vLLM's API for the key.

vLLM's own check covers only paths that begin with /v1, /v2, /inference or /cohere; /invocations, for example, answers
completions without it. vLLM loads this class by `--middleware closed_api.ClosedApi`. The last middleware that is named
is the outermost. Open without the key are GET and HEAD of /health, CORS preflights, which vLLM answers itself before
any route, and /metrics for the clients in CLOSED_API_METRICS.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
import os
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

# The types of ASGI.
Message = MutableMapping[str, Any]
App = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]

SHORTEST_KEY = 32
CLOSE_BY_POLICY = 1008
REFUSAL = json.dumps(
    {
        "error": {
            "message": "The API needs the key: send the header 'Authorization: Bearer KEY'.",
            "type": "invalid_request_error",
            "param": None,
            "code": "invalid_api_key",
        }
    }
).encode()
HEADERS = [
    (b"content-type", b"application/json"),
    (b"content-length", str(len(REFUSAL)).encode()),
    (b"www-authenticate", b"Bearer"),
]


def checked_key(key: str) -> bytes:
    """Return the key as it is sent. Raises ValueError where it is too short, so that vLLM does not start."""
    if len(key) < SHORTEST_KEY:
        raise ValueError(f"VLLM_API_KEY has no key of {SHORTEST_KEY} characters or more. Run site.yml again.")
    return key.encode()


def networks(text: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """Return the networks of a list that is separated by commas: addresses, networks, or any. Raises ValueError."""
    parts = [part.strip() for part in text.replace("any", "0.0.0.0/0,::/0").split(",")]
    return [ipaddress.ip_network(part, strict=False) for part in parts if part]


# Read when vLLM imports this, so that a wrong environment ends the start.
KEY = checked_key(os.environ.get("VLLM_API_KEY", ""))
METRICS_CLIENTS = networks(os.environ.get("CLOSED_API_METRICS", ""))


def values_of(scope: Message, name: bytes) -> list[bytes]:
    """Return the values of a header. name: in lower case, as ASGI has it."""
    return [value for header, value in scope["headers"] if header == name]


def route_path(scope: Message) -> str:
    """Return the path by which Starlette finds a route: without root_path, where it begins with that."""
    path, root = str(scope["path"]), str(scope.get("root_path") or "")
    rest = path[len(root) :] if path.startswith(root) else path
    return rest if rest[:1] in ("", "/") else path


def has_key(scope: Message) -> bool:
    """Tell whether a request shows the key. A second Authorization header makes it void."""
    given = values_of(scope, b"authorization")
    scheme, _space, key = given[0].partition(b" ") if len(given) == 1 else (b"", b"", b"")
    return scheme.lower() == b"bearer" and hmac.compare_digest(key, KEY)


def is_preflight(scope: Message) -> bool:
    """Tell whether a request is one that Starlette's CORSMiddleware answers by itself."""
    named = values_of(scope, b"origin") and values_of(scope, b"access-control-request-method")
    return scope["method"] == "OPTIONS" and bool(named)


def is_within(address: str, allowed: Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    """Tell whether an address is in one of these networks. Of an IPv4 address in IPv6 form, the IPv4 address counts."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    found = getattr(found, "ipv4_mapped", None) or found
    return any(found in network for network in allowed)


def is_open(scope: Message) -> bool:
    """Tell whether a request is answered without the key."""
    if is_preflight(scope):
        return True
    path = route_path(scope) if scope["method"] in ("GET", "HEAD") else ""
    if path == "/metrics":
        # Behind a proxy, uvicorn takes the client's address from a header that the client may have written.
        is_direct = scope.get("client") and not values_of(scope, b"x-forwarded-for")
        return bool(is_direct) and is_within(str(scope["client"][0]), METRICS_CLIENTS)
    return path == "/health"


class ClosedApi:
    """The middleware. app: what answers the requests that may pass."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        kind = scope["type"]
        if kind == "lifespan" or has_key(scope) or (kind == "http" and is_open(scope)):
            await self.app(scope, receive, send)
        elif kind == "http":
            await send({"type": "http.response.start", "status": 401, "headers": HEADERS})
            await send({"type": "http.response.body", "body": REFUSAL})
        else:
            # Before the handshake's end, which servers answer with 403.
            await send({"type": "websocket.close", "code": CLOSE_BY_POLICY})
