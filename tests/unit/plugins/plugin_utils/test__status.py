# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a cluster is, as text."""

from __future__ import annotations

from typing import Any

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils import _status
from ansible_collections.vllm_ray.cluster.tests.unit.looks import look

PLAN: dict[str, Any] = {"cluster": "default", "engine": {}}
UNITS = {"vllm-ray-node@default": "active", "vllm-ray-serve@default-main": "inactive"}
ENGINE = {"serving": True, "why": "", "url": "http://192.0.2.11:8000", "model": "demo", "tp": 2, "pp": 1}
LOG = {"kv_cache": {"tokens": 1986400, "context": 4096, "concurrency": 484.96}, "restarts": 1, "first_error": "OOM"}


def serving(**change: Any) -> dict[str, Any]:
    seen = look(1, 2, usage_services={**UNITS, "vllm-ray-serve@default-main": "active"})
    return {**seen, "engine": {**ENGINE, **change}}


def test_a_cluster_that_serves() -> None:
    looks = {"gpu01": serving(), "gpu02": look(2, 0, usage_services=UNITS), "gpu03": None}
    assert _status.screen(PLAN, list(looks), looks, ["gpu01  192.0.2.11  alive"], LOG, []) == (
        """
The cluster default serves demo with TP=2 PP=1 at http://192.0.2.11:8000 on gpu01
  KV cache   1,986,400 tokens, 484.96 requests of 4,096 tokens at once
  restarts   1, by itself since it was started
  error      OOM
  node       gpu01  192.0.2.11  alive

  gpu01  192.0.2.11  node active, serve active  2 GPUs, 0 of 281 GiB in use
  gpu02  192.0.2.12  node active                no GPU
  gpu03  -           did not answer"""
    )


def test_an_engine_that_is_dead_says_why() -> None:
    looks = {"gpu01": serving(serving=False, why="Connection refused")}
    assert _status.verdict(PLAN, looks) == (
        "does not serve demo with TP=2 PP=1 at http://192.0.2.11:8000 on gpu01: Connection refused"
    )


def test_nothing_is_deployed() -> None:
    assert _status.verdict(PLAN, {"gpu01": look(1)}) == "has no engine"
    assert "preflight.yml" in _status.verdict({"problems": []}, {"gpu01": None})


def test_problems_stand_below() -> None:
    problem = {
        "host": "gpu01",
        "check": "disk",
        "severity": "error",
        "found": "full",
        "wanted": "room",
        "fix": "free it",
    }
    assert _status.screen(PLAN, [], {}, [], {}, [problem]).endswith("to mend: free it")
