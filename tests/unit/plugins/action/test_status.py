# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""status.yml ends with a status other than 0 where there is an engine that does not serve."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.action import status
from ansible_collections.vllm_ray.cluster.tests.unit import plans
from ansible_collections.vllm_ray.cluster.tests.unit.looks import look

ENGINE = {"why": "no token in 20 s", "url": "http://192.0.2.11:8000", "model": "demo", "tp": 2, "pp": 1}


def run(engine: dict[str, Any], **more: Any) -> dict[str, Any]:
    looked = {**look(1), "engine": engine}
    variables: Any = {
        "hostvars": {"gpu01": {"__vllm_ray_look": looked}},
        "groups": {"head": ["gpu01"], "all": ["gpu01"]},
    }
    plan = {"plan": plans.plan({"engine": {"endpoint": {}}}).as_dict(), "problems": []}
    task = SimpleNamespace(args={"plan": plan, **more}, async_val=0, check_mode=False, diff=False)
    connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir="/nowhere"))
    action = status.ActionModule(task, connection, None, None, None, None)
    result: dict[str, Any] = action.run(task_vars=variables)
    return result


@pytest.mark.parametrize("state", ["serves", "busy", "refuses"])
def test_it_ends_well_where_the_engine_is_alive(state: str) -> None:
    result = run({**ENGINE, "state": state, "serving": True})
    assert (result.get("failed", False), result["serving"], result["state"]) == (False, True, state)


@pytest.mark.parametrize("state", ["no_answer", "loading", "fails", "down", "unknown"])
def test_it_fails_where_the_engine_does_not_serve(state: str) -> None:
    result = run({**ENGINE, "state": state, "serving": state in ("no_answer", "unknown")})
    known = None if state == "unknown" else False
    assert (result["failed"], result["serving"], result["state"]) == (True, known, state)
    assert result["msg"].startswith("The cluster default ")
    assert result["msg"].endswith(": no token in 20 s")
    # All that was found is there for programs, too.
    assert result["status"]["hosts"].keys() == {"gpu01"}


def test_it_does_not_fail_where_that_is_not_wanted() -> None:
    result = run({**ENGINE, "state": "no_answer", "serving": True}, fail=False)
    assert (result.get("failed", False), result["serving"]) == (False, False)


def test_it_ends_well_where_nothing_is_deployed() -> None:
    result = run({"state": "none", "serving": False, "why": "no engine here"})
    assert (result.get("failed", False), result["serving"], result["state"]) == (False, False, "none")
