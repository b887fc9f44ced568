# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the checks between hosts are made, what each host gets to do, and what comes of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine import _collective
from ansible_collections.vllm_ray.cluster.plugins.module_utils._net import _network
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _settings
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._host import Host
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._record import KnownHost, Nic
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._plans import _plan, _stages
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._plans._types import Whole
from ansible_collections.vllm_ray.cluster.tests.unit.looks import look

NAMES = ["h1", "h2"]
RELEASE = {"path": "/opt/vllm-ray/releases/a", "versions": {"vllm": "0.32.0"}}
RELEASES = dict.fromkeys(NAMES, RELEASE)


def planned(*gpus: int, changes: Any = (), **given: Any) -> Whole:
    """Return the plan of hosts with so many GPUs. changes: of the look at each."""
    settings = _settings.check("-", {"vllm_ray_model": "/srv/demo", **{f"vllm_ray_{k}": v for k, v in given.items()}})
    assert settings.problems == []
    changes = [*changes, *[{}] * len(gpus)]
    hosts = [
        Host(f"h{n}", ("head",) if n == 1 else ("workers",), settings.values, look(n, count, **changes[n - 1]))
        for n, count in enumerate(gpus, 1)
    ]
    plan = _plan.make_plan(hosts, [], None, "head", "workers").whole
    assert plan
    return plan


@pytest.fixture
def answers(fixtures: Path) -> Callable[[str], dict[str, Any]]:
    return lambda name: json.loads((fixtures / "network" / f"{name}.json").read_text(encoding="utf-8"))


# --- When -------------------------------------------------------------------------------------------------------------

NIC = Nic("192.0.2.11", "eno1", 1500)
KNOWN: dict[str, Nic] = {
    "h1": KnownHost("192.0.2.11", "eno1", 1500, 1),
    "h2": KnownHost("192.0.2.12", "eno1", 1500, 1),
}


@pytest.mark.parametrize(
    ("before", "now", "ranks", "serving", "why"),
    [
        pytest.param({}, KNOWN, 2, False, "nothing serves", id="the first run"),
        pytest.param(KNOWN, KNOWN, 2, False, "nothing serves", id="an engine that is down"),
        pytest.param(KNOWN, KNOWN, 2, True, "", id="it serves and nothing is new"),
        pytest.param(
            KNOWN,
            {**KNOWN, "h3": NIC},
            2,
            True,
            "new, or with another address, NIC or MTU: h3",
            id="a worker joins while it serves",
        ),
        pytest.param(
            KNOWN,
            {**KNOWN, "h2": replace(KNOWN["h2"], mtu=9000)},
            2,
            True,
            "new, or with another address, NIC or MTU: h2",
            id="another MTU while it serves",
        ),
        pytest.param(KNOWN, {"h1": NIC}, 1, True, "", id="a host that leaves"),
        pytest.param(KNOWN, KNOWN, 2, None, "", id="it is not known whether it serves"),
        pytest.param(
            KNOWN, {**KNOWN, "h3": NIC}, 2, None, "new, or with another address, NIC or MTU: h3", id="a worker joins"
        ),
        pytest.param({}, {"h1": NIC}, 1, False, "", id="one host with one GPU: nothing is between"),
        pytest.param({}, {"h1": NIC}, 4, False, "nothing serves", id="one host with four"),
    ],
)
def test_when_it_can_tell_something_new(before: Any, now: Any, ranks: int, serving: bool, why: str) -> None:
    assert _stages.news(before, now, ranks, serving) == why


def test_the_plan_groups_the_hosts_that_are_to_be_checked() -> None:
    first = planned(1, 1)
    assert first.news == "nothing serves"
    assert all("vllm_ray_unchecked" in groups for groups in first.groups.values())
    again = planned(1, 1, changes=[serving()])
    assert (again.outline.serving, again.news) == (True, "")
    assert not any("vllm_ray_unchecked" in groups for groups in again.groups.values())


# --- Which ranks ------------------------------------------------------------------------------------------------------


