# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask every route of vLLM's own API server without and with the key. A CPU release's Python runs it; it prints JSON.

  VLLM_API_KEY=... <release>/bin/python ask_routes.py serve WORD...      as a start script would run `vllm`

The app is made as `vllm serve` makes it: options by its parser, routes and middleware by build_app. It has no engine,
so a request that passes ends in any error. What counts is which requests get 401.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import typing as t

from vllm.config import ModelConfig
from vllm.entrypoints.cli.serve import ServeSubcommand
from vllm.entrypoints.launchers.app import build_app
from vllm.multimodal.media import ImageMediaIO, MediaConnector
from vllm.tasks import FRONTEND_TASKS, POOLING_TASKS
from vllm.utils.argparse_utils import FlexibleArgumentParser

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW")
SOCKET = "WEBSOCKET"
# What the middleware answers: by HTTP, and to a websocket.
REFUSED = (401, 1008)
MOST_SECONDS = 10
PEER, CLIENT = ("192.0.2.77", 40000), ("198.51.100.9", 40000)
PREFLIGHT = {"origin": "http://a.example", "access-control-request-method": "POST"}
# A picture of one pixel.
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    "gg=="
)
MEDIA = (
    "http://127.0.0.1:1/a.png",
    "HTTP://169.254.169.254/latest",
    "https://example.org/a.png",
    "file:///etc/hostname",
)


def paths_of(routes: t.Iterable[t.Any], before: str = "") -> dict[str, bool]:
    """Return the paths of routes, those of mounted apps included, and whether each is a websocket's."""
    found: dict[str, bool] = {}
    for route in routes:
        path = before + getattr(route, "path", "")
        found[path or "/"] = "WebSocket" in type(route).__name__
        found |= paths_of(getattr(route, "routes", None) or [], path)
    return found


async def ask(app: t.Any, path: str, method: str, headers: t.Mapping[str, str], client: t.Any = PEER) -> int | str:
    """Return the status of an answer, or the name of the error that ended the request without one."""
    socket = method == SOCKET
    sent: list[t.Any] = []
    received = iter([{"type": "websocket.connect"} if socket else {"type": "http.request", "body": b"{}"}])
    scope = {
        "type": "websocket" if socket else "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "ws" if socket else "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": client,
        "server": ("192.0.2.11", 8000),
        "subprotocols": [],
        "state": {},
    }

    async def receive() -> t.Any:
        return next(received, {"type": "websocket.disconnect" if socket else "http.disconnect", "code": 1000})

    async def send(message: t.Any) -> None:
        sent.append(message)

    try:
        await asyncio.wait_for(app(scope, receive, send), MOST_SECONDS)
    except Exception as error:
        if not sent:
            return type(error).__name__
    first = sent[0] if sent else {}
    return t.cast(int, first.get("status") or first.get("code") or "accepted")


async def examine(app: t.Any, key: str) -> dict[str, t.Any]:
    """Return which requests are answered without the key, and which are refused with it."""
    paths = {**paths_of(app.routes), "/insider": False, "/no/such/path": False}
    asked = [(method, path) for path, socket in paths.items() for method in ((SOCKET,) if socket else METHODS)]
    shown = {
        "none": {},
        "empty": {"authorization": "Bearer "},
        "wrong": {"authorization": f"Bearer {key[::-1]}x"},
        "scheme": {"authorization": f"Basic {key}"},
        "right": {"authorization": f"Bearer {key}"},
    }
    passed: dict[str, list[str]] = {}
    for name, headers in shown.items():
        answers = {f"{method} {path}": await ask(app, path, method, headers) for method, path in asked}
        passed[name] = sorted(what for what, status in answers.items() if status not in REFUSED)
    return {
        "asked": sorted(f"{method} {path}" for method, path in asked),
        "passed": passed,
        "insider": await ask(app, "/insider", "GET", shown["right"]),
        "preflight": await ask(app, "/v1/chat/completions", "OPTIONS", PREFLIGHT),
        "metrics of a client": await ask(app, "/metrics", "GET", {}, CLIENT),
        "metrics of a peer": await ask(app, "/metrics", "GET", {}),
    }


def fetch(domains: t.Sequence[str]) -> dict[str, str]:
    """Return why each of MEDIA is refused. A picture in the request itself must be taken."""
    connector, refused = MediaConnector(allowed_media_domains=list(domains)), {}
    connector.load_from_url(PIXEL, ImageMediaIO())
    for url in MEDIA:
        try:
            connector.load_from_url(url, ImageMediaIO())
        except (ValueError, RuntimeError) as error:
            refused[url] = str(error)
    return refused


async def main(words: t.Sequence[str]) -> None:
    parser = FlexibleArgumentParser()
    ServeSubcommand().subparser_init(parser.add_subparsers())
    args = parser.parse_args(list(words))
    key, every = os.environ["VLLM_API_KEY"], ("generate", "transcription", "realtime", *FRONTEND_TASKS, *POOLING_TASKS)

    def build(tasks: t.Sequence[str], runner: t.Literal["generate", "pooling"]) -> t.Any:
        return build_app(args, tuple(tasks), ModelConfig(model=args.model, runner=runner))

    found: dict[str, t.Any] = {"middleware": args.middleware, "media": fetch(args.allowed_media_domains)}
    found["all"] = await examine(build(every, "generate"), key)
    found["pooling"] = await examine(build(["embed", "classify"], "pooling"), key)
    args.middleware = []
    found["without"] = await examine(build(every, "generate"), key)
    print(json.dumps(found))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
