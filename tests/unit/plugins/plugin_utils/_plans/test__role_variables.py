# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the plan to the variables of roles. tests/contract holds them against the roles' specifications."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._plans import _plan
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._plans._role_variables import Run, role_variables
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._plans._types import Whole
from ansible_collections.vllm_ray.cluster.tests import canaries
from ansible_collections.vllm_ray.cluster.tests.unit.looks import look
from ansible_collections.vllm_ray.cluster.tests.unit.plugins.plugin_utils._plans.test__plan import host

EVERYBODY = ("gpu01", "gpu02")


def planned(head: Any = (), worker: Any = ()) -> Whole:
    """Return a plan for two hosts. head, worker: their settings."""
    seen = [look(number, 1, host_present=["/srv/demo"]) for number in (1, 2)]
    hosts = [host(1, seen[0], **dict(head)), host(2, seen[1], **dict(worker))]
    whole = _plan.make_plan(hosts, ["192.0.2.1"], None, "head", "workers").whole
    assert whole
    return whole


def given(name: str = "gpu01", run: Run | None = None, head: Any = (), worker: Any = ()) -> dict[str, Any]:
    """Return what a host of two gets."""
    return role_variables(planned(head, worker), name, run or Run(hosts=EVERYBODY))


def test_a_host_has_its_peers_and_not_itself() -> None:
    assert [given(name)["firewall_peers"] for name in EVERYBODY] == [["192.0.2.12"], ["192.0.2.11"]]


def test_clients_are_admitted_where_there_is_something_for_them() -> None:
    opened = {"api_clients": ["192.0.2.50"], "dashboard_clients": ["192.0.2.51"]}
    found = [given(name, head=opened, worker=opened) for name in EVERYBODY]
    assert [it["firewall_api_clients"] for it in found] == [["192.0.2.50"], []]
    assert [it["firewall_dashboard_clients"] for it in found] == [["192.0.2.51"], []]
    assert ["192.0.2.50" in it["vllm_networks"] for it in found] == [True, False]


def test_what_is_asked_on_the_head_has_the_heads_values() -> None:
    found = given("gpu02", head={"dashboard_port": 9999, "config_root": "/srv/etc"})
    assert found["ray_head_dashboard_url"] == "http://127.0.0.1:9999"
    assert found["vllm_head_token_file"] == "/srv/etc/default/ray.token"
    assert found["model_trusted_file"] == "/srv/etc/default/trusted.json"
    assert (found["firewall_dashboard_port"], found["ray_config_dir"]) == (8265, "/etc/vllm-ray/default")


@pytest.mark.parametrize(("scope", "system"), [("system", True), ("user", False)])
def test_without_root_nothing_is_done_as_root(scope: str, system: bool) -> None:
    found = given(head={"scope": scope, "firewall": "off"}, worker={"scope": scope, "firewall": "off"})
    assert {name: value for name, value in found.items() if name.endswith("_become")} == {
        f"{role}_become": system for role in ("firewall", "release", "model", "ray", "vllm")
    }
    assert found["ray_manager"] == ("systemd" if system else "supervisor")
    assert found["release_user"] == found["model_user"] == ("vllm-ray" if system else "")


def test_old_models_stay_while_a_host_is_left_out() -> None:
    assert given(run=Run(hosts=EVERYBODY))["model_keep"] == 1
    assert given(run=Run(hosts=["gpu01"]))["model_keep"] == -1


def test_models_that_serve_are_in_use() -> None:
    looks: dict[str, Any] = {
        "gpu01": look(1, engine_path="/m/one"),
        "gpu02": look(2),
        "gpu09": look(9, engine_path="/m/nine"),
    }
    assert given(run=Run(hosts=EVERYBODY, looks=looks))["model_in_use"] == ["/m/one"]


def test_directories_of_others_are_named_where_they_differ() -> None:
    assert given()["model_roots"] == {}
    found = given(worker={"model_root": "/big/models"})
    assert (found["model_roots"], found["model_record_directories"]) == ({"gpu02": "/big/models"}, {})


def test_requirements_lie_beside_the_inventory() -> None:
    assert given()["release_requirements"] == ""
    found = [given(run=Run("/inv", hosts=EVERYBODY), head={"requirements": name}) for name in ("own.in", "/abs/own.in")]
    assert [it["release_requirements"] for it in found] == ["/inv/own.in", "/abs/own.in"]


@pytest.mark.parametrize("serving", [True, None, False])
def test_an_engine_that_was_probed_is_live_unless_nothing_serves(serving: bool | None) -> None:
    seen = look(1)
    seen["engine"] = engine = {"url": "http://192.0.2.11:8000", "certificates": {"used": "pem"}}
    run = Run(hosts=EVERYBODY, looks={"gpu01": seen})
    plan = planned()
    found = role_variables(replace(plan, outline=replace(plan.outline, serving=serving)), "gpu01", run)
    assert (found["vllm_live"], found["vllm_tls_used"]) == ({} if serving is False else engine, "pem")


def test_nothing_that_may_be_secret_is_among_them() -> None:
    secrets = {name.removeprefix("vllm_ray_"): value for name, value in canaries.variables().items()}
    text = json.dumps(given(head=secrets, worker=secrets))
    assert secrets
    assert canaries.PATTERN.findall(text.encode()) == []
