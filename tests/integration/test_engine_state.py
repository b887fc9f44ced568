# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe of an engine, against engines that serve, hang, compute, refuse and lie; and what status says of them."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine import _engine_state, _engine_state_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _look
from ansible_collections.vllm_ray.cluster.plugins.module_utils._services._manager import Running
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._plans._types import Plan
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._screens import _status
from ansible_collections.vllm_ray.cluster.tests.integration.fake_service import RUNNING, Service
from ansible_collections.vllm_ray.cluster.tests.unit import plans

UNIT = "vllm-ray-serve@test-main"
OURS, ALIEN = 64123, 65534
UP, DOWN = Running(active=True, pid=1, state="active"), Running()

Probe = Callable[..., Any]


class Module:
    """As much of AnsibleModule as the probe needs. The journal is empty."""

    def __init__(self, folder: Path) -> None:
        self.params = {
            "services": [UNIT],
            "manager": "systemd",
            "address": None,
            "engine_config": str(folder / "started.yaml"),
            "engine_next_config": str(folder / "next.yaml"),
            "engine_key_file": str(folder / "api.key"),
            "engine_ca_file": None,
            "engine_server_name": None,
            "engine_certificate_file": None,
        }

    def run_command(self, _argv: list[str]) -> tuple[int, str, str]:
        return 0, "", ""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Return what starts a server; all of them end with the test."""
    with contextlib.ExitStack() as stack:

        def started(mode: str, uid: int = OURS) -> Service:
            service = Service(tmp_path, uid, mode)
            stack.callback(service.end)
            return service

        yield started


@pytest.fixture
def probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Probe:
    """Return the probe: of a port, with less patience than usual."""
    monkeypatch.setattr(_engine_state, "COMPLETION", 1)
    monkeypatch.setattr(_engine_state, "WATCHED", 1)
    monkeypatch.setattr(_engine_state_io, "PAUSE", 0.2)
    (tmp_path / "api.key").write_text("a-secret-of-this-test-that-is-long-enough", encoding="utf-8")
    os.chown(tmp_path / "api.key", OURS, OURS)

    def probed(port: int, running: Running = UP, file: str = "started.yaml") -> _look.Engine:
        config = {
            "host": "127.0.0.1",
            "port": port,
            "served-model-name": "demo",
            "tensor-parallel-size": 1,
            "pipeline-parallel-size": 1,
            "distributed-executor-backend": "mp",
        }
        (tmp_path / file).write_text(json.dumps(config), encoding="utf-8")
        module: Any = Module(tmp_path)
        return _engine_state_io.look(module, {UNIT: running})

    return probed


def said(engine: dict[str, Any]) -> str:
    """Return what status.yml says of an engine."""
    looks: Any = {"gpu01": {"engine": engine}}
    return _status.verdict(plans.plan({"engine": {"endpoint": {}}}), looks)


def test_it_serves(start: Callable[..., Service], probe: Probe) -> None:
    port = start("serves").port
    assert said(probe(port)) == f"serves demo with TP=1 PP=1 at http://127.0.0.1:{port} on gpu01"


def test_it_computes_for_others(start: Callable[..., Service], probe: Probe) -> None:
    engine = probe(start("busy").port)
    assert (engine["state"], engine["serving"]) == ("busy", True)
    assert " on gpu01 and is busy: a completion of one token took more than 1 s; " in said(engine)
    assert said(engine).endswith(f" with {RUNNING} running requests")


def test_it_hangs(start: Callable[..., Service], probe: Probe) -> None:
    """It is not shown as serving, and still nothing stops it without consent."""
    engine = probe(start("hangs").port)
    assert (engine["state"], engine["serving"]) == ("no_answer", True)
    assert said(engine).startswith("does not answer, demo with TP=1 PP=1 at ")
    assert said(engine).endswith(f": no token in 2 s with {RUNNING} running requests")
    assert not _status.summary(Plan([]), ["gpu01"], {"gpu01": looked(engine)}, [])["serving"]


def looked(engine: dict[str, Any]) -> Any:
    nothing = {"network": {"cluster_nic": None}, "usage": {"services": {}}, "host": {"gpus": []}}
    return {**nothing, "engine": engine}


def test_it_hangs_so_that_it_accepts_no_connection(start: Callable[..., Service], probe: Probe) -> None:
    engine = probe(start("deaf").port)
    assert (engine["state"], engine["serving"]) == ("no_answer", True)
    assert said(engine).endswith(
        "a completion of one token took more than 1 s, and /metrics does not show whether it generates tokens"
    )


@pytest.mark.parametrize(
    ("mode", "running", "state", "serving", "words"),
    [
        ("401", UP, "refuses", True, " on gpu01 and refused the probe: HTTP 401 Unauthorized: no"),
        ("401", DOWN, "down", False, f" on gpu01: {UNIT} is inactive; HTTP 401 Unauthorized: no"),
        ("500", UP, "fails", False, " on gpu01: HTTP 500 Internal Server Error: no"),
        ("serves", DOWN, "serves", True, " on gpu01"),
        ("hangs", DOWN, "down", False, f" on gpu01: {UNIT} is inactive; a completion of one token took more than 1 s"),
        (
            "redirects:http://127.0.0.1:1",
            UP,
            "fails",
            False,
            "redirects are not followed (to http://127.0.0.1:1/v1/completions)",
        ),
        ("endless", UP, "fails", False, " on gpu01: an answer of more than 8 MiB"),
        ("deep", UP, "fails", False, "no JSON: maximum recursion depth exceeded"),
    ],
)
def test_other_answers(
    mode: str, running: Running, state: str, serving: bool, words: str, start: Callable[..., Service], probe: Probe
) -> None:
    engine = probe(start(mode).port, running)
    assert (engine["state"], engine["serving"]) == (state, serving)
    assert words in said(engine)


def test_a_stranger_who_answers_404_on_the_port_of_a_retired_engine_is_no_engine(
    start: Callable[..., Service], probe: Probe
) -> None:
    alien = start("401", ALIEN)
    engine = probe(alien.port, DOWN)
    assert (engine["state"], engine["serving"]) == ("down", False)
    assert f"port {alien.port} is held by " in said(engine)
    assert alien.requests() == []


def test_our_process_that_may_not_have_the_key_may_serve(start: Callable[..., Service], probe: Probe) -> None:
    """Somebody changed the owner of the key's file: that says nothing about the engine."""
    theirs = start("serves", ALIEN)
    engine = probe(theirs.port, Running(active=True, pid=theirs.process.pid, state="active"))
    assert (engine["state"], engine["serving"]) == ("unknown", True)
    assert theirs.requests() == []


