# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a cluster is, as text."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._screens import _status
from ansible_collections.vllm_ray.cluster.tests.unit import plans
from ansible_collections.vllm_ray.cluster.tests.unit.looks import look

PLAN: dict[str, Any] = {"cluster": "default", "engine": {"endpoint": {}}}
UNITS = {"vllm-ray-node@default": "active", "vllm-ray-serve@default-main": "inactive"}
ENGINE = {"serving": True, "why": "", "url": "http://192.0.2.11:8000", "model": "demo", "tp": 2, "pp": 1}
CACHE = {"tokens": 1986400, "context": 4096, "concurrency": 484.96}
RELEASE = {
    "path": "/opt/vllm-ray/releases/cuda-1",
    "python": {"version": "3.11.2"},
    "versions": {"vllm": "0.32.0", "ray": "2.60.0"},
}
OLD = {**RELEASE, "path": "/opt/vllm-ray/releases/cuda-0"}
FIREWALL = {"status": "ufw is on", "rules": ["Anywhere on eno1 from 192.0.2.12", "8000/tcp from 198.51.100.0/24"]}
NODE = {"node_id": "a", "address": "192.0.2.11", "alive": True, "is_head": True, "gpus": 2, "gpus_used": 2}
HELD = {"pid": 812, "kind": "C", "process": "VLLM::Worker", "mib": 130000, "user": "vllm-ray", "unit": "", "ours": True}


def details(**change: Any) -> dict[str, Any]:
    none = {"services": {}, "kv_cache": {}, "firewall": FIREWALL, "release": RELEASE, "model": {}, "nodes": {}}
    return {**none, **change}


def serving(**change: Any) -> Any:
    seen = look(1, 2, usage_services={**UNITS, "vllm-ray-serve@default-main": "active"})
    return {**seen, "engine": {**ENGINE, **change}}


def shown(plan: dict[str, Any], looks: Any, problems: list[dict[str, str]] | None = None) -> str:
    return _status.screen(_status.summary(plans.plan(plan), list(looks), looks, problems or []))


def test_a_cluster_that_serves() -> None:
    head = serving()
    head["host"]["gpus"][1]["processes"] = [HELD]
    head["details"] = details(
        kv_cache=CACHE,
        model={"path": "/m/Q--Q/abc", "revision": "abc", "digest": "5f2c3b0e1a2b3c4d"},
        nodes={"exists": True, "nodes": [NODE], "why": ""},
        services={"vllm-ray-serve@default-main": {"restarts": 1, "first_error": "OOM"}},
    )
    worker = look(2, 0, usage_services=UNITS)
    worker["details"] = details(
        firewall={"status": "none, every port is open: ufw is off", "rules": []},
        release=OLD,
        services={"vllm-ray-node@default": {"restarts": 0, "first_error": "no route"}},
    )
    third = {**look(3, 0, usage_services=UNITS), "details": details()}
    plan = {
        **PLAN,
        "names": {"192.0.2.11": "gpu01"},
        "engine": {"endpoint": {}, "advice": {"kv_tokens": 1990000, "concurrency": 485.84, "max_model_len": 4096}},
    }
    assert shown(plan, {"gpu01": head, "gpu02": worker, "gpu03": third, "gpu04": None}) == (
        """
The cluster default serves demo with TP=2 PP=1 at http://192.0.2.11:8000 on gpu01
  KV cache   1,986,400 tokens, 484.96 requests of 4,096 tokens at once
  planned    1,990,000 tokens, 485.84 requests of 4,096 tokens at once
  model      /m/Q--Q/abc, revision abc, manifest 5f2c3b0e1a2b
  node       gpu01  192.0.2.11  alive  2 of 2 GPUs in use by Ray
  release    cuda-1: vllm 0.32.0, ray 2.60.0, Python 3.11.2

  gpu01  192.0.2.11  node active, serve active  2 GPUs, 0 of 281 GiB in use
      firewall  ufw is on; Anywhere on eno1 from 192.0.2.12; 8000/tcp from 198.51.100.0/24
      GPU 1     VLLM::Worker (pid 812, vllm-ray) 130,000 MiB, ours
      restarts  serve: 1, automatic restarts since it was started
      error     serve: OOM
  gpu02  192.0.2.12  node active                no GPU
      release   cuda-0: vllm 0.32.0, ray 2.60.0, Python 3.11.2
      firewall  none, every port is open: ufw is off
      error     node: no route
  gpu03  192.0.2.13  node active                no GPU
      firewall  ufw is on; Anywhere on eno1 from 192.0.2.12; 8000/tcp from 198.51.100.0/24
  gpu04  -           did not answer"""
    )


