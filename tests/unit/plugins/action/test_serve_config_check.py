# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A check that passed costs no call of the host; every other one does."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

from ansible_collections.vllm_ray.cluster.plugins.action.serve_config_check import ActionModule
from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine._serve_config import digest

CONFIG = {"model": "/srv/demo", "port": 8000, "gpu-memory-utilization": 0.9, "enforce-eager": True, "lora": ["a", None]}


def run(monkeypatch: pytest.MonkeyPatch, known: str, environment: Any) -> tuple[dict[str, Any], list[str]]:
    """Return what the action returns, and which modules it ran. Its arguments are as Ansible renders them."""
    variables = {"config": trust_as_template("{{ base | combine({'port': 8000}) }}"), "base": {**CONFIG, "port": "x"}}
    given = {
        "release": "/r",
        "config": trust_as_template("{{ config | to_json }}"),
        "known": known,
        "passed_file": "/f",
    }
    if environment is not None:
        given["environment"] = environment
    arguments = Templar(loader=DataLoader(), variables=variables).template(given)
    task = SimpleNamespace(args=arguments, async_val=0, check_mode=False, diff=False)
    connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir="/nowhere"))
    action = ActionModule(task, connection, None, None, None, None)
    ran: list[str] = []

    def execute(module_name: str, **_more: Any) -> dict[str, Any]:
        ran.append(module_name)
        return {"checked": True}

    monkeypatch.setattr(action, "_execute_module", execute)
    return action.run(task_vars={}), ran


@pytest.mark.parametrize("environment", [None, [], ["VLLM_B", "VLLM_A"]], ids=["none", "empty", "names"])
def test_what_has_passed_is_not_asked_again(monkeypatch: pytest.MonkeyPatch, environment: Any) -> None:
    # The module writes the digest of what it gets as JSON.
    known = digest("/r", CONFIG, sorted(environment or []))
    result, ran = run(monkeypatch, known, environment)
    assert ({name: result[name] for name in ("changed", "checked", "refused")}, ran) == (
        {"changed": False, "checked": False, "refused": {}},
        [],
    )


@pytest.mark.parametrize("known", ["", digest("/other", CONFIG), digest("/r", {**CONFIG, "port": 8001})])
def test_everything_else_is(monkeypatch: pytest.MonkeyPatch, known: str) -> None:
    result, ran = run(monkeypatch, known, None)
    assert (result["checked"], ran) == (True, ["vllm_ray.cluster.serve_config_check"])
