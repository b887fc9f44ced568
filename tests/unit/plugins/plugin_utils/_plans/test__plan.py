# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan, from hosts to what roles get."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _host, _settings
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._host import Host
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._plans import _plan
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._plans._types import Plan
from ansible_collections.vllm_ray.cluster.tests import canaries
from ansible_collections.vllm_ray.cluster.tests.unit import models
from ansible_collections.vllm_ray.cluster.tests.unit.looks import GIB, look

CONTROLLERS = ["192.0.2.1"]
NAMES = {1: "gpu01", 2: "gpu02", 3: "gpu03"}
TP, PP = "tensor-parallel-size", "pipeline-parallel-size"


def settings(**given: Any) -> dict[str, Any]:
    """Return checked settings; names go without their prefix."""
    values = {"vllm_ray_model": "/srv/demo", **{f"vllm_ray_{name}": value for name, value in given.items()}}
    checked = _settings.check("-", values)
    assert checked.problems == []
    return checked.values


def host(number: int, seen: Any = None, *, absent: str | None = None, **given: Any) -> Host:
    """Return the head (1) or a worker; seen is what look() made."""
    groups = ("head",) if number == 1 else ("workers",)
    return Host(NAMES[number], groups, settings(**given), None if absent else seen or look(number), absent)


def make(*hosts: Host) -> dict[str, Any]:
    return _plan.make_plan(hosts, CONTROLLERS, None, "head", "workers").as_dict()


def found(plan: dict[str, Any], severity: str = "error", without: str = "tls") -> list[tuple[str, str, str]]:
    """Return problems. without: a check that is left out, as nearly every plan here warns that it has no TLS."""
    told = [problem for problem in plan["problems"] if problem["severity"] == severity and problem["check"] != without]
    return [(problem["host"], problem["check"], problem["found"]) for problem in told]


def layout(plan: dict[str, Any]) -> tuple[int, int, dict[str, int]]:
    return plan["engine"]["tp"], plan["engine"]["pp"], plan["engine"]["gpus"]


def recorded(plan: dict[str, Any], serving: bool = True) -> dict[str, Any]:
    """Return the changes of the head's look after a run with this plan."""
    return {
        "host_record": plan["record"],
        "engine_serving": serving and plan["serve_host"] == "gpu01",
    }


# --- What an inventory says by itself ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("second", "given"),
    [
        pytest.param(None, {}, id="one host"),
        pytest.param(look(2, 4), {"tls": "own", "tls_names": ["llm.example.org"]}, id="hosts that differ, TLS"),
    ],
)
def test_a_plan_that_a_task_returned_is_read_in_full(second: Any, given: dict[str, Any]) -> None:
    hosts = [host(1, look(1, 2), **given), *([host(2, second, **given)] if second else [])]
    plan = _plan.make_plan(hosts, CONTROLLERS, None, "head", "workers", rotate="2026-11-29T16:40:12Z")
    assert plan.whole
    assert Plan.from_dict(json.loads(json.dumps(plan.as_dict()))).as_dict() == plan.as_dict()
    assert Plan.from_dict(plan.as_dict()) == plan


def test_no_head() -> None:
    plan = make(host(2), host(3))
    assert set(plan) == {"problems"}
    assert found(plan) == [("-", "inventory", "0 hosts in the group head")]
    assert "vllm_ray_head_group" in plan["problems"][0]["fix"]


def test_two_heads() -> None:
    second = Host("gpu02", ("head",), settings(), look(2))
    assert found(make(host(1), second)) == [("-", "inventory", "2 hosts in the group head: gpu01, gpu02")]


def test_a_host_in_both_groups() -> None:
    both = Host("gpu01", ("head", "workers"), settings(), look(1))
    assert found(make(both, host(2))) == [("gpu01", "inventory", "in head and in workers")]


@pytest.mark.parametrize("name", ["model", "cluster", "scope", "accelerator"])
def test_what_all_hosts_must_agree_on(name: str) -> None:
    values = {"model": "/srv/x", "cluster": "b", "scope": "user", "accelerator": "cpu"}
    errors = found(make(host(1), host(2, None, **{name: values[name]})))
    assert ("-", "inventory") in [error[:2] for error in errors]
    assert f"vllm_ray_{name}: " in errors[0][2] and f"{values[name]} on gpu02" in errors[0][2]


def test_one_address_twice() -> None:
    double = look(2)
    double["network"]["cluster_nic"]["address"] = "192.0.2.11"
    assert found(make(host(1), host(2, double))) == [
        ("gpu01", "address", "cluster address 192.0.2.11, also of gpu02"),
        ("gpu02", "address", "cluster address 192.0.2.11, also of gpu01"),
    ]


def test_an_unknown_serve_host() -> None:
    assert found(make(host(1, serve_host="gpu09"))) == [("-", "inventory", "serve host gpu09")]


# --- What was seen on hosts -------------------------------------------------------------------------------------------

NGINX = {"port": 8000, "address": "0.0.0.0", "pid": 7, "process": "nginx", "user": "root"}
UNSEEN = {"port": 6380, "address": "*", "pid": 0, "process": "", "user": ""}


@pytest.mark.parametrize(
    ("change", "given", "problem", "fix"),
    [
        pytest.param(
            {"usage_ports_taken": [NGINX]},
            {},
            ("port", "port 8000 is held by nginx (pid 7, user root)"),
            "stop it, or set vllm_ray_api_port",
            id="api-port",
        ),
        pytest.param(
            {"usage_ports_taken": [UNSEEN]},
            {},
            ("port", "port 6380 is held by a process (pid ?, user ?)"),
            "stop it, or set vllm_ray_node_manager_port",
            id="raylets-port-owner-not-seen",
        ),
        pytest.param(
            {"usage_ports_taken": [{**NGINX, "port": 9000}]},
            {"serve_args": {"port": 9000}},
            ("port", "port 9000 is held by nginx (pid 7, user root)"),
            "stop it, or set vllm_ray_api_port",
            id="api-port-of-serve-args",
        ),
        pytest.param(
            {"network_cluster_nic": None},
            {"nic": "ib0"},
            ("address", "addresses: eno1 192.0.2.11"),
            "set vllm_ray_nic or vllm_ray_address",
            id="no-such-nic",
        ),
        pytest.param(
            {"host_pid1": "tini"},
            {},
            ("systemd", "PID 1 is tini"),
            "set vllm_ray_scope=user for hosts without systemd",
            id="no-systemd",
        ),
        pytest.param(
            {},
            {"gpus": [0, 5]},
            ("gpu", "the host has no GPU 5, only 0"),
            "correct vllm_ray_gpus, or find out with nvidia-smi why the GPU is missing",
            id="no-such-gpu",
        ),
        pytest.param(
            {},
            {"state_root": "/a/very/long/path/for/the/state/of/rays"},
            ("path", "/a/very/long/path/for/the/state/of/rays/default/ray has 51 bytes"),
            "shorten vllm_ray_state_root or vllm_ray_cluster: 12 bytes too many",
            id="sockets-too-long",
        ),
        pytest.param(
            {"host_present": []},
            {},
            ("model", "/srv/demo is not a directory on the controller"),
            "correct vllm_ray_model; a path is looked up on the hosts first, then on the controller",
            id="no-model",
        ),
    ],
)
def test_errors_of_a_host(change: dict[str, Any], given: dict[str, Any], problem: tuple[str, str], fix: str) -> None:
    plan = make(host(1, look(1, **change), **given))
    errors = [entry for entry in plan["problems"] if entry["severity"] == "error"]
    assert [(entry["check"], entry["found"], entry["fix"]) for entry in errors] == [(*problem, fix)]


