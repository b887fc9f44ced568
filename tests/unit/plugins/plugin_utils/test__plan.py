# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan, from hosts to what roles get."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils import _host, _plan, _settings
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._host import Host
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


def host(number: int, seen: dict[str, Any] | None = None, *, absent: str | None = None, **given: Any) -> Host:
    """Return the head (1) or a worker; seen is what look() made."""
    groups = ("head",) if number == 1 else ("workers",)
    return Host(NAMES[number], groups, settings(**given), None if absent else seen or look(number), absent)


def make(*hosts: Host) -> dict[str, Any]:
    return _plan.make_plan(hosts, CONTROLLERS, {}, "head", "workers")


def found(plan: dict[str, Any], severity: str = "error") -> list[tuple[str, str, str]]:
    return [(p["host"], p["check"], p["found"]) for p in plan["problems"] if p["severity"] == severity]


def layout(plan: dict[str, Any]) -> tuple[int, int, dict[str, int]]:
    return plan["engine"]["tp"], plan["engine"]["pp"], plan["engine"]["gpus"]


def recorded(plan: dict[str, Any], serving: bool = True) -> dict[str, Any]:
    """Return the changes of the head's look after a run with this plan."""
    return {
        "host_record": plan["record"],
        "engine_serving": serving and plan["serve_host"] == "gpu01",
    }


# --- What an inventory says by itself ---------------------------------------------------------------------------------


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
        pytest.param({}, {"gpus": [0, 5]}, ("gpu", "GPUs [0]"), "correct vllm_ray_gpus", id="no-such-gpu"),
        pytest.param(
            {},
            {"state_root": "/a/very/long/path/for/the/state/of/rays"},
            ("path", "/a/very/long/path/for/the/state/of/rays/default/ray has 51 characters"),
            "set vllm_ray_state_root to a shorter path",
            id="sockets-too-long",
        ),
        pytest.param(
            {"host_present": []},
            {},
            ("model", "/srv/demo is no directory on the controller"),
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
            ("ray", "a Ray of joe that is not ours: raylet 9"),
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
    assert plan["engine"]["args"] == {"enforce-eager": True}


def test_more_gpus_than_on_offer() -> None:
    plan = make(host(1, serve_args={TP: 2, PP: 2}), host(2))
    assert found(plan) == [("-", "layout", "TP=2 x PP=2 needs 4 GPUs and 2 are on offer (gpu01 1, gpu02 1)")]
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


def test_a_host_that_serves_can_not_just_leave_the_inventory() -> None:
    plan = make(host(1, serving(1, 2)))
    assert found(plan) == [("gpu02", "layout", "the engine uses it, and the inventory has it no more")]
    assert "vllm_ray_restart=true" in plan["problems"][0]["fix"]
    plan = make(host(1, serving(1, 2), restart=True))
    assert found(plan) == []
    assert layout(plan) == (1, 1, {"gpu01": 1})


def test_a_head_without_gpus_keeps_its_layout() -> None:
    given: dict[str, Any] = {"accelerator": "cuda"}
    before = make(host(1, look(1, 0), **given), host(2, look(2, 2), **given))
    plan = make(host(1, look(1, 0, **recorded(before)), **given), host(2, look(2, 2), **given))
    assert plan["engine"]["kept"] is True
    assert not any("would change" in note for note in plan["engine"]["notes"])


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


def limited(number: int) -> Host:
    return Host(NAMES[number], ("workers",), settings(), None, "left out by --limit", limited=True)


def test_a_host_that_limit_leaves_out_stays_in_the_plan() -> None:
    plan = make(host(1, serving(1, 2)), limited(2))
    assert (found(plan), found(plan, "info")) == ([], [("gpu02", "reach", "left out by --limit")])
    assert layout(plan) == (1, 2, {"gpu01": 1, "gpu02": 1})
    assert plan["engine"]["wanted"] == {"192.0.2.11": 1, "192.0.2.12": 1}
    assert plan["record"] == make(host(1), host(2))["record"]


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


def test_the_environment_of_each_host_and_no_token() -> None:
    plan = make(
        host(1, look(1, 0), hf_token="hf_secret", env={"A": 1}, nccl_debug="INFO"), host(2, look(2, 0), env={"A": 2})
    )
    first, second = (plan["hosts"][name]["env"] for name in ("gpu01", "gpu02"))
    assert (first["A"], second["A"]) == ("1", "2")
    assert (first["NCCL_DEBUG"], "NCCL_DEBUG" in second) == ("INFO", False)
    assert first["VLLM_CPU_KVCACHE_SPACE"] == "1"
    assert "hf_secret" not in str(plan)


def test_gpus_need_not_be_free_while_any_engine_holds_them() -> None:
    unit = "vllm-ray-serve@default-main"
    assert make(host(1), host(2))["engine"]["needs_free"]
    # Also where it runs on a host that is to be retired.
    assert not make(host(1), host(2, look(2, usage_services={unit: "active"})))["engine"]["needs_free"]


def test_an_engine_that_runs_where_it_should_not_is_retired() -> None:
    unit = _host.unit_names("default")[1]
    plan = make(host(1), host(2, look(2, usage_services={unit: "active"})))
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
    controller = {"directory": "/srv/demo"} if controller_has else {}
    plan = _plan.make_plan(hosts, CONTROLLERS, controller, "head", "workers")
    assert found(plan) == []
    assert (plan["model"]["source"], plan["model"]["path"], plan["model"]["name"]) == wanted


HUB = {"model": "meta-llama/Llama-3.3-70B"}
NOT_THERE = {"directory": "", "pinned": False, "model": None, "problem": None, "files": None}
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
    model = _plan.make_plan(hosts, CONTROLLERS, {}, "head", "workers")["model"]
    assert model["source_host"] == source
    assert model["trusted"] == ["gpu01", "gpu02" if builder == "gpu02" else "gpu01"]
    assert model["facts"] == FACTS["model"]


@pytest.mark.parametrize("builder", ["", "gpu02"])
def test_who_is_believed_about_a_model_does_not_follow_from_what_hosts_say(builder: str) -> None:
    """gpu03 alone says that it has the model: it may be the source, but it is not trusted."""
    given: dict[str, Any] = {**HUB, **({"release_builder": builder} if builder else {})}
    models_there = [NOT_THERE, NOT_THERE, {**FACTS, "pinned": True}]
    hosts = [host(number, {**look(number, 8), "model": one}, **given) for number, one in enumerate(models_there, 1)]
    model = _plan.make_plan(hosts, CONTROLLERS, {}, "head", "workers")["model"]
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
    return {**seen, "model": {"directory": directory, "model": facts, "problem": None, "files": None}}


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
    return {**seen, "model": {"directory": "/srv/demo", "model": facts, "problem": None, "files": None}}


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
    assert ("-", "layout", "a GPU of gpu01 has 71.3 GiB free, and vLLM wants 128.6") in found(plan)


def test_a_node_of_ours_is_no_engine_that_runs() -> None:
    node, serve = _host.unit_names("default")
    for state, severity in (("failed", "error"), ("active", "warning")):
        services = {node: "active", serve: state}
        record = {"engine": {"tp": 1, "pp": 1, "gpus": {"gpu01": 1}, "wish": "/srv/demo"}}
        seen = held(1, host_record=record, usage_services=services, engine_serving=state == "active")
        assert gpu_problems(make(host(1, seen))) == [("gpu_memory", severity)], state