@pytest.mark.parametrize(
    ("engine", "told"),
    [
        ({"executor": "mp"}, "the engine uses its GPUs without Ray"),
        ({"executor": "ray"}, "offers Ray no GPU"),
        ({"executor": "mp", "serving": False, "state": "down"}, "offers Ray no GPU"),
    ],
    ids=["mp", "ray", "down"],
)
def test_whose_gpus_they_are(engine: dict[str, Any], told: str) -> None:
    head = {**serving(**engine), "details": details(nodes={"exists": True, "nodes": [{**NODE, "gpus": 0}], "why": ""})}
    text = shown({**PLAN, "names": {"192.0.2.11": "gpu01"}}, {"gpu01": head})
    assert f"node       gpu01  192.0.2.11  alive  {told}\n" in text


def test_looks_without_details_and_a_plan_without_advice_are_enough() -> None:
    assert shown(PLAN, {"gpu01": serving()}).splitlines() == [
        "",
        "The cluster default serves demo with TP=2 PP=1 at http://192.0.2.11:8000 on gpu01",
        "  release    none",
        "",
        "  gpu01  192.0.2.11  node active, serve active  2 GPUs, 0 of 281 GiB in use",
    ]


def test_a_ray_that_does_not_answer_says_why() -> None:
    head = {**serving(), "details": details(nodes={"exists": False, "nodes": [], "why": "Connection refused"})}
    assert "  nodes      Ray does not answer: Connection refused" in shown(PLAN, {"gpu01": head})


def test_a_process_of_another_user_namespace_has_no_name_and_may_have_no_size() -> None:
    head = serving()
    head["host"]["gpus"][0]["processes"] = [{**HELD, "user": "", "mib": None, "ours": False}]
    assert "GPU 0     VLLM::Worker (pid 812)\n" in shown(PLAN, {"gpu01": head}) + "\n"


def test_an_engine_that_is_dead_says_why() -> None:
    looks = {"gpu01": serving(serving=False, why="Connection refused")}
    assert _status.verdict(plans.plan(PLAN), looks) == (
        "does not serve demo with TP=2 PP=1 at http://192.0.2.11:8000 on gpu01: Connection refused"
    )


def test_nothing_is_deployed() -> None:
    assert _status.verdict(plans.plan(PLAN), {"gpu01": look(1)}) == "has no engine"
    assert "preflight.yml" in _status.verdict(plans.plan({"problems": []}), {"gpu01": None})


def test_problems_stand_below() -> None:
    problem = {
        "host": "gpu01",
        "check": "disk",
        "severity": "error",
        "found": "full",
        "wanted": "room",
        "fix": "free it",
    }
    assert shown(PLAN, {}, [problem]).endswith("fix: free it")


def test_where_an_engine_may_serve_out_of_sight() -> None:
    plan = {**PLAN, "serving": None}
    told = "may have an engine that serves: a host where it may run could not be probed, see the problems"
    assert _status.verdict(plans.plan(plan), {"gpu01": look(1), "gpu02": None}) == told
    assert _status.summary(plans.plan(plan), ["gpu01"], {"gpu01": look(1)}, [])["serving"] is None
    # An engine that was seen is not unknown.
    assert _status.verdict(plans.plan(plan), {"gpu01": serving()}).startswith("serves demo")