@pytest.mark.parametrize(
    ("change", "given", "problem"),
    [
        pytest.param({"network_peers_without_route": ["gpu09"]}, {}, ("route", "no route to gpu09"), id="route"),
        pytest.param(
            {"usage_foreign_ray": [{"pid": 9, "process": "raylet", "user": "joe"}]},
            {},
            ("ray", "a Ray of joe that this collection did not start: raylet 9"),
            id="foreign-ray",
        ),
        pytest.param({"host_os": {"id": "fedora", "version": "44"}}, {}, ("os", "fedora 44"), id="distribution"),
        pytest.param({"host_os": {"id": "debian", "version": ""}}, {}, ("os", "debian "), id="debian-unstable"),
        pytest.param(
            {},
            {"env": {"NCCL_SOCKET_IFNAME": "eno1"}},
            ("env", "vllm_ray_env: NCCL_SOCKET_IFNAME overrides the cluster NIC of each host"),
            id="environment",
        ),
    ],
)
def test_warnings_of_a_host(change: dict[str, Any], given: dict[str, Any], problem: tuple[str, str]) -> None:
    plan = make(host(1, look(1, **change), **given))
    assert found(plan) == []
    assert [entry[1:] for entry in found(plan, "warning")] == [problem]


@pytest.mark.parametrize(
    ("given", "addresses"),
    [
        ({}, ["127.0.0.1"]),
        # Also those by which only the host itself asks.
        ({"api_host": "0.0.0.0"}, ["192.0.2.11"]),
        ({"api_host": "198.51.100.9", "dashboard_host": "::"}, ["192.0.2.11"]),
        ({"api_host": "198.51.100.9"}, ["198.51.100.9", "127.0.0.1"]),
        ({"api_host": "localhost"}, ["127.0.0.1"]),
        # Which address a name is, only the host knows.
        ({"api_host": "gpu01"}, ["192.0.2.11"]),
    ],
)
def test_a_host_asks_its_own_services_by_the_addresses_that_they_bind(
    given: dict[str, Any], addresses: list[str]
) -> None:
    assert make(host(1, **given))["hosts"]["gpu01"]["own_addresses"] == addresses


def test_an_account_that_can_not_write_the_state_stops_the_plan() -> None:
    plan = make(host(1, look(1, host_state_owner="vllm-ray"), cluster="b"))
    assert [(name, check) for name, check, _found in found(plan)] == [("gpu01", "account")]


def test_a_port_that_only_a_head_uses_may_be_taken_on_a_worker() -> None:
    taken = look(2, usage_ports_taken=[{**NGINX, "port": 6379}, NGINX])
    assert found(make(host(1), host(2, taken))) == []


# --- The layout -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gpus", "args", "wanted", "executor"),
    [
        pytest.param((1,), {}, (1, 1, {"gpu01": 1}), "mp", id="one-gpu"),
        pytest.param((2, 2), {}, (2, 2, {"gpu01": 2, "gpu02": 2}), "ray", id="two-by-two"),
        pytest.param((1, 1, 1), {TP: 2}, (2, 1, {"gpu01": 1, "gpu02": 1}), "ray", id="tp-2-on-three"),
        pytest.param((4, 4), {"tensor_parallel_size": 2, PP: 1}, (2, 1, {"gpu01": 2}), "mp", id="both-sizes"),
        pytest.param((4, 2), {}, (2, 3, {"gpu01": 4, "gpu02": 2}), "ray", id="mixed-hosts"),
        pytest.param((0, 2), {}, (2, 1, {"gpu02": 2}), "mp", id="a-head-without-gpus"),
    ],
)
def test_a_first_layout(
    gpus: tuple[int, ...], args: dict[str, Any], wanted: tuple[int, int, dict[str, int]], executor: str
) -> None:
    given: dict[str, Any] = {"accelerator": "cuda", "serve_args": args}
    plan = make(*(host(number, look(number, count), **given) for number, count in enumerate(gpus, 1)))
    assert found(plan) == []
    assert layout(plan) == wanted
    assert plan["engine"]["executor"] == executor


def test_cpu_hosts_count_as_one_gpu() -> None:
    plan = make(host(1, look(1, 0)), host(2, look(2, 0)))
    assert plan["accelerator"] == "cpu"
    assert layout(plan) == (1, 2, {"gpu01": 1, "gpu02": 1})


def test_more_gpus_than_on_offer() -> None:
    plan = make(host(1, serve_args={TP: 2, PP: 2}), host(2))
    assert found(plan) == [("-", "layout", "TP=2 x PP=2 needs 4 GPUs and 2 are available (gpu01 1, gpu02 1)")]
    assert "engine" not in plan


def test_an_engine_on_one_host_leaves_the_other_gpus_to_ray() -> None:
    plan = make(host(1, look(1, 4), serve_args={TP: 2, PP: 1}))
    part = plan["hosts"]["gpu01"]
    assert (part["engine_gpus"], part["ray_gpus"], part["gpus"]) == ([0, 1], [2, 3], 4)


def test_an_engine_over_hosts_gets_its_gpus_and_ray_is_offered_no_others() -> None:
    plan = make(host(1, look(1, 3), serve_args={TP: 2}), host(2, look(2, 2)))
    assert plan["hosts"]["gpu01"]["ray_gpus"] == plan["hosts"]["gpu01"]["engine_gpus"] == [0, 1]
    assert plan["engine"]["wanted"] == {"192.0.2.11": 2, "192.0.2.12": 2}


def test_only_the_gpus_that_the_user_gives() -> None:
    plan = make(host(1, look(1, 4), gpus=[1, 3]))
    assert layout(plan) == (2, 1, {"gpu01": 2})
    assert plan["hosts"]["gpu01"]["engine_gpus"] == [1, 3]


# --- What serves is state ---------------------------------------------------------------------------------------------


def serving(*hosts: int, **change: Any) -> dict[str, Any]:
    """Return the head's look where an engine serves that was planned for these hosts."""
    before = make(*(host(number) for number in hosts))
    return look(1, **{**recorded(before), **change})