def test_ranks_have_the_engines_gpus() -> None:
    plan = planned(4, 4, gpus=[1, 3])
    assert _stages.ranks_of(plan) == {
        "h1": [{"rank": 0, "device": 0}, {"rank": 1, "device": 1}],
        "h2": [{"rank": 2, "device": 0}, {"rank": 3, "device": 1}],
    }
    arguments: Any = _stages.collective_arguments(plan, RELEASES, 24711, 16)
    assert [arguments[name]["environment"]["CUDA_VISIBLE_DEVICES"] for name in NAMES] == ["1,3", "1,3"]


def test_each_host_gets_its_own_values() -> None:
    plan = planned(1, 1, env={"NCCL_ALGO": "Ring"}, rdma_devices=["mlx5_0"])
    second: Any = _stages.collective_arguments(plan, RELEASES, 24711, 16)["h2"]
    environment = second.pop("environment")
    assert second == {
        "release": RELEASE["path"],
        "backend": "nccl",
        "ranks": [{"rank": 1, "device": 0}],
        "world": 2,
        "master": "192.0.2.11",
        "port": 24711,
        "seconds": _stages.SECONDS,
        "user": "vllm-ray",
    }
    wanted = {"GLOO_SOCKET_IFNAME": "eno2", "NCCL_SOCKET_IFNAME": "eno2", "NCCL_ALGO": "Ring", "NCCL_IB_HCA": "mlx5_0"}
    assert wanted.items() <= environment.items()
    assert environment["PATH"].startswith(f"{RELEASE['path']}/bin:")


def test_no_secret_of_a_node_gets_into_the_journal_of_its_host() -> None:
    secrets = dict.fromkeys(("AWS_SECRET_ACCESS_KEY", "WANDB_API_KEY", "MINE", "NVIDIA_API_KEY"), "planted")
    arguments: Any = _stages.collective_arguments(planned(1, 1, env={**secrets, "UCX_TLS": "tcp"}), RELEASES, 24711, 16)
    assert "planted" not in json.dumps(arguments)
    assert [arguments[name]["environment"]["UCX_TLS"] for name in NAMES] == ["tcp", "tcp"]


def test_cpu_hosts_add_up_by_gloo_and_users_as_themselves() -> None:
    arguments: Any = _stages.collective_arguments(planned(0, 0, scope="user"), RELEASES, 24711, 1)["h1"]
    assert (arguments["backend"], arguments["user"]) == ("gloo", None)
    assert "CUDA_VISIBLE_DEVICES" not in arguments["environment"]
    # Two hosts and one fork: the second starts later.
    assert arguments["seconds"] > _stages.SECONDS


def test_ranks_meet_on_the_port_that_the_network_was_tested_on() -> None:
    reached: Any = [{"name": "h1", "ports": [6379, 10002]}, {"name": "h2", "ports": [10002]}]
    port = _stages.meeting_port("a1", reached)
    assert port == _network.random_port("a1", [6379, 10002, 10002])
    taken: Any = [{"name": "h1", "ports": [port]}]
    assert _stages.meeting_port("a1", taken) != port


# --- Whether now ------------------------------------------------------------------------------------------------------


def serving() -> dict[str, Any]:
    return {"host_record": planned(1, 1).record.as_dict(), "engine_serving": True}


def why(plan: Whole | None, network: Any, **more: Any) -> str:
    given = {"present": NAMES, "releases": RELEASES, "off": (), **more}
    return _stages.why_no_collective(plan, given["present"], given["releases"], network, given["off"])


STARTS = {"usage_services": {"vllm-ray-serve@default-main": "activating"}, "engine_url": "http://192.0.2.11:8000"}
ENGINE = {"tp": 1, "pp": 2, "gpus": {"h1": 1, "h2": 1}, "serve_host": "h1"}
MUTE = {"usage_services": STARTS["usage_services"], "host_record": {"engine": ENGINE}}
FOREIGN = {"usage_foreign_ray": [{"pid": 9, "process": "raylet", "user": "joe"}]}


