# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the wait for an engine ends, and with which words."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.action import wait_for_vllm

NOT_YET = {"ready": False, "final": False, "why": "Connection refused", "untrusted": False, "renewed": True}
READY = {**NOT_YET, "ready": True, "why": ""}
OLD = {**READY, "renewed": False}
EXPIRED = {**NOT_YET, "why": "certificate has expired", "untrusted": True}
LOG = {"restarts": 3, "first_error": "", "progress": "Loading weights", "tail": []}
CRASH = {**LOG, "restarts": 4, "first_error": "ValueError: no memory", "tail": ["end"]}
UNREACHABLE = {"unreachable": True, "msg": "Failed to connect to the host via ssh"}
FAILED = {"failed": True, "msg": "systemctl: not found"}


def run(
    monkeypatch: pytest.MonkeyPatch, endpoints: list[dict[str, Any]], logs: list[dict[str, Any]]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return what the action returns, and what it asked of the log. The last answers stay.

    Time passes by sleeping, here and on the host, which waits where it has no answer.
    """
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds))
    given = {"url": "http://192.0.2.11:8000", "key_file": "/k", "model": "demo", "service": "serve", "timeout": 60}
    task = SimpleNamespace(args=given, async_val=0, check_mode=False, diff=False)
    connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir="/nowhere"))
    action = wait_for_vllm.ActionModule(task, connection, None, None, None, None)
    answers = {"vllm_ray.cluster.vllm_endpoint_info": endpoints, "vllm_ray.cluster.service_log_info": logs}
    queries: list[dict[str, Any]] = []

    def execute(module_name: str, module_args: dict[str, Any], **_more: Any) -> dict[str, Any]:
        if module_name.endswith("log_info"):
            queries.append(dict(module_args))
        listed = answers[module_name]
        answer = listed.pop(0) if len(listed) > 1 else listed[0]
        if answer is NOT_YET:
            clock[0] += module_args.get("wait", 0)
        return answer

    monkeypatch.setattr(action, "_execute_module", execute)
    return action.run(task_vars={}), queries


def test_it_waits_until_the_engine_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    result, _queries = run(monkeypatch, [NOT_YET, NOT_YET, READY], [LOG])
    # The first question is not waited for, so that the log is shown at once; the second one is, for 10 s.
    assert (result["ready"], result["seconds"]) == (True, 14.0)


def test_a_crash_ends_it_with_the_first_error_of_the_first_start(monkeypatch: pytest.MonkeyPatch) -> None:
    result, queries = run(monkeypatch, [NOT_YET], [LOG, CRASH])
    assert result["failed"]
    assert result["msg"] == "The engine does not serve: it ended during its start. ValueError: no memory"
    # What failed before this wait is left out.
    assert [query.get("since") for query in queries] == [None, 3]


@pytest.mark.parametrize("broken", [UNREACHABLE, FAILED], ids=["unreachable", "failed"])
@pytest.mark.parametrize("before", [0, 1, 6], ids=["at-once", "later", "at-the-end"])
def test_a_log_that_can_not_be_read_is_said(
    monkeypatch: pytest.MonkeyPatch, broken: dict[str, Any], before: int
) -> None:
    result, _queries = run(monkeypatch, [NOT_YET], [*[LOG] * before, broken])
    assert result["msg"] == broken["msg"]
    assert result.get("failed") or result.get("unreachable")


@pytest.mark.parametrize("broken", [UNREACHABLE, FAILED], ids=["unreachable", "failed"])
def test_an_endpoint_that_can_not_be_asked_is_said(monkeypatch: pytest.MonkeyPatch, broken: dict[str, Any]) -> None:
    result, _queries = run(monkeypatch, [NOT_YET, broken], [LOG])
    assert result["msg"] == broken["msg"]


def test_its_time_is_limited_whatever_the_log_says(monkeypatch: pytest.MonkeyPatch) -> None:
    result, _queries = run(monkeypatch, [NOT_YET], [LOG])
    assert result["msg"] == "The engine does not serve: no completion in 62 s. Connection refused"


def test_a_new_certificate_gets_time_to_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    result, _queries = run(monkeypatch, [OLD, OLD, READY], [LOG])
    assert (result["ready"], result["renewed"], result["seconds"]) == (True, True, 4.0)
    # It is said where it was not.
    result, _queries = run(monkeypatch, [OLD], [LOG])
    assert (result["ready"], result["renewed"], result["seconds"]) == (True, False, 10.0)


def test_a_certificate_that_is_not_accepted_gets_time_to_be_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    result, _queries = run(monkeypatch, [NOT_YET, EXPIRED, EXPIRED, READY], [LOG])
    assert result["ready"]
    result, _queries = run(monkeypatch, [EXPIRED] * 3 + [NOT_YET] + [EXPIRED], [LOG])
    assert result["failed"]
    assert result["msg"] == (
        "The engine does not serve: its certificate is refused; if it or vllm_ray_tls changed, "
        "pass -e vllm_ray_restart=true. certificate has expired"
    )