def test_the_same_run_again_keeps_everything() -> None:
    plan = make(host(1, serving(1, 2)), host(2))
    assert (plan["serving"], plan["engine"]["kept"], plan["engine"]["notes"]) == (True, True, [])
    assert plan["record"] == make(host(1), host(2))["record"]
    assert not any(part["may_stop"] for part in plan["hosts"].values())


def test_a_cluster_that_an_earlier_release_deployed_is_taken_over(fixtures: Path) -> None:
    old = json.loads((fixtures / "record" / "unversioned.json").read_text(encoding="utf-8"))
    given = {"serve_host": "gpu02", "api_host": "0.0.0.0"}
    looks = {number: look(number, 2, usage_ray_gpus=2) for number in (1, 2, 3)}
    looks[1]["host"]["record"] = old
    looks[2]["engine"].update(serving=True, state="serves", url="http://192.0.2.12:8000", model="demo")
    plan = make(*(host(number, seen, **given) for number, seen in looks.items()))
    assert found(plan) == []
    assert (plan["serving"], plan["serve_host"], plan["news"]) == (True, "gpu02", "")
    assert (plan["engine"]["kept"], plan["engine"]["notes"]) == (True, [])
    assert not any(part["may_stop"] for part in plan["hosts"].values())
    assert plan["record"] == {"version": 1, **old}


@pytest.mark.parametrize("content", [{"version": 2}, {"hosts": None}])
def test_without_a_record_that_can_be_used_nothing_is_planned(content: dict[str, Any]) -> None:
    plan = make(host(1, look(1, host_record=content, engine_serving=True)), host(2))
    assert "engine" not in plan and "hosts" not in plan
    [(name, check, text)] = found(plan)
    assert (name, check) == ("gpu01", "record")
    assert text.startswith("/etc/vllm-ray/default/record.json ")


def test_a_lost_record_changes_no_layout() -> None:
    runs: dict[str, Any] = {"serving": True, "tp": 1, "pp": 2, "executor": "ray", "url": "", "model": ""}
    head = look(1, usage_ray_gpus=1, **{f"engine_{key}": value for key, value in runs.items()})
    others = [host(number, look(number, usage_ray_gpus=offer)) for number, offer in ((2, 1), (3, 0))]
    plan = make(host(1, head), *others)
    assert layout(plan) == (1, 2, {"gpu01": 1, "gpu02": 1})
    assert (plan["engine"]["kept"], plan["serve_host"]) == (True, "gpu01")
    assert [part["may_stop"] for part in plan["hosts"].values()] == [False, False, True]


def test_one_more_host_changes_no_layout() -> None:
    plan = make(host(1, serving(1, 2)), host(2), host(3))
    assert layout(plan) == (1, 2, {"gpu01": 1, "gpu02": 1})
    assert plan["engine"]["notes"] == [
        "gpu03 joins, unused by the engine",
        "the engine keeps TP=1 PP=2; -e vllm_ray_relayout=true would give TP=1 PP=3",
    ]
    assert plan["engine"]["unused"] == {"192.0.2.13": 0}
    assert [part["may_stop"] for part in plan["hosts"].values()] == [False, False, True]


def test_relayout_waits_for_consent() -> None:
    wish: dict[str, Any] = {"relayout": True}
    plan = make(host(1, serving(1, 2), **wish), host(2, **wish), host(3, **wish))
    assert layout(plan)[:2] == (1, 2)
    assert plan["engine"]["notes"][0] == (
        "the layout would change to TP=1 PP=3 (vllm_ray_relayout is set), which stops the engine: "
        "-e vllm_ray_restart=true"
    )


def test_relayout_with_consent() -> None:
    wish: dict[str, Any] = {"relayout": True, "restart": True}
    plan = make(host(1, serving(1, 2), **wish), host(2, **wish), host(3, **wish))
    assert layout(plan) == (1, 3, {"gpu01": 1, "gpu02": 1, "gpu03": 1})
    assert all(part["may_stop"] for part in plan["hosts"].values())


def test_relayout_of_an_engine_that_does_not_serve_needs_no_consent() -> None:
    plan = make(
        host(1, serving(1, 2, engine_serving=False), relayout=True), host(2, relayout=True), host(3, relayout=True)
    )
    assert layout(plan)[:2] == (1, 3)


def test_a_size_that_the_user_sets_waits_for_consent_too() -> None:
    plan = make(host(1, serving(1, 2), serve_args={TP: 2}), host(2))
    assert layout(plan)[:2] == (1, 2)
    assert "tensor-parallel-size is set to 2" in plan["engine"]["notes"][0]
    plan = make(host(1, serving(1, 2), serve_args={TP: 2}, restart=True), host(2, restart=True))
    assert layout(plan)[:2] == (2, 1)


def test_the_serve_host_does_not_move_without_consent() -> None:
    plan = make(host(1, serving(1, 2), serve_host="gpu02"), host(2, serve_host="gpu02"))
    assert plan["serve_host"] == "gpu01"
    assert plan["engine"]["notes"][0] == (
        "the serve host would change to gpu02, which stops the engine: -e vllm_ray_restart=true"
    )
    wish: dict[str, Any] = {"serve_host": "gpu02", "restart": True}
    plan = make(host(1, serving(1, 2), **wish), host(2, **wish))
    assert plan["serve_host"] == "gpu02"


def test_a_head_without_gpus_keeps_its_layout() -> None:
    given: dict[str, Any] = {"accelerator": "cuda"}
    before = make(host(1, look(1, 0), **given), host(2, look(2, 2), **given))
    plan = make(host(1, look(1, 0, **recorded(before)), **given), host(2, look(2, 2), **given))
    assert plan["engine"]["kept"] is True
    assert not any("would change" in note for note in plan["engine"]["notes"])


# --- Hosts that left the inventory ------------------------------------------------------------------------------------

RENEWAL = "gives all other hosts a new token for Ray and removes its firewall rules on them"
THIRD = {"address": "192.0.2.13", "nic": "eno3", "mtu": 1500, "gpus": 1}


def settings_of(used: tuple[str, ...]) -> dict[str, Any]:
    return {"serve_args": {PP: len(used)}} if len(used) < 3 else {}


def without(*names: str, **change: Any) -> list[Host]:
    """Return gpu01 and gpu02 after a run with gpu03, whose line is gone. names: of those that its engine used.

    change: consent and the like of all hosts; down: whether its engine is; limit: whether gpu02 is left out.
    """
    down, limit = change.pop("down", False), change.pop("limit", False)
    args = settings_of(names)
    before = make(*(host(number, **args) for number in (1, 2, 3)))
    assert (found(before), [*before["engine"]["gpus"]]) == ([], [*names])
    head = look(1, **recorded(before, serving=not down))
    second = replace(host(2, **args, **change), limited=limit)
    return [host(1, head, **args, **change), second]


ALL = ("gpu01", "gpu02", "gpu03")


