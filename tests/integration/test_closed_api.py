# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every route of the release's API server wants the key, as the role's own start script has it started."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.tests.integration.test_settings import render, write

ROOT = Path(__file__).resolve().parents[2]
RELEASE = os.environ.get("VLLM_RAY_TEST_RELEASE", "")
OPEN = ["GET /health", "HEAD /health"]
# A middleware of the user's. It would answer everybody.
INSIDER = """
from starlette.responses import PlainTextResponse

class Answers:
    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope.get("path") == "/insider":
            return await PlainTextResponse("hello", 418)(scope, receive, send)
        return await self.app(scope, receive, send)

class Passes(Answers):
    pass
"""
# All that adds routes; tests/unit covers that these are warned of.
ENVIRONMENT = {"VLLM_SERVER_DEV_MODE": 1, "VLLM_ALLOW_RUNTIME_LORA_UPDATING": 1, "VLLM_ENABLE_COHERE_API": 1}
OPTIONS = {
    "disable-fastapi-docs": False,
    "enable-fault-tolerance": True,
    "enable-offline-docs": True,
    "enable-request-id-headers": True,
    "enable-scale-out": True,
    "enable-tokenizer-info-endpoint": True,
    "middleware": ["insider.Answers", "insider.Passes"],
    "profiler-config": {"profiler": "torch", "torch_profiler_dir": "/tmp"},
}


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """Return a home with a path that is short enough for Ray, and a release in it that asks instead of serving."""
    with tempfile.TemporaryDirectory(prefix="h", dir="/tmp") as folder:
        program = Path(folder, "release", "bin", "vllm")
        program.parent.mkdir(parents=True)
        words = shlex.join([f"{RELEASE}/bin/python", str(Path(__file__).with_name("ask_routes.py"))])
        program.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        program.chmod(0o755)
        (Path(folder) / "insider.py").write_text(INSIDER)
        yield Path(folder)


def start(home: Path, **given: Any) -> dict[str, Any]:
    """Return what the release's API server, started by the role's script, answers to whom."""
    environment = {"VLLM_LOGGING_LEVEL": "ERROR", "HF_HUB_OFFLINE": 1, **given.pop("vllm_ray_env", {})}
    base = {"vllm_ray_scope": "user", "vllm_ray_model": str(ROOT / "demo-model" / "model")}
    (answer,) = render(home, [{**base, **given, "vllm_ray_env": environment}])
    write(answer)
    script = Path(answer["directories"]["config"], "serve-main.sh")
    done = subprocess.run(
        [script], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def answers(home: Path) -> dict[str, Any]:
    environment = {**ENVIRONMENT, "PYTHONPATH": str(home)}
    return start(
        home, vllm_ray_env=environment, vllm_ray_serve_args=OPTIONS, vllm_ray_metrics_clients=["198.51.100.0/24"]
    )


def test_ours_is_asked_after_what_the_user_named_so_it_is_the_outermost(answers: dict[str, Any]) -> None:
    assert answers["middleware"] == ["insider.Answers", "insider.Passes", "closed_api.ClosedApi"]
    assert answers["all"]["insider"] == 418


@pytest.mark.parametrize("shown", ["none", "empty", "wrong", "scheme"])
@pytest.mark.parametrize("kind", ["all", "pooling"])
def test_only_health_is_answered_without_the_key(answers: dict[str, Any], kind: str, shown: str) -> None:
    assert answers[kind]["passed"][shown] == OPEN


@pytest.mark.parametrize("kind", ["all", "pooling"])
def test_nothing_is_refused_with_the_key(answers: dict[str, Any], kind: str) -> None:
    assert answers[kind]["passed"]["right"] == answers[kind]["asked"]


def test_the_routes_of_interest_are_among_them(answers: dict[str, Any]) -> None:
    """Finding fewer means that the walk over the routes stopped seeing them."""
    every, pooling = (set(answers[kind]["asked"]) for kind in ("all", "pooling"))
    assert every >= {
        *(f"POST /{path}" for path in ("invocations", "tokenize", "detokenize", "scale_elastic_ep", "pause")),
        *(
            f"POST /{path}"
            for path in ("collective_rpc", "generative_scoring", "v1/load_lora_adapter", "start_profile")
        ),
        *(f"GET /{path}" for path in ("metrics", "load", "version", "ping", "docs", "openapi.json", "tokenizer_info")),
        *(
            "POST /v1/chat/completions",
            "POST /v1/messages",
            "POST /v1/audio/transcriptions",
            "POST /inference/v1/generate",
        ),
        "WEBSOCKET /v1/realtime",
    }
    assert pooling >= {f"POST /{path}" for path in ("pooling", "classify", "score", "rerank", "v1/embeddings")}
    assert len(every) > 500


def test_without_ours_vllm_itself_leaves_them_open(answers: dict[str, Any]) -> None:
    opened = set(answers["without"]["passed"]["none"])
    assert opened >= {"POST /invocations", "POST /tokenize", "POST /pause", "GET /metrics", "GET /docs"}
    assert "POST /v1/chat/completions" not in opened


def test_metrics_are_open_for_their_clients_and_preflights_for_vllm(answers: dict[str, Any]) -> None:
    assert answers["all"]["metrics of a client"] == 200
    assert answers["all"]["metrics of a peer"] == 401
    # No origin is allowed, which CORSMiddleware says.
    assert answers["all"]["preflight"] == 400


def test_by_default_there_are_no_docs_and_no_media_are_fetched(home: Path) -> None:
    found = start(home)
    assert found["middleware"] == ["closed_api.ClosedApi"]
    paths = {what.split()[1] for what in found["all"]["asked"]}
    assert not paths & {"/docs", "/redoc", "/openapi.json"}
    assert "/v1/chat/completions" in paths
    assert found["all"]["metrics of a client"] == 401
    web = {url: why for url, why in found["media"].items() if not url.startswith("file:")}
    assert len(web) == 3
    assert all("must be from one of the allowed domains" in why for why in web.values()), web
    assert "file:///etc/hostname" in found["media"]