@pytest.mark.parametrize(
    ("plan", "more", "wanted"),
    [
        (lambda: planned(1, 1), {}, ""),
        (lambda: planned(1, 1), {"off": ["collective"]}, "off"),
        (lambda: None, {}, "not yet, there is no layout"),
        (lambda: planned(1, 1, changes=[serving()]), {}, "left out, the engine serves"),
        (lambda: planned(1, 1, changes=[STARTS]), {}, "left out, the engine starts and holds its GPUs"),
        (lambda: planned(1, 1, changes=[MUTE]), {}, "left out, it is not known whether the engine serves"),
        (
            lambda: planned(1, 1, serve_args={"tensor-parallel-size": 1, "pipeline-parallel-size": 1}),
            {},
            "not needed, the engine uses one GPU",
        ),
        (
            lambda: planned(1, 1, changes=[FOREIGN], take_over=True),
            {},
            "left out, a Ray that is about to be stopped may hold the GPUs",
        ),
        (lambda: planned(1, 1), {"present": ["h1"]}, "not yet, it needs h2, too"),
        (lambda: planned(1, 1), {"releases": {"h1": RELEASE, "h2": None}}, "not yet, there is no release on h2"),
        (
            lambda: planned(1, 1),
            {"releases": {"h1": RELEASE, "h2": {"path": "/x", "versions": {}}}},
            "not yet, there is no release on h2",
        ),
    ],
    ids=[
        "now",
        "off",
        "no-layout",
        "serves",
        "starts",
        "unknown",
        "one-GPU",
        "take-over",
        "limit",
        "no-release",
        "empty-release",
    ],
)
def test_whether_ranks_can_be_tried_together(plan: Any, more: Any, wanted: str, answers: Any) -> None:
    assert why(plan(), answers("healthy"), **more) == wanted


def test_ranks_on_hosts_that_left_are_not_tried() -> None:
    plan = planned(1, 1)
    plan.engine.layout.gpus["h3"] = 1
    assert why(plan, {}) == "not yet, h3 left the inventory"


@pytest.mark.parametrize(("name", "passes"), [("healthy", True), ("denied", False), ("large_lost", False)])
def test_the_network_must_be_open_first(name: str, passes: bool, answers: Any) -> None:
    found = why(planned(1, 1), answers(name))
    assert found == ("" if passes else "not yet, the network between its hosts is not open")


def test_a_fault_between_other_hosts_is_no_hindrance(answers: Any) -> None:
    # h3 alone has another MTU; the engine uses h1 and h2.
    assert why(planned(1, 1), answers("mtu")) == ""


def test_one_host_needs_no_network() -> None:
    assert why(planned(2), {}, present=["h1"]) == ""


REFUSED = {"options": "unrecognized arguments: --zzz"}
PASSED = {"checked": False, "refused": {}}


@pytest.mark.parametrize(
    ("plan", "release", "answer", "state", "checks"),
    [
        (lambda: planned(1, 1), RELEASE, PASSED, "done", []),
        (lambda: planned(1, 1), RELEASE, {"refused": REFUSED}, "done", ["parser"]),
        (
            lambda: planned(1, 1),
            RELEASE,
            {"refused": {"release": "ImportError"}},
            "not yet, vLLM on h1 can't be loaded",
            ["release"],
        ),
        (lambda: planned(1, 1), {**RELEASE, "versions": {}}, None, "not yet, there is no release on h1", []),
        (lambda: planned(1, 1), None, None, "not yet, it needs h1", []),
        (lambda: planned(1, 1), RELEASE, None, "not yet, it needs h1", []),
        (lambda: planned(1, 1), RELEASE, {"msg": "no space"}, "not made, it ended with: no space", []),
        (lambda: None, RELEASE, None, "not yet, there is no layout", []),
    ],
    ids=["passed", "refused", "broken", "no release", "limit", "unreachable since", "crashed", "no layout"],
)
def test_what_the_parser_said_of_the_options(plan: Any, release: Any, answer: Any, state: str, checks: Any) -> None:
    found = _stages.parser(plan(), {"h1": release, "h2": RELEASE}, {"h1": answer, "h2": None})
    assert (found.state, [problem["check"] for problem in found.problems]) == (state, checks)
    assert all(problem["host"] == "h1" and problem["severity"] == "error" for problem in found.problems)