def inventory(plan: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    return [(p["host"], p["severity"], p["found"], p["fix"]) for p in plan["problems"] if p["check"] == "inventory"]


@pytest.mark.parametrize(
    ("used", "then"),
    [(ALL, "plans the engine without it"), (("gpu01", "gpu02"), "starts the engine again")],
    ids=["used", "idle"],
)
def test_without_consent_a_host_that_left_stays_in_the_cluster(used: tuple[str, ...], then: str) -> None:
    plan = make(*without(*used))
    told = "it left the inventory, and stays in the cluster until the engine may be stopped"
    fix = f"add it to the inventory again, or run with -e vllm_ray_restart=true: that {RENEWAL}, and {then}"
    assert inventory(plan) == [("gpu03", "warning", told, fix)]
    assert (found(plan), plan["leaving"], plan["held"]) == ([], [], {"gpu03": ["it left the inventory"]})
    assert not any(part["may_stop"] for part in plan["hosts"].values())
    assert ([*plan["engine"]["gpus"]], plan["engine"]["kept"]) == ([*used], True)
    # A peer of the others' firewalls as before, and a host of the record; but nobody waits for its node.
    assert plan["peers"] == {"gpu01": "192.0.2.11", "gpu02": "192.0.2.12", "gpu03": "192.0.2.13"}
    assert plan["record"]["hosts"]["gpu03"] == THIRD
    assert plan["engine"]["wanted"] == {"192.0.2.11": 1, "192.0.2.12": 1}
    assert [member["name"] for member in plan["members"]] == ["gpu01", "gpu02"]
    # Nothing differs from what the run before has left.
    before = without(*used)[0].look
    assert before is not None
    assert plan["record"] == before["host"]["record"]


@pytest.mark.parametrize("change", [{"restart": True}, {"down": True}, {"down": True, "restart": True}])
@pytest.mark.parametrize("used", [ALL, ("gpu01", "gpu02")], ids=["used", "idle"])
def test_where_the_engine_may_stop_the_run_parts_with_it(used: tuple[str, ...], change: dict[str, Any]) -> None:
    plan = make(*without(*used, **change))
    units = " ".join(_host.unit_names("default"))
    told = (f"it left the inventory: this run {RENEWAL}", f"on gpu03: systemctl disable --now {units}")
    assert inventory(plan) == [("gpu03", "info", *told)]
    assert (found(plan), plan["leaving"], plan["held"]) == ([], ["gpu03"], {})
    assert all(part["may_stop"] for part in plan["hosts"].values())
    assert layout(plan) == (1, 2, {"gpu01": 1, "gpu02": 1})
    assert plan["peers"] == {"gpu01": "192.0.2.11", "gpu02": "192.0.2.12"}
    assert "192.0.2.13" not in plan["names"]
    # Forgotten when all others have the new token, so that a run which ends before is taken up again.
    assert plan["record"]["hosts"]["gpu03"] == THIRD
    again = make(host(1, look(1, host_record=plan["record"]), **settings_of(used)), host(2, **settings_of(used)))
    assert again["leaving"] == ["gpu03"]


@pytest.mark.parametrize("change", [{"restart": True}, {"down": True}])
def test_a_run_that_leaves_out_a_member_parts_with_nobody(change: dict[str, Any]) -> None:
    """It would keep the old token, and be shut out itself."""
    plan = make(*without(*ALL, limit=True, **change))
    told = (
        "it left the inventory, and --limit leaves out gpu02",
        "run without --limit, or add it to the inventory again",
    )
    assert inventory(plan) == [("gpu03", "error", *told)]
    assert (plan["leaving"], "gpu03" in plan["peers"], plan["engine"]["kept"]) == ([], True, True)


def test_with_limit_and_without_consent_nothing_changes_either() -> None:
    plan = make(*without(*ALL, limit=True))
    assert ([entry[:2] for entry in inventory(plan)], found(plan)) == ([("gpu03", "warning")], [])


def test_a_run_that_does_not_go_on_to_the_nodes_parts_with_nobody() -> None:
    """As --tags firewall, and sync_model.yml: they would take away the rules and leave it the token."""
    plan: Any = _plan.make_plan(
        without(*ALL, restart=True), CONTROLLERS, None, "head", "workers", nodes=False
    ).as_dict()
    assert [entry[:2] for entry in inventory(plan)] == [("gpu03", "warning")]
    assert (found(plan), plan["leaving"], "gpu03" in plan["peers"]) == ([], [], True)
    assert [*plan["engine"]["gpus"]] == [*ALL]


def test_a_member_that_does_not_answer_gets_the_new_token_later() -> None:
    """It is not used. Until a run reaches it, its node is shut out as the one of the host that left."""
    before = make(*(host(number, serve_args={TP: 1, PP: 1}) for number in (1, 2, 3)))
    given: dict[str, Any] = {"serve_args": {TP: 1, PP: 1}, "restart": True, "absent_ok": True}
    plan = make(host(1, look(1, **recorded(before)), **given), host(2, absent="timed out", **given))
    assert (found(plan), plan["leaving"]) == ([], ["gpu03"])
    assert ("gpu02", "reach", "timed out") in found(plan, "warning")


def test_several_hosts_leave_at_once() -> None:
    before = make(*(host(number) for number in (1, 2, 3)))
    plan = make(host(1, look(1, **recorded(before)), restart=True))
    assert (found(plan), plan["leaving"]) == ([], ["gpu02", "gpu03"])
    assert (layout(plan), plan["peers"]) == ((1, 1, {"gpu01": 1}), {"gpu01": "192.0.2.11"})
    plan = make(host(1, look(1, **recorded(before))))
    assert plan["held"] == {name: ["it left the inventory"] for name in ("gpu02", "gpu03")}


def test_a_serve_host_that_left_may_serve_and_needs_consent() -> None:
    """Nobody can ask its engine, and nothing of it can be kept by a run that does not reach it."""
    head, _server = elsewhere()
    plan = make(host(1, head), host(3))
    assert (plan["serving"], "engine" in plan) == (None, False)
    told = ("gpu02", "inventory", "the engine runs there, but the host is no longer in the inventory")
    assert told in found(plan)
    plan = make(host(1, head, restart=True), host(3, restart=True))
    assert (found(plan), plan["leaving"], plan["serve_host"]) == ([], ["gpu02"], "gpu01")
    assert layout(plan) == (1, 2, {"gpu01": 1, "gpu03": 1})


def test_sizes_that_the_hosts_which_remain_do_not_have_are_an_error() -> None:
    before = make(*(host(number) for number in (1, 2, 3)))
    given: dict[str, Any] = {"restart": True, "serve_args": {PP: 3}}
    plan = make(host(1, look(1, **recorded(before)), **given), host(2, **given))
    assert found(plan) == [("-", "layout", "TP=1 x PP=3 needs 3 GPUs and 2 are available (gpu01 1, gpu02 1)")]


def test_layers_of_a_host_that_left_are_kept_with_it() -> None:
    plan = make(*without(*ALL))
    record = {**plan["record"], "engine": {**plan["record"]["engine"], "layers": {name: [9] for name in ALL}}}
    plan = make(host(1, look(1, host_record=record, engine_serving=True)), host(2))
    assert plan["engine"]["layers"] == {f"192.0.2.1{number}": [9] for number in (1, 2, 3)}


# --- Hosts that were not looked at ------------------------------------------------------------------------------------


def test_a_host_that_the_engine_uses_does_not_answer() -> None:
    plan = make(host(1, serving(1, 2)), host(2, absent="No route to host", absent_ok=True))
    assert found(plan) == [("gpu02", "reach", "No route to host")]
    assert plan["peers"] == {"gpu01": "192.0.2.11", "gpu02": "192.0.2.12"}


def test_a_host_that_nothing_uses_does_not_answer() -> None:
    before = make(host(1, serving(1, 2)), host(2), host(3))
    head = look(1, **recorded(before))
    gone = "Connection refused"
    plan = make(host(1, head), host(2), host(3, absent=gone))
    assert found(plan) == [("gpu03", "reach", gone)]
    assert "vllm_ray_absent_ok=true" in plan["problems"][0]["fix"]
    plan = make(host(1, head), host(2), host(3, absent=gone, absent_ok=True))
    assert (found(plan), found(plan, "warning")) == ([], [("gpu03", "reach", gone)])
    # Its address is known, so the others keep their rules for it; no play goes there.
    assert plan["peers"]["gpu03"] == "192.0.2.13"
    assert [member["name"] for member in plan["members"]] == ["gpu01", "gpu02"]


def test_a_new_host_that_does_not_answer_is_left_out() -> None:
    plan = make(host(1), host(2, absent="timed out", absent_ok=True))
    assert found(plan) == []
    assert layout(plan) == (1, 1, {"gpu01": 1})
    assert plan["peers"] == {"gpu01": "192.0.2.11"}


def test_a_relayout_passes_over_a_host_that_may_be_absent() -> None:
    before = make(host(1), host(2), host(3))
    given: dict[str, Any] = {"absent_ok": True}
    head = look(1, host_record={**before["record"], "engine": None})
    plan = make(host(1, head, **given), host(2, **given), host(3, absent="timed out", **given))
    assert found(plan) == []
    assert layout(plan) == (1, 2, {"gpu01": 1, "gpu02": 1})


def limited(number: int, **given: Any) -> Host:
    return Host(NAMES[number], ("workers",), settings(**given), None, "left out by --limit", limited=True)


def test_a_host_that_limit_leaves_out_stays_in_the_plan() -> None:
    plan = make(host(1, serving(1, 2)), limited(2))
    assert (found(plan), found(plan, "info")) == ([], [("gpu02", "reach", "left out by --limit")])
    assert layout(plan) == (1, 2, {"gpu01": 1, "gpu02": 1})
    assert plan["engine"]["wanted"] == {"192.0.2.11": 1, "192.0.2.12": 1}
    assert plan["record"] == make(host(1), host(2))["record"]


# --- An unknown state never counts as "nothing serves" ----------------------------------------------------------------


def elsewhere(**given: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the looks at a head and a serve host of an engine that gpu02 serves, over three hosts with a fourth.

    given: settings of the run that laid it out.
    """
    first = make(*(host(number, serve_host="gpu02", **given) for number in (1, 2)), host(3, serve_host="gpu02"))
    assert (found(first), first["serve_host"], len(first["engine"]["gpus"])) == ([], "gpu02", 3)
    url: dict[str, Any] = {"engine_serving": True, "engine_url": "http://192.0.2.12:8000"}
    return look(1, host_record=first["record"]), look(2, usage_services={UNIT: "active"}, **url)


UNIT = _host.unit_names("default")[1]
# What --limit gpu03 leaves of the other two: the head and the serve host are probed by a task of gpu03.
APART: dict[str, Any] = {"serve_host": "gpu02"}


def limit_to_the_third(server: dict[str, Any] | None, **given: Any) -> dict[str, Any]:
    """Return the plan of a run with --limit gpu03. server: the probe of the serve host, None where it failed."""
    head, _server = elsewhere()
    absent = None if server else "No route to host"
    hosts = [
        replace(host(1, head, **APART, **given), limited=True),
        replace(host(2, server, absent=absent, **APART, **given), limited=True),
        host(3, **APART, **given),
    ]
    return make(*hosts)


@pytest.mark.parametrize("probed", [True, False], ids=["probed", "not to be probed"])
def test_a_serve_host_outside_of_limit_keeps_serving(probed: bool) -> None:
    plan = limit_to_the_third(elsewhere()[1] if probed else None)
    assert found(plan) == []
    assert plan["serving"] is (True if probed else None)
    assert not any(part["may_stop"] for part in plan["hosts"].values())
    assert (plan["serve_host"], plan["engine"]["kept"], plan["news"]) == ("gpu02", True, "")
    assert not plan["engine"]["needs_free"]
    assert [member["groups"] for member in plan["members"] if member["name"] == "gpu03"] == [["vllm_ray_planned"]]
    unknown = [("gpu02", "reach", "its engine may serve, but the host could not be probed: No route to host")]
    assert found(plan, "warning") == ([] if probed else unknown)


def test_with_consent_what_may_serve_may_be_stopped() -> None:
    plan = limit_to_the_third(None, restart=True)
    assert plan["serving"] is None
    assert all(part["may_stop"] for part in plan["hosts"].values())
    # Nothing is sent over a network that an engine may use, and no GPU has to be free.
    assert (plan["news"], plan["engine"]["needs_free"]) == ("", False)


def test_an_engine_does_not_move_from_a_host_that_this_run_can_not_stop_it_on() -> None:
    head, server = elsewhere()
    stopped = {**server, "engine": {"serving": False, "why": "Connection refused", "url": "http://192.0.2.12:8000"}}
    hosts = [host(1, head), replace(host(2, stopped), limited=True), host(3)]
    plan = make(*hosts)
    assert (plan["serving"], plan["serve_host"]) == (False, "gpu02")
    note = "the serve host would change to gpu01, once a run without --limit reaches gpu02"
    assert plan["engine"]["notes"][0] == note
    assert make(*(replace(one, limited=False) for one in hosts))["serve_host"] == "gpu01"


def test_an_engine_that_can_not_be_asked_counts_as_serving() -> None:
    head, server = elsewhere()
    mute = {**server, "engine": {"serving": False, "why": "no engine here"}}
    plan = make(host(1, head, **APART), host(2, mute, **APART), host(3, **APART))
    assert plan["serving"] is None
    assert not any(part["may_stop"] for part in plan["hosts"].values())
    assert found(plan, "warning") == [
        ("gpu02", "reach", "the service of its engine is active, but the engine can't be asked: no engine here")
    ]


NODE = _host.unit_names("default")[0]
RUNS: dict[str, Any] = {"usage_services": {NODE: "active"}, "usage_ray_gpus": 1}


@pytest.mark.parametrize(
    "hosts",
    [
        pytest.param(lambda **given: [host(1, look(1, **RUNS), **given), limited(2, **given)], id="limit"),
        pytest.param(
            lambda **given: [host(1, **given), host(2, look(2, **RUNS), **given)],
            id="a head unknown to nodes",
        ),
    ],
)
def test_without_its_record_an_engine_that_may_serve_is_an_error(hosts: Any) -> None:
    plan = make(*hosts())
    lost = ("-", "layout", "nodes of Ray run, and the head has no record of the engine that may use them")
    assert (lost in found(plan), plan["serving"]) == (True, None)
    assert "engine" not in plan
    assert found(make(*hosts(restart=True))) == []


def test_a_head_outside_of_limit_that_does_not_answer_is_no_matter_of_limit() -> None:
    plan = make(replace(host(1, absent="timed out"), limited=True), host(2))
    reach = [(p["severity"], p["found"], p["fix"]) for p in plan["problems"] if p["host"] == "gpu01"]
    assert reach == [("error", "timed out", "fix the connection")]


def test_an_engine_of_unknown_options_is_kept_by_the_record_or_not_at_all() -> None:
    mute: dict[str, Any] = {"serving": True, "state": "unknown", "why": "no record of its options"}
    head = look(1, **{**recorded(make(host(1), host(2))), **{f"engine_{key}": value for key, value in mute.items()}})
    plan = make(host(1, {**head, "usage": {**head["usage"], "services": {UNIT: "active"}}}), host(2))
    assert (plan["serving"], plan["engine"]["kept"], found(plan)) == (None, True, [])
    plan = make(host(1, {**head, "host": {**head["host"], "record": None}}), host(2))
    assert [(check, text.split(",")[0]) for _host, check, text in found(plan)] == [("layout", "nodes of Ray run")]


def test_a_head_that_does_not_answer_is_one_problem() -> None:
    plan = make(host(1, absent="timed out"), host(2, look(2, **RUNS)))
    assert (found(plan), plan["serving"]) == ([("gpu01", "reach", "timed out")], None)


def test_a_lost_record_of_ranks_that_were_not_probed_is_an_error() -> None:
    runs: dict[str, Any] = {"serving": True, "tp": 1, "pp": 2, "executor": "ray", "url": "", "model": ""}
    head = look(1, usage_ray_gpus=1, **{f"engine_{key}": value for key, value in runs.items()})
    plan = make(host(1, head), limited(2))
    lost = "the record of the last run is lost, and TP=1 PP=2 has ranks on hosts that this run can't probe"
    assert ("-", "layout", lost) in found(plan)
    assert "engine" not in plan


def test_a_plan_with_errors_says_whether_an_engine_serves() -> None:
    """Otherwise preflight.yml would send transfers over its network."""
    plan = make(host(1, serving(1, 2), serve_args={PP: 9}, restart=True), host(2, restart=True))
    assert ("engine" in plan, plan["serving"]) == (False, True)


@pytest.mark.parametrize("name", ["restart", "relayout"])
def test_consent_is_one_decision_of_the_cluster(name: str) -> None:
    given: dict[str, Any] = {name: True}
    plan = make(host(1, serving(1, 2)), host(2, None, **given))
    assert found(plan) == [("-", "inventory", f"vllm_ray_{name}: False on gpu01, True on gpu02")]
    assert not any(part["may_stop"] for part in plan["hosts"].values())


def test_roles_ask_the_heads_own_ray() -> None:
    """From any host: hosts may have other ports, directories and homes."""
    own: dict[str, Any] = {"dashboard_port": 8266, "gcs_port": 6400, "config_root": "/srv/etc"}
    plan = make(host(1, **own), host(2))
    assert plan["ray"] == {
        "gcs_port": 6400,
        "dashboard_url": "http://127.0.0.1:8266",
        "config_dir": "/srv/etc/default",
        "token_file": "/srv/etc/default/ray.token",
    }
    homes = [look(number, host_home=f"/home/{name}") for number, name in ((1, "ann"), (2, "bob"))]
    plan = make(*(host(number, seen, scope="user") for number, seen in enumerate(homes, 1)))
    assert plan["ray"]["token_file"] == "/home/ann/.vllm-ray/etc/default/ray.token"


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(limited(2), id="limited"),
        pytest.param(host(2, absent="timed out", absent_ok=True), id="absent"),
    ],
)
def test_nothing_can_be_planned_without_the_serve_host(second: Host) -> None:
    plan = make(host(1, serve_host="gpu02"), second)
    assert "engine" not in plan
    assert found(plan) == [("gpu02", "reach", second.absent)]


# --- What roles get ---------------------------------------------------------------------------------------------------


def test_the_endpoint_and_who_may_reach_it() -> None:
    plan = make(host(1), host(2))
    assert plan["engine"]["endpoint"] == {
        "host": "192.0.2.11",
        "port": 8000,
        "url": "http://192.0.2.11:8000",
        "model": "demo",
    }
    assert plan["api_clients"] == ["192.0.2.1"]
    assert plan["names"] == {"192.0.2.11": "gpu01", "192.0.2.12": "gpu02"}


@pytest.mark.parametrize(
    ("given", "endpoint"),
    [
        pytest.param({"api_host": "0.0.0.0"}, ("0.0.0.0", "http://192.0.2.11:8000", "demo"), id="all-addresses"),
        pytest.param({"api_host": "127.0.0.1"}, ("127.0.0.1", "http://127.0.0.1:8000", "demo"), id="loopback"),
        pytest.param({"api_port": 81}, ("192.0.2.11", "http://192.0.2.11:81", "demo"), id="port"),
        pytest.param({"serve_args": {"port": 82}}, ("192.0.2.11", "http://192.0.2.11:82", "demo"), id="port-of-args"),
        pytest.param(
            {"serve_args": {"served_model_name": ["a", "b"]}}, ("192.0.2.11", "http://192.0.2.11:8000", "a"), id="name"
        ),
    ],
)
def test_endpoints(given: dict[str, Any], endpoint: tuple[str, str, str]) -> None:
    made = make(host(1, **given))["engine"]["endpoint"]
    assert (made["host"], made["url"], made["model"]) == endpoint


def test_an_ipv6_endpoint() -> None:
    seen = look(1)
    seen["network"]["cluster_nic"]["address"] = "fd42::b"
    assert make(host(1, seen))["engine"]["endpoint"]["url"] == "http://[fd42::b]:8000"


def test_a_plan_has_no_canary() -> None:
    """Ansible shows and logs it. Every variable that may hold a secret has one."""
    planted = {name.removeprefix("vllm_ray_"): value for name, value in canaries.variables().items()}
    plan = make(host(1, look(1, 0), nccl_debug="INFO", **planted), host(2, look(2, 0), **planted))
    assert "engine" in plan
    assert canaries.PATTERN.findall(repr(plan).encode()) == []
    assert [plan["hosts"][name]["env"] for name in ("gpu01", "gpu02")] == [{"NCCL_DEBUG": "INFO"}, {}]


STARTING: dict[str, Any] = {"usage_services": {UNIT: "active"}, "engine_url": "http://192.0.2.12:8000"}


def test_gpus_need_not_be_free_while_any_engine_holds_them() -> None:
    assert make(host(1), host(2))["engine"]["needs_free"]
    # Also where it runs on a host that is to be retired.
    assert not make(host(1), host(2, look(2, **STARTING)))["engine"]["needs_free"]


def test_an_engine_that_runs_where_it_should_not_is_retired() -> None:
    plan = make(host(1), host(2, look(2, **STARTING)))
    assert {member["name"]: member["groups"] for member in plan["members"]} == {
        "gpu01": ["vllm_ray_planned", "vllm_ray_serving", "vllm_ray_unchecked"],
        "gpu02": ["vllm_ray_planned", "vllm_ray_retired", "vllm_ray_unchecked"],
    }


@pytest.mark.parametrize(
    ("given", "present", "controller_has", "wanted"),
    [
        pytest.param({}, ["/srv/demo"], False, ("host", "/srv/demo", "demo"), id="on-the-host"),
        pytest.param({}, [], True, ("controller", "/var/lib/vllm-ray/models/demo", "demo"), id="on-the-controller"),
        pytest.param(
            {"model": "Qwen/Qwen3-32B"},
            [],
            False,
            ("huggingface", "", "Qwen/Qwen3-32B"),
            id="a-hub",
        ),
        pytest.param(
            {"model": "Qwen/Qwen3-32B", "model_source": "modelscope"},
            [],
            False,
            ("modelscope", "", "Qwen/Qwen3-32B"),
            id="another-hub",
        ),
        pytest.param(
            {"model": "https://mirror.example/models/Qwen3-32B/"},
            [],
            False,
            ("mirror", "", "Qwen3-32B"),
            id="a-mirror",
        ),
    ],
)
def test_where_the_model_comes_from(
    given: dict[str, Any], present: list[str], controller_has: bool, wanted: tuple[str, str, str]
) -> None:
    hosts = [host(1, look(1, host_present=present), **given)]
    controller: Any = {"directory": "/srv/demo", "problem": None, "model": None} if controller_has else None
    plan: Any = _plan.make_plan(hosts, CONTROLLERS, controller, "head", "workers").as_dict()
    assert found(plan) == []
    assert (plan["model"]["source"], plan["model"]["path"], plan["model"]["name"]) == wanted


HUB = {"model": "meta-llama/Llama-3.3-70B"}
NOT_THERE: dict[str, Any] = {
    "directory": "",
    "pinned": False,
    "model": None,
    "problem": None,
    "code": [],
    "pickled": [],
    "files": None,
}
FACTS = {**NOT_THERE, "model": models.model("llama-3.3-70b").as_dict()}


@pytest.mark.parametrize(
    ("builder", "looks", "source"),
    [
        pytest.param("", [FACTS, NOT_THERE], "gpu01", id="the head downloads"),
        pytest.param("gpu02", [NOT_THERE, FACTS], "gpu02", id="the builder, which has a way to the hub"),
        pytest.param("gpu02", [{**FACTS, "pinned": True}, FACTS], "gpu01", id="who did it before another one built"),
        pytest.param("controller", [FACTS, NOT_THERE], "gpu01", id="the controller builds"),
        pytest.param("gpu02", [FACTS, None], "gpu02", id="a builder that limit leaves out"),
    ],
)
def test_who_downloads_from_a_hub(builder: str, looks: list[Any], source: str) -> None:
    given: dict[str, Any] = {**HUB, **({"release_builder": builder} if builder else {})}
    hosts = [
        host(number, {**look(number, 8), "model": model}, **given)
        if model
        else replace(host(number, absent="left out by --limit", **given), limited=True)
        for number, model in enumerate(looks, 1)
    ]
    model: Any = _plan.make_plan(hosts, CONTROLLERS, None, "head", "workers").as_dict()["model"]
    assert model["source_host"] == source
    assert model["trusted"] == ["gpu01", "gpu02" if builder == "gpu02" else "gpu01"]
    assert model["facts"] == FACTS["model"]


@pytest.mark.parametrize("builder", ["", "gpu02"])
def test_who_is_believed_about_a_model_does_not_follow_from_what_hosts_say(builder: str) -> None:
    """gpu03 alone says that it has the model: it may be the source, but it is not trusted."""
    given: dict[str, Any] = {**HUB, **({"release_builder": builder} if builder else {})}
    models_there = [NOT_THERE, NOT_THERE, {**FACTS, "pinned": True}]
    hosts = [host(number, {**look(number, 8), "model": one}, **given) for number, one in enumerate(models_there, 1)]
    model: Any = _plan.make_plan(hosts, CONTROLLERS, None, "head", "workers").as_dict()["model"]
    assert model["source_host"] == "gpu03"
    assert model["trusted"] == ["gpu01", builder or "gpu01"]


def test_a_builder_that_does_not_answer_downloads_nothing() -> None:
    given: dict[str, Any] = {**HUB, "release_builder": "gpu02", "absent_ok": True}
    plan = make(host(1, {**look(1, 8), "model": FACTS}, **given), host(2, absent="off", **given))
    assert plan["model"]["source_host"] == "gpu01"


def with_model(number: int, directory: str, free: int) -> dict[str, Any]:
    """Return a look at a host whose disk has so many bytes free. directory: where it has the model."""
    facts = models.model("llama-3.3-70b").as_dict() if number == 1 else None
    paths = ("/var/lib/vllm-ray/models", "/srv/demo")
    disks = [{"path": path, "size": free, "free": free, "filesystem": 1, "read_only": False} for path in paths]
    seen = look(number, 8, host_disks=disks, host_present=["/srv/demo"] if directory == "/srv/demo" else [])
    return {**seen, "model": {**NOT_THERE, "directory": directory, "model": facts}}


@pytest.mark.parametrize("where", ["/srv/demo", "/var/lib/vllm-ray/models/meta-llama--Llama-3.3-70B/1"])
def test_there_must_be_room_for_the_model_where_it_is_not(where: str) -> None:
    """131.4 GiB of it, and what a disk should have free besides."""
    given = {"model": "/srv/demo" if where == "/srv/demo" else "meta-llama/Llama-3.3-70B"}
    for free, problems in ((100, ["gpu02"]), (134, [])):
        # The first host has it, and little besides.
        plan = make(host(1, with_model(1, where, 3 * GIB), **given), host(2, with_model(2, "", free * GIB), **given))
        assert [p["host"] for p in plan["problems"] if p["check"] == "disk"] == problems
        assert all("at least 133.4 GiB" in p["wanted"] for p in plan["problems"] if p["check"] == "disk")


def held(number: int, model: str = "llama-3.1-8b", **change: Any) -> dict[str, Any]:
    """Return a look at a host with a GPU of which somebody else holds half. model: what it has at /srv/demo."""
    facts = models.model(model).as_dict()
    process = {"pid": 542, "kind": "C", "process": "python3", "mib": 70000, "user": "ann", "unit": "", "ours": False}
    seen = look(number, **change)
    seen["host"]["gpus"][0].update(used_mib=70100, processes=[process])
    return {**seen, "model": {**NOT_THERE, "directory": "/srv/demo", "model": facts}}


def gpu_problems(plan: dict[str, Any]) -> list[tuple[str, str]]:
    return [(p["check"], p["severity"]) for p in plan["problems"] if p["check"] in ("gpu_memory", "layout")]


def test_a_gpu_that_others_hold_is_one_problem() -> None:
    plan = make(host(1, held(1)))
    assert gpu_problems(plan) == [("gpu_memory", "error")]
    assert "pid 542, user ann" in found(plan)[0][2]


def test_a_model_that_would_not_fit_anyway_is_another() -> None:
    assert gpu_problems(make(host(1, held(1, "llama-3.3-70b")))) == [("gpu_memory", "error"), ("layout", "error")]


def test_without_the_check_of_gpus_the_layout_says_it() -> None:
    plan = make(host(1, held(1), checks_off=["gpu_memory"]))
    assert ("-", "layout", "a GPU of gpu01 has 71.3 GiB free, but vLLM needs 128.6") in found(plan)


def test_a_node_of_ours_is_no_engine_that_runs() -> None:
    node, serve = _host.unit_names("default")
    for state, severity in (("failed", "error"), ("active", "warning")):
        services = {node: "active", serve: state}
        record = {"engine": {"tp": 1, "pp": 1, "gpus": {"gpu01": 1}, "wish": "/srv/demo"}}
        seen = held(1, host_record=record, usage_services=services, engine_serving=state == "active")
        assert gpu_problems(make(host(1, seen))) == [("gpu_memory", severity)], state


@pytest.mark.parametrize(
    ("seen", "given", "wanted"),
    [
        # The controller takes itself for 192.0.2.1; behind NAT, that is another machine's address here.
        ({"host_client": "203.0.113.7"}, {}, ["203.0.113.7"]),
        ({"host_client": "2001:db8::7"}, {}, ["2001:db8::7"]),
        ({"host_client": "203.0.113.7"}, {"api_clients": ["198.51.100.0/24"]}, ["198.51.100.0/24"]),
        ({"host_client": "203.0.113.7"}, {"api_clients": []}, []),
        ({"host_client": "127.0.0.1"}, {}, []),
        ({"host_client": ""}, {}, ["192.0.2.1"]),
        ({"host_client": "fe80::1"}, {}, ["192.0.2.1"]),
        ({"host_client": "x; rm -rf /"}, {}, ["192.0.2.1"]),
    ],
)
def test_the_default_client_is_the_address_that_the_serve_host_sees(
    seen: dict[str, Any], given: dict[str, Any], wanted: list[str]
) -> None:
    assert make(host(1, look(1, **seen), **given), host(2))["api_clients"] == wanted


@pytest.mark.parametrize(
    ("given", "who"),
    [
        ({}, "the hosts of the cluster and 192.0.2.1"),
        ({"confine_allow": ["198.51.100.7"]}, "the hosts of the cluster and 192.0.2.1, 198.51.100.7"),
        ({"api_host": "0.0.0.0"}, "the hosts of the cluster and 192.0.2.1"),
        ({"firewall": "manage"}, None),
        ({"firewall": "rules"}, None),
        ({"api_clients": []}, None),
        ({"confine": ["files"]}, None),
        ({"confine_allow": ["any"]}, None),
        ({"api_host": "127.0.0.1"}, None),
        ({"api_host": "localhost"}, None),
        ({"scope": "user"}, None),
    ],
)
def test_clients_that_nobody_had_to_name_are_not_shut_out_without_a_word(
    given: dict[str, Any], who: str | None
) -> None:
    plan = make(host(1, **{"firewall": "off", "tls": "own", **given}))
    told = [p for p in plan["problems"] if p["found"].startswith("systemd")]
    assert [(p["host"], p["check"], p["severity"], p["found"], p["fix"]) for p in told] == (
        [
            (
                "gpu01",
                "firewall",
                "warning",
                f"systemd lets only {who} reach the API (vllm_ray_confine has network)",
                "set vllm_ray_api_clients, or remove network from vllm_ray_confine",
            )
        ]
        if who
        else []
    )


@pytest.mark.parametrize(
    ("args", "found_text"),
    [
        ({"data-parallel-size": 2}, "data-parallel-size is 2, which changes the GPUs"),
        ({"distributed-executor-backend": "mp"}, "distributed-executor-backend is mp, but the layout needs ray"),
    ],
)
def test_options_that_are_not_planned_end_the_run(args: dict[str, Any], found_text: str) -> None:
    plan = make(host(1, serve_args=args), host(2))
    (problem,) = [problem for problem in plan["problems"] if problem["check"] == "option"]
    assert problem["severity"] == "error" and found_text in problem["found"]


# --- What takes protection away ---------------------------------------------------------------------------------------


def protection(plan: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(p["host"], p["severity"], p["found"]) for p in plan["problems"] if p["check"] == "protection"]


def test_dangerous_settings_are_said_of_the_hosts_that_have_them() -> None:
    given: dict[str, Any] = {"serve_args": {"--allowed_media_domains": ["*"]}, "start_args": ["--dashboard-host=::"]}
    plan = make(host(1, look(1), **given), host(2, look(2), env={"VLLM_SERVER_DEV_MODE": 1}, **given))
    told = [(name, severity, text.split()[1]) for name, severity, text in protection(plan)]
    assert sorted(told) == [
        ("gpu01", "error", "--dashboard-host"),
        ("gpu01", "warning", "allowed-media-domains"),
        ("gpu02", "error", "--dashboard-host"),
        ("gpu02", "error", "VLLM_SERVER_DEV_MODE"),
    ]
    assert protection(make(host(1, look(1)))) == []


def test_what_a_model_brings_is_said_once() -> None:
    seen = [{**look(number), "model": {**FACTS, "code": ["a.py"], "pickled": ["a.bin"]}} for number in (1, 2)]
    given: dict[str, Any] = {"serve_args": {"trust-remote-code": True}}
    plan = make(host(1, seen[0], **given), host(2, seen[1], **given))
    code, pickled = (text for name, _severity, text in protection(plan) if name == "-")
    assert "a.py run on all hosts" in code
    assert "a.bin" in pickled