def test_it_loads(probe: Probe, start: Callable[..., Service]) -> None:
    ended = start("serves")
    ended.end()
    engine = probe(ended.port)
    assert (engine["state"], engine["serving"]) == ("loading", False)
    assert said(engine).startswith("is loading demo ")


@pytest.mark.parametrize(
    ("mode", "state"), [("serves", "serves"), ("ended", "unknown"), ("500", "unknown"), ("401", "refuses")]
)
def test_an_engine_without_a_record_is_asked_by_the_options_on_the_disk(
    mode: str, state: str, start: Callable[..., Service], probe: Probe
) -> None:
    """As after an upgrade from a version that had its records elsewhere: what does not answer there may serve."""
    service = start("serves" if mode == "ended" else mode)
    if mode == "ended":
        service.end()
    engine = probe(service.port, file="next.yaml")
    assert (engine["state"], engine["serving"]) == (state, True)
    assert probe(service.port, DOWN, file="next.yaml")["serving"] is (mode == "serves")


def fifo(path: Path) -> None:
    os.mkfifo(path)


def huge(path: Path) -> None:
    with path.open("wb") as stream:
        stream.truncate(4 * 1024**3)


def texts(text: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_text(text, encoding="utf-8")

    return write


HOSTILE = {
    "a FIFO": fifo,
    "a huge file": huge,
    "a directory": Path.mkdir,
    "a link to an endless file": lambda path: path.symlink_to("/dev/zero"),
    "a list": texts("[1]"),
    "deep": texts("[" * 100_000),
    "another type": texts('{"host": 7, "port": []}'),
    "no text": lambda path: path.write_bytes(b"\xff\xfe{}"),
}


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
def test_a_record_that_is_none_neither_hangs_nor_fails(make: Callable[[Path], Any], tmp_path: Path) -> None:
    make(tmp_path / "started.yaml")
    module: Any = Module(tmp_path)
    begin = time.monotonic()
    found = _engine_state_io.look(module, {UNIT: UP})
    assert time.monotonic() - begin < 2
    assert (found["state"], found["serving"]) == ("unknown", True)
    assert str(tmp_path / "started.yaml") in found["why"]
    assert _engine_state_io.look(module, {UNIT: DOWN})["serving"] is False


def test_no_engine(tmp_path: Path) -> None:
    module: Any = Module(tmp_path)
    assert _engine_state_io.look(module, {UNIT: DOWN}) == {"state": "none", "serving": False, "why": "no engine here"}
    assert _engine_state_io.look(module, {UNIT: UP}) == {
        "state": "unknown",
        "serving": True,
        "why": f"{UNIT} runs, but its options are not recorded",
    }
