# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of an engine, and what follows for consent."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine import _engine_state
from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine._engine_state import Answer, Tokens, Unit

NAME = "vllm-ray-serve@default-main"
RUNS = Unit(NAME, True, "active", recorded=True)
OLD = Unit(NAME, True, "active", recorded=False)
STOPPED = Unit(NAME, False, "inactive", recorded=True)
NOT_ASKED = Unit("", None, "", recorded=True)
CLOSED = Answer(False, "Connection refused", kind="closed")
NGINX = "port 8000 is held by nginx (pid 812, user www-data), not by vllm-ray: /etc/k was not sent"
STRANGER = Answer(False, NGINX, kind="stranger")
CONFIG: dict[str, Any] = {
    "host": "192.0.2.11",
    "port": 8000,
    "served-model-name": "demo",
    "tensor-parallel-size": 2,
    "pipeline-parallel-size": 1,
    "distributed-executor-backend": "ray",
    "model": "/srv/demo",
}

# No option of an engine is of these types.
WRONG: list[Any] = [[], {}, None, 1.5, True]


@pytest.mark.parametrize(
    ("answer", "unit", "state", "serving", "why"),
    [
        pytest.param(Answer(True), RUNS, "serves", True, "", id="a-completion"),
        pytest.param(Answer(True), STOPPED, "serves", True, "", id="a-completion-though-its-supervisor-died"),
        pytest.param(Answer(False, "HTTP 401", 401), RUNS, "refuses", True, "HTTP 401", id="4xx"),
        pytest.param(
            Answer(False, "HTTP 404", 404), STOPPED, "down", False, f"{NAME} is inactive; HTTP 404", id="4xx-of-others"
        ),
        pytest.param(Answer(False, "HTTP 404", 404), NOT_ASKED, "refuses", True, "HTTP 404", id="4xx-no-unit-asked"),
        pytest.param(Answer(False, "HTTP 500", 500), RUNS, "fails", False, "HTTP 500", id="5xx"),
        pytest.param(
            CLOSED, RUNS, "loading", False, "its API does not listen yet: Connection refused", id="not-listening-yet"
        ),
        pytest.param(CLOSED, STOPPED, "down", False, f"{NAME} is inactive; Connection refused", id="stopped"),
        pytest.param(CLOSED, NOT_ASKED, "down", False, "Connection refused", id="closed-no-unit-asked"),
        pytest.param(
            CLOSED,
            OLD,
            "unknown",
            True,
            f"{NAME} runs without a record of what it was started with; Connection refused",
            id="its-options-are-guessed",
        ),
        pytest.param(STRANGER, RUNS, "down", False, NGINX, id="somebody-else-on-its-port"),
        pytest.param(
            Answer(False, "its key is root's", kind="stranger", ours=True),
            RUNS,
            "unknown",
            True,
            "its key is root's",
            id="our-process-under-another-account",
        ),
        pytest.param(Answer(False, "not seen", kind="unseen"), RUNS, "unknown", True, "not seen", id="nobody-seen"),
        pytest.param(Answer(False, "old", kind="untrusted"), RUNS, "unknown", True, "old", id="its-certificate"),
        pytest.param(
            Answer(False, "old", kind="untrusted"),
            STOPPED,
            "down",
            False,
            f"{NAME} is inactive; old",
            id="tls-of-others",
        ),
    ],
)
def test_an_engine_that_was_asked(answer: Answer, unit: Unit, state: str, serving: bool, why: str) -> None:
    assert _engine_state.judge(answer, unit) == (state, why)
    assert (state in _engine_state.SERVING) is serving


@pytest.mark.parametrize(
    ("unit", "first", "last", "state", "why"),
    [
        pytest.param(
            RUNS,
            Tokens(1000, 30),
            Tokens(1412, 31),
            "busy",
            "a completion of one token took more than 10 s; 412 tokens in 4 s with 31 running requests",
            id="tokens-come",
        ),
        pytest.param(
            STOPPED,
            Tokens(1000, 30),
            Tokens(2, 1),
            "busy",
            "a completion of one token took more than 10 s; it restarted with 1 running requests",
            id="it-started-anew",
        ),
        pytest.param(
            RUNS, Tokens(7, 3), Tokens(7, 3), "no_answer", "no token in 14 s with 3 running requests", id="no-token"
        ),
        pytest.param(
            RUNS,
            None,
            None,
            "no_answer",
            "a completion of one token took more than 10 s, and /metrics does not show whether it generates tokens",
            id="no-counters",
        ),
        pytest.param(
            STOPPED,
            Tokens(7, 3),
            Tokens(7, 3),
            "down",
            f"{NAME} is inactive; a completion of one token took more than 10 s",
            id="what-hangs-is-not-ours",
        ),
    ],
)
def test_an_engine_that_gave_no_completion(
    unit: Unit, first: Tokens | None, last: Tokens | None, state: str, why: str
) -> None:
    assert _engine_state.judge_silence(unit, first, last, 4.2) == (state, why)


def test_counters_of_a_real_engine(fixtures: Path) -> None:
    text = (fixtures / "vllm" / "metrics.txt").read_text(encoding="utf-8")
    assert _engine_state.tokens(text) == Tokens(done=474, running=8)
    # Those of several engines behind one API add up.
    assert _engine_state.tokens(text + text) == Tokens(done=948, running=16)


@pytest.mark.parametrize(
    "text", ["", "# HELP\n", "vllm:num_requests_running 3.0\n", "vllm:generation_tokens_total x\n"]
)
def test_no_counters(text: str) -> None:
    assert _engine_state.tokens(text) is None


@pytest.mark.parametrize(
    ("host", "address", "url"),
    [
        ("192.0.2.11", "192.0.2.12", "http://192.0.2.11:8000"),
        ("0.0.0.0", "192.0.2.12", "http://192.0.2.12:8000"),
        ("0.0.0.0", None, "http://127.0.0.1:8000"),
        ("::", None, "http://[::1]:8000"),
        ("2001:db8::1", None, "http://[2001:db8::1]:8000"),
    ],
)
def test_what_an_engine_was_started_with(host: str, address: str | None, url: str) -> None:
    assert _engine_state.options(json.dumps({**CONFIG, "host": host}), address) == {
        "url": url,
        "model": "demo",
        "tp": 2,
        "pp": 1,
        "executor": "ray",
        "path": "/srv/demo",
    }


def test_an_engine_with_tls() -> None:
    options = {**CONFIG, "ssl-certfile": "/etc/vllm-ray/default/tls.crt"}
    assert _engine_state.options(json.dumps(options), None)["url"] == "https://192.0.2.11:8000"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "7",
        '"text"',
        "null",
        "{}",
        "[" * 100_000,
        '{"a":' * 100_000,
        *(json.dumps({**CONFIG, key: value}) for key, value in itertools.product(CONFIG, WRONG)),
        *(json.dumps({**CONFIG, key: "8000"}) for key in ("port", "tensor-parallel-size")),
        *(json.dumps({**CONFIG, "port": port}) for port in (0, -1, 65536, 10**30)),
    ],
    ids=lambda text: text[:20],
)
def test_what_are_no_options(text: str) -> None:
    with pytest.raises(ValueError):
        _engine_state.options(text, None)


@pytest.mark.parametrize(
    ("text", "options"), [("{}", {}), ('{"a": 1}', {"a": 1}), ("[1]", {}), ("", {}), ("[" * 100_000, {}), ("7", {})]
)
def test_options_as_they_are_written(text: str, options: dict[str, Any]) -> None:
    assert _engine_state.mapping(text) == options