# --- What came of it --------------------------------------------------------------------------------------------------


def test_closed_ports_are_errors_once_firewalls_are_open(answers: Any) -> None:
    before, after = (_stages.network(answers("denied"), closed_yet) for closed_yet in (True, False))
    assert {problem["severity"] for problem in before.problems} == {"info"}
    assert {problem["severity"] for problem in after.problems} == {"error"}
    assert _stages.network(answers("healthy"), False).problems == []


def test_a_network_that_was_not_tested() -> None:
    assert _stages.network({"h1": None, "h2": None}, False).state == "not yet, it needs two hosts that answer"


def told(fixtures: Path, name: str, rank: int) -> dict[str, Any]:
    """Return what collective_check returns on the host of one rank, from what real ranks printed."""
    text = (fixtures / "collective" / f"{name}.log").read_text(encoding="utf-8")
    both = _collective.outcomes(text, {"ranks": [{"rank": 0, "device": 0}, {"rank": 1, "device": 0}], "world": 2})
    return {"ranks": {str(rank): both[str(rank)]}}


def planned_ranks(accelerator: str) -> dict[str, Any]:
    plan = planned(1, 1, accelerator=accelerator)
    return {"why": "", "hosts": _stages.collective_arguments(plan, RELEASES, 24711, 16)}


@pytest.mark.parametrize(
    ("accelerator", "log", "line"),
    [
        ("cpu", "done", "  all-reduce over 2 ranks: 1.28 GB/s at 1 MiB, 1.2 GB/s at 64 MiB; gloo"),
        ("cuda", "nccl_socket", "  all-reduce over 2 ranks: 2.25 GB/s at 1 MiB, 3.65 GB/s at 64 MiB; NET/Socket"),
    ],
)
def test_ranks_that_added_up(fixtures: Path, accelerator: str, log: str, line: str) -> None:
    both = {"h1": told(fixtures, log, 0), "h2": told(fixtures, log, 1)}
    found = _stages.collective(planned_ranks(accelerator), both, [])
    assert (found.problems, found.lines, found.state) == ([], [line], "done")


def test_a_host_that_did_not_come_is_named_with_its_reason(fixtures: Path) -> None:
    both = {"h1": told(fixtures, "missing", 0), "h2": {"msg": "The check did not run: no such file"}}
    found = _stages.collective(planned_ranks("cpu"), both, [])
    assert [(problem["host"], problem["found"]) for problem in found.problems] == [
        ("h2", "rank 1: was not started: The check did not run: no such file")
    ]
    assert found.lines == []
    gone = _stages.collective(planned_ranks("cpu"), {**both, "h2": None}, [])
    assert gone.problems[0]["found"] == "rank 1: was not started: no answer"


def test_sockets_beside_rdma_that_works_are_a_warning(fixtures: Path) -> None:
    both = {"h1": told(fixtures, "nccl_socket", 0), "h2": told(fixtures, "nccl_socket", 1)}
    found = _stages.collective(planned_ranks("cuda"), both, NAMES)
    assert [problem["severity"] for problem in found.problems] == ["warning"] * 2
    assert len(found.lines) == 1


def test_what_was_left_out_is_no_problem() -> None:
    found = _stages.collective({"why": "left out, the engine serves", "hosts": {}}, {}, [])
    assert (found.problems, found.lines, found.state) == ([], [], "left out, the engine serves")


PORT = {"device": "mlx5_0", "port": 1, "state": "ACTIVE"}


@pytest.mark.parametrize(
    ("ports", "given", "wanted"),
    [
        ([PORT], {}, ["h1"]),
        ([{**PORT, "state": "DOWN"}], {}, []),
        ([PORT], {"env": {"NCCL_IB_DISABLE": "1"}}, []),
        ([], {}, []),
    ],
    ids=["works", "down", "switched off", "none"],
)
def test_hosts_whose_rdma_works(ports: Any, given: Any, wanted: list[str]) -> None:
    assert _stages.with_rdma(planned(1, 1, **given), {"h1": look(1, network_rdma=ports), "h2": None}) == wanted
    assert _stages.with_rdma(None, {}) == []