HOSTILE = "\x1b]0;title\x07\rours\u202e\nERROR"


def with_hostile_texts(tree: Any) -> Any:
    """Return a tree with something behind each of its texts that a terminal would obey."""
    if isinstance(tree, dict):
        return {key: with_hostile_texts(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [with_hostile_texts(value) for value in tree]
    return tree + HOSTILE if isinstance(tree, str) else tree


def test_whatever_a_host_answers_the_screen_is_printable() -> None:
    head = serving()
    head["host"]["gpus"][1]["processes"] = [HELD]
    head["details"] = details(
        kv_cache=CACHE,
        model={"path": "/m", "revision": "abc", "digest": "5f2c"},
        nodes={"exists": True, "nodes": [NODE], "why": ""},
        services={"vllm-ray-serve@default-main": {"restarts": 1, "first_error": "OOM"}},
    )
    found = {"host": "gpu01", "check": "gpu", "found": "held by x", "wanted": "free", "fix": "stop it"}
    problem = {**with_hostile_texts(found), "severity": "error"}
    usual = shown(PLAN, {"gpu01": head}, [{**found, "severity": "error"}])
    text = shown(PLAN, with_hostile_texts({"gpu01": head}), [problem])
    assert all(line.isprintable() for line in text.split("\n"))
    # No answer makes a line of its own.
    starts = [line for line in text.split("\n") if line.startswith("  ERROR")]
    assert len(starts) == len([line for line in usual.split("\n") if line.startswith("  ERROR")]) == 1


WHAT = "demo with TP=2 PP=1 at http://192.0.2.11:8000 on gpu01"


@pytest.mark.parametrize(
    ("state", "alive", "said", "good"),
    [
        ("serves", True, f"serves {WHAT}", True),
        ("busy", True, f"serves {WHAT} and is busy: why", True),
        ("refuses", True, f"serves {WHAT} and refused the probe: why", True),
        ("no_answer", True, f"does not answer, {WHAT}: why", False),
        ("loading", False, f"is loading {WHAT}: why", False),
        ("unknown", True, f"has an unknown state, {WHAT}: why", None),
        ("fails", False, f"does not serve {WHAT}: why", False),
        ("down", False, f"does not serve {WHAT}: why", False),
    ],
)
def test_states_of_the_engine(state: str, alive: bool, said: str, good: bool | None) -> None:
    looks = {"gpu01": serving(state=state, serving=alive, why="why"), "gpu02": look(2)}
    found = _status.summary(plans.plan(PLAN), list(looks), looks, [])
    assert (found["verdict"], found["state"], found["serving"]) == (said, state, good)


def test_an_engine_that_serves_hides_one_that_was_left_behind() -> None:
    looks = {"gpu01": serving(state="down", serving=False, why="inactive"), "gpu02": serving(state="serves")}
    assert _status.summary(plans.plan(PLAN), list(looks), looks, [])["state"] == "serves"
    assert _status.verdict(plans.plan(PLAN), looks).endswith(" on gpu02")


def test_an_engine_of_unknown_options() -> None:
    nothing = {"state": "unknown", "serving": True, "why": "it runs"}
    looks: Any = {"gpu01": {**look(1), "engine": nothing}}
    assert (
        _status.verdict(plans.plan(PLAN), looks)
        == "has an unknown state, an engine of unknown options on gpu01: it runs"
    )


def test_a_serve_host_that_was_not_probed_never_counts_as_no_engine() -> None:
    plan = {**PLAN, "serve_host": "gpu01"}
    found = _status.summary(plans.plan(plan), ["gpu01", "gpu02"], {"gpu01": None, "gpu02": look(2)}, [])
    assert found["verdict"] == "has an unknown state: its serve host gpu01 could not be probed"
    assert (found["state"], found["serving"]) == ("unknown", None)
    assert _status.summary(plans.plan(plan), ["gpu01"], {"gpu01": look(1)}, [])["state"] == "none"
