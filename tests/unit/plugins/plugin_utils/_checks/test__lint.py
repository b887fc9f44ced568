# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said about options and environment before there is a release."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks import _lint
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._host import Host
from ansible_collections.vllm_ray.cluster.tests.unit.looks import look


def test_an_option_that_is_gone_names_its_successor() -> None:
    problems = _lint.options("gpu01", {"swap-space": 4, "max-model-len": 4096})
    assert [(p.host, p.severity, p.found, p.fix) for p in problems] == [
        (
            "gpu01",
            "warning",
            "vllm_ray_serve_args: swap-space was removed from vLLM",
            "remove it, or set kv-offloading-size",
        )
    ]


def test_what_a_release_refuses_has_its_mend() -> None:
    reasons = {
        "options": "unrecognized arguments: --swap-space --max-model-length 512 (did you mean max-model-len?)",
        "environment": "unknown: VLLM_USE_V1 did you mean VLLM_USE_V2 for VLLM_USE_V1?",
    }
    options, environment = _lint.refused("gpu01", "/r", reasons)
    assert (options.check, options.severity, options.found) == (
        "parser",
        "error",
        f"vllm_ray_serve_args: {reasons['options']}",
    )
    assert options.fix == "swap-space: remove it, or set kv-offloading-size"
    assert environment.fix == "VLLM_USE_V1: remove it: there is no other engine"
    (other,) = _lint.refused("gpu01", "/r", {"options": "argument --port: invalid int value: 'x'"})
    assert (other.wanted, other.fix) == ("a value that the vLLM in /r accepts", "correct vllm_ray_serve_args")
    (broken,) = _lint.refused("gpu01", "/r", {"release": "ImportError: libnuma.so.1"})
    assert (broken.check, broken.fix) == ("release", "let site.yml build the release, or correct vllm_ray_release_path")


@pytest.mark.parametrize(
    ("name", "value", "severity", "fix"),
    [
        ("VLLM_ATTENTION_BACKEND", "FLASH_ATTN", "warning", "set attention-backend in vllm_ray_serve_args"),
        ("RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES", "1", "warning", "leave it to vLLM"),
        ("VLLM_HOST_IP", "192.0.2.1", "error", "set vllm_ray_address"),
        ("NCCL_SOCKET_IFNAME", "eth0", "warning", "set vllm_ray_nic, for hosts where it differs"),
        ("CUDA_VISIBLE_DEVICES", "0", "error", "set vllm_ray_gpus"),
        ("NCCL_IB_DISABLE", "1", "info", "remove it unless there is none"),
    ],
)
def test_names_that_do_harm(name: str, value: str, severity: str, fix: str) -> None:
    problems = _lint.environment("gpu01", {name: value})
    assert [(p.severity, p.fix) for p in problems] == [(severity, fix)]
    assert name in problems[0].found


@pytest.mark.parametrize("name", ["NCCL_DEBUG", "VLLM_LOGGING_LEVEL", "HF_HOME", "NCCL_IB_HCA"])
def test_names_that_do_not(name: str) -> None:
    assert _lint.environment("gpu01", {name: "1"}) == []


def test_what_switches_nothing_off_does_no_harm() -> None:
    assert _lint.environment("gpu01", {"NCCL_IB_DISABLE": "0"}) == []


@pytest.mark.parametrize(
    ("name", "severity"),
    [
        ("VLLM_DP_SIZE", "error"),
        ("VLLM_DP_MASTER_IP", "error"),
        ("VLLM_RAY_DP_PACK_STRATEGY", "error"),
        ("MASTER_ADDR", "warning"),
        ("LOCAL_RANK", "warning"),
    ],
)
def test_names_of_one_rank(name: str, severity: str) -> None:
    (problem,) = _lint.environment("gpu01", {name: "1"})
    assert (problem.severity, problem.fix) == (severity, "remove it")


# --- What must differ from host to host ------------------------------------------------------------------------------

NICS = [
    {"name": "eno1", "kind": "physical", "up": True, "mtu": 1500, "speed": 25000, "driver": "", "rdma": ["mlx5_0"]},
]
RDMA = [{"device": "mlx5_0", "port": 1, "state": "ACTIVE", "link_layer": "InfiniBand", "rate": 100}]


