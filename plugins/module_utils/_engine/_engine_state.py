# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decides whether an engine serves, from its answers and the state of its unit. PRIVATE to the collection."""

from __future__ import annotations

import json
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine._ray import gcs_address

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _look

# A completion came.
SERVES = "serves"
# None came in time, and the engine computes others.
BUSY = "busy"
# It answered 4xx: it is alive, and refuses our key, our model or this kind of request.
REFUSES = "refuses"
# None came in time, and no token for anybody else either.
NO_ANSWER = "no_answer"
# Its process runs and does not listen yet.
LOADING = "loading"
# It answered something else, such as 500.
FAILS = "fails"
# Its unit does not run, or somebody else holds its port.
DOWN = "down"
# It runs, and can't be judged.
UNKNOWN = "unknown"
# There is none on this host.
NONE = "none"
# Nothing of these is stopped without consent: of all others it is known that they do not serve.
SERVING = (SERVES, BUSY, REFUSES, NO_ANSWER, UNKNOWN)

# Seconds that a completion of one token may take; then seconds in which tokens are counted.
COMPLETION = 10
WATCHED = 10

_COUNTER = re.compile(
    r"^vllm:(num_requests_running|prompt_tokens_total|generation_tokens_total)(?:\{.*\})? ([0-9.eE+]+)$", re.MULTILINE
)


@dataclass(frozen=True)
class Answer:
    """What came of a completion. ok: it came. status: of HTTP, 0 where there was none. kind: as of _http_io.Refused.

    ours: whether a process of our unit holds the port that another account seems to hold.
    """

    ok: bool
    why: str = ""
    status: int = 0
    kind: str = ""
    ours: bool = False


@dataclass(frozen=True)
class Unit:
    """The service of an engine. active: None where nobody asked for it. recorded: whether it noted its options."""

    name: str
    active: bool | None
    state: str
    recorded: bool


@dataclass(frozen=True)
class Tokens:
    """Counters of an engine. done: tokens of prompts and answers since it started. running: requests."""

    done: int
    running: int


def options(text: str, address: str | None) -> _look.EngineOptions:
    """Return what an engine was started with.

    text: its options, as JSON. address: where one is reached that listens on all addresses. Raises ValueError.
    """
    try:
        config = json.loads(text)
        host, port = config["host"], config["port"]
        tp, pp = config["tensor-parallel-size"], config["pipeline-parallel-size"]
        model, executor = config["served-model-name"], config["distributed-executor-backend"]
        path = config.get("model", "")
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"invalid engine options: {error!r}") from error
    if not all(isinstance(value, str) for value in (host, model, executor, path)):
        raise ValueError("invalid engine options: host, model, served-model-name and executor must be strings")
    if not all(isinstance(number, int) and not isinstance(number, bool) for number in (port, tp, pp)):
        raise ValueError("invalid engine options: port and sizes must be whole numbers")
    if not all(0 < number < 65536 for number in (port, tp, pp)):
        raise ValueError("invalid engine options: a number is out of range")
    reached = {"0.0.0.0": address or "127.0.0.1", "::": "::1"}.get(host, host)
    scheme = "https" if config.get("ssl-certfile") else "http"
    url = f"{scheme}://{gcs_address(reached, port)}"
    return {"url": url, "tp": tp, "pp": pp, "model": model, "executor": executor, "path": path}


def mapping(text: str) -> Mapping[str, object]:
    """Return the options of an engine as they are written, none where the text is no mapping."""
    try:
        config = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return config if isinstance(config, dict) else {}


def tokens(metrics: str) -> Tokens | None:
    """Return the counters in the text of /metrics, None where it has none (disable-log-stats)."""
    sums: dict[str, float] = {}
    for name, value in _COUNTER.findall(metrics):
        sums[name] = sums.get(name, 0) + float(value)
    if "generation_tokens_total" not in sums:
        return None
    done = sums["generation_tokens_total"] + sums.get("prompt_tokens_total", 0)
    return Tokens(int(done), int(sums.get("num_requests_running", 0)))


def judge(answer: Answer, unit: Unit) -> tuple[str, str]:
    """Return state and reason of an engine that was asked for a completion. One that timed out is not judged here."""
    if answer.ok:
        return SERVES, ""
    if unit.active is False:
        return DOWN, f"{unit.name} is {unit.state}; {answer.why}"
    if 400 <= answer.status < 500:
        return REFUSES, answer.why
    if answer.kind in ("unseen", "untrusted") or answer.ours:
        return UNKNOWN, answer.why
    if unit.active and not unit.recorded:
        return UNKNOWN, f"{unit.name} runs without a record of what it was started with; {answer.why}"
    if answer.kind == "stranger" or (answer.kind == "closed" and not unit.active):
        return DOWN, answer.why
    if answer.kind == "closed":
        return LOADING, f"its API does not listen yet: {answer.why}"
    return FAILS, answer.why


def judge_silence(unit: Unit, first: Tokens | None, last: Tokens | None, seconds: float) -> tuple[str, str]:
    """Return state and reason of an engine whose completion did not come in time.

    first, last: its counters at the begin and the end of so many seconds. None: it gave none.
    """
    late = f"a completion of one token took more than {COMPLETION} s"
    if first and last and last.done != first.done:
        count = f"{last.done - first.done:,} tokens in {seconds:.0f} s" if last.done > first.done else "it restarted"
        return BUSY, f"{late}; {count} with {last.running} running requests"
    if unit.active is False:
        return DOWN, f"{unit.name} is {unit.state}; {late}"
    if last:
        return NO_ANSWER, f"no token in {COMPLETION + seconds:.0f} s with {last.running} running requests"
    return NO_ANSWER, f"{late}, and /metrics does not show whether it generates tokens"