def member(number: int, env: dict[str, Any], **change: Any) -> Host:
    seen = look(number, **{"network_nics": NICS, "network_rdma": RDMA, **change})
    return Host(f"gpu0{number}", ("head",) if number == 1 else ("workers",), {"vllm_ray_env": env}, seen)


def three(env: dict[str, Any]) -> list[Host]:
    return [member(number, env) for number in (1, 2, 3)]


@pytest.mark.parametrize(
    ("name", "severity"),
    [
        ("VLLM_NIXL_SIDE_CHANNEL_HOST", "error"),
        ("VLLM_EC_SIDE_CHANNEL_HOST", "error"),
        ("SOME_OTHER_IP", "warning"),
    ],
)
@pytest.mark.parametrize("value", ["192.0.2.11", "gpu01", "GPU01"])
def test_the_address_of_one_host_for_all_is_reported(name: str, severity: str, value: str) -> None:
    (problem,) = _lint.environments(three({name: value}))
    assert (problem.host, problem.check, problem.severity) == ("-", "env", severity)
    assert problem.found == f"vllm_ray_env: {name} is {value} on gpu02, gpu03, which is an address of gpu01"
    assert "host_vars" in problem.fix


@pytest.mark.parametrize("value", ["127.0.0.1", "localhost", "0.0.0.0", "203.0.113.7", "http://192.0.2.11:3128", 1])
def test_what_is_no_address_of_a_host_is_none_of_ours(value: object) -> None:
    assert _lint.environments(three({"SOME_OTHER_IP": value})) == []


def test_an_address_of_its_own_for_each_host_is_right() -> None:
    hosts = [member(number, {"VLLM_NIXL_SIDE_CHANNEL_HOST": f"192.0.2.1{number}"}) for number in (1, 2)]
    assert _lint.environments(hosts) == []
    assert _lint.environments([member(1, {"VLLM_NIXL_SIDE_CHANNEL_HOST": "192.0.2.11"})]) == []


def test_what_the_plan_refuses_anyway_is_said_once() -> None:
    assert _lint.environments(three({"VLLM_HOST_IP": "192.0.2.11"})) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("NCCL_IB_HCA", "mlx5_1"), ("NCCL_IB_HCA", "=mlx5_0:1,mlx5_1"), ("UCX_NET_DEVICES", "mlx5_1:1,eno1")],
)
def test_a_device_that_a_host_has_not_is_reported(name: str, value: str) -> None:
    other = member(2, {name: value}, network_rdma=[{**RDMA[0], "device": "mlx5_1"}, RDMA[0]])
    (problem,) = _lint.environments([member(1, {name: value}), other])
    assert (problem.host, problem.severity) == ("gpu01", "warning")
    assert f"{name} names mlx5_1, but the host has eno1, mlx5_0" in problem.found


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NCCL_IB_HCA", "mlx5"),
        ("NCCL_IB_HCA", "^mlx5_9"),
        ("UCX_NET_DEVICES", "all"),
        ("UCX_NET_DEVICES", "eno1,mlx5_0:1"),
    ],
)
def test_devices_that_all_hosts_have(name: str, value: str) -> None:
    assert _lint.environments(three({name: value})) == []


@pytest.mark.parametrize(
    ("wished", "planned", "gpus", "right"),
    [
        *((None, "mp", 2, True), ("mp", "mp", 2, True), ("ray", "ray", 4, True), ("uni", "mp", 1, True)),
        *(("ray", "mp", 2, False), ("mp", "ray", 4, False), ("uni", "mp", 2, False)),
        ("external_launcher", "mp", 1, False),
    ],
)
def test_an_executor_that_contradicts_the_layout(wished: str | None, planned: str, gpus: int, right: bool) -> None:
    problems = _lint.executor({"distributed-executor-backend": wished} if wished else {}, planned, gpus)
    assert [(problem.severity, problem.wanted) for problem in problems] == ([] if right else [("error", planned)])
