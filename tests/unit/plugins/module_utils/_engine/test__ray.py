# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment and command line of a Ray node, and the node table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine import _ray
from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _look

NODE: Any = {
    "release": "/opt/vllm-ray/releases/cuda",
    "config_dir": "/etc/vllm-ray/default",
    "state_dir": "/var/lib/vllm-ray/default",
    "ray_dir": "/var/lib/vllm-ray/default/ray",
    "address": "192.0.2.12",
    "nic": "eno1",
    "head_address": "192.0.2.11",
    "is_head": False,
    "env": {},
    "accelerator": "cuda",
    "gpu_indices": [0, 2],
    "num_gpus": 2,
    "rdma_devices": [],
    "object_store_gib": 1.5,
    "start_args": [],
    "dashboard_host": "127.0.0.1",
    "gcs_port": 6379,
    "node_manager_port": 6380,
    "object_manager_port": 6381,
    "runtime_env_agent_port": 6382,
    "dashboard_agent_grpc_port": 6383,
    "metrics_port": 6384,
    "dashboard_agent_port": 52365,
    "dashboard_port": 8265,
    "client_server_port": 10001,
    "autoscaler_metric_port": 44217,
    "dashboard_metric_port": 44227,
    "worker_ports": "10002-19999",
}
COMMON = [
    "--num-gpus=2",
    "--temp-dir=/var/lib/vllm-ray/default/ray",
    "--object-store-memory=1610612736",
    "--node-manager-port=6380",
    "--object-manager-port=6381",
    "--runtime-env-agent-port=6382",
    "--dashboard-agent-grpc-port=6383",
    "--dashboard-agent-listen-port=52365",
    "--metrics-export-port=6384",
    "--min-worker-port=10002",
    "--max-worker-port=19999",
]
START = ["/opt/vllm-ray/releases/cuda/bin/ray", "start", "--block", "--disable-usage-stats", "--log-color=false"]
NAMES = {"10.237.0.11": "h1", "10.237.0.12": "h2", "10.237.0.13": "h3"}


def load(fixtures: Path, name: str) -> Any:
    return json.loads((fixtures / "ray" / name).read_text(encoding="utf-8"))


@pytest.fixture
def table(fixtures: Path) -> list[_look.Node]:
    return _ray.node_table(load(fixtures, "nodes.json"), load(fixtures, "cluster_status.json"))


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        pytest.param(
            {},
            {"CUDA_VISIBLE_DEVICES": "0,2", "VLLM_USE_FLASHINFER_SAMPLER": "0", "NCCL_IB_HCA": None},
            id="some-gpus",
        ),
        pytest.param({"gpu_indices": []}, {"CUDA_VISIBLE_DEVICES": ""}, id="no-gpu-hides-all"),
        pytest.param(
            {"accelerator": "cpu"}, {"CUDA_VISIBLE_DEVICES": None, "VLLM_USE_FLASHINFER_SAMPLER": None}, id="cpu"
        ),
        pytest.param(
            {"env": {"VLLM_USE_FLASHINFER_SAMPLER": 1}}, {"VLLM_USE_FLASHINFER_SAMPLER": "1"}, id="as-the-user-says"
        ),
        pytest.param({"rdma_devices": ["mlx5_0", "mlx5_1"]}, {"NCCL_IB_HCA": "mlx5_0,mlx5_1"}, id="rdma"),
        pytest.param(
            {"env": {"NCCL_SOCKET_IFNAME": "ib0", "N": 3}}, {"NCCL_SOCKET_IFNAME": "ib0", "N": "3"}, id="users"
        ),
        pytest.param({"env": None}, {"VLLM_HOST_IP": "192.0.2.12"}, id="no-env"),
    ],
)
def test_environment(change: Any, wanted: dict[str, str | None]) -> None:
    environment = _ray.environment({**NODE, **change})
    assert {name: environment.get(name) for name in wanted} == wanted


def test_environment_names_this_hosts_address_and_nic_and_no_secret() -> None:
    environment = _ray.environment(NODE)
    assert environment["VLLM_HOST_IP"] == "192.0.2.12"
    nics = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME", "TP_SOCKET_IFNAME")
    assert {environment[name] for name in nics} == {"eno1"}
    assert environment["RAY_AUTH_MODE"] == "token"
    assert environment["RAY_AUTH_TOKEN_PATH"] == "/etc/vllm-ray/default/ray.token"
    assert environment["PATH"].startswith("/opt/vllm-ray/releases/cuda/bin:")
    assert not any(name.startswith("RAY_EXPERIMENTAL_NOSET_") for name in environment)


def test_a_worker_starts() -> None:
    assert _ray.start_argv({**NODE, "start_args": ["--labels=a=b"]}) == [
        *START,
        "--address=192.0.2.11:6379",
        "--node-ip-address=192.0.2.12",
        *COMMON,
        "--labels=a=b",
    ]


def test_a_head_starts() -> None:
    assert _ray.start_argv({**NODE, "is_head": True, "address": "192.0.2.11"}) == [
        *START,
        "--head",
        "--port=6379",
        "--include-dashboard=true",
        "--dashboard-host=127.0.0.1",
        "--dashboard-port=8265",
        "--ray-client-server-port=10001",
        "--node-ip-address=192.0.2.11",
        *COMMON,
    ]


def test_an_ipv6_head_is_in_brackets() -> None:
    assert "--address=[fd42::b]:6379" in _ray.start_argv({**NODE, "head_address": "fd42::b"})


def test_the_node_table(table: list[_look.Node]) -> None:
    assert [(node["address"], node["alive"], node["is_head"], node["gpus"], node["gpus_used"]) for node in table] == [
        ("10.237.0.13", False, False, 0, 0),
        ("10.237.0.12", True, False, 1, 1),
        ("10.237.0.11", True, True, 1, 1),
        ("10.237.0.13", True, False, 1, 1),
    ]


def test_the_node_table_as_lines(table: list[_look.Node]) -> None:
    assert _ray.table_lines(table, {"10.237.0.11": "h1", "10.237.0.12": "h2"}) == [
        "h1  10.237.0.11  alive  1 of 1 GPUs in use by Ray",
        "h2  10.237.0.12  alive  1 of 1 GPUs in use by Ray",
        "?  10.237.0.13  alive  1 of 1 GPUs in use by Ray",
    ]


def test_an_engine_that_has_its_gpus_without_ray(table: list[_look.Node]) -> None:
    """By the mp executor Ray is offered none of them: that is not 0 of 0 in use."""
    nodes: list[_look.Node] = [{**node, "gpus": 0, "gpus_used": 0} for node in table if node["alive"]]
    assert _ray.table_lines(nodes[:2], NAMES, "h1") == [
        "h1  10.237.0.11  alive  the engine uses its GPUs without Ray",
        "h2  10.237.0.12  alive  offers Ray no GPU",
    ]
    assert _ray.table_lines(table[2:3], NAMES, "h1") == [
        "h1  10.237.0.11  alive  1 of 1 GPUs in use by Ray, the engine uses its GPUs without Ray"
    ]


def test_a_node_that_died_and_did_not_come_back_is_a_line(table: list[_look.Node]) -> None:
    assert _ray.table_lines(table[:3], NAMES)[2] == "h3  10.237.0.13  dead  offers Ray no GPU"


@pytest.mark.parametrize(
    ("nodes", "status"),
    [
        pytest.param({}, {}, id="nothing"),
        pytest.param({"data": {"result": {"result": []}}}, {"data": {"clusterStatus": {}}}, id="no-node"),
        pytest.param({"data": {"result": {"result": []}}}, {"data": {"clusterStatus": None}}, id="no-status-yet"),
    ],
)
def test_a_table_without_nodes(nodes: dict[str, Any], status: dict[str, Any]) -> None:
    assert _ray.node_table(nodes, status) == []
    assert _ray.waiting_placements(status) == 0


@pytest.mark.parametrize(
    ("wanted", "missing"),
    [
        pytest.param({"10.237.0.11": 1, "10.237.0.13": 1}, [], id="all-there"),
        pytest.param({"10.237.0.11": 1, "10.237.0.14": 0}, ["10.237.0.14"], id="one-did-not-come"),
        pytest.param({"10.237.0.12": 2}, ["10.237.0.12"], id="too-few-gpus"),
        pytest.param({"10.237.0.11": 0}, [], id="no-gpu-needed"),
        pytest.param({}, [], id="none-wanted"),
    ],
)
def test_missing_nodes(table: list[_look.Node], wanted: dict[str, int], missing: list[str]) -> None:
    assert _ray.missing_nodes(table, wanted) == missing


@pytest.mark.parametrize(
    ("wanted", "names", "problems"),
    [
        pytest.param({"10.9.9.1": 3}, {"10.9.9.1": "h1"}, [], id="fits"),
        pytest.param(
            {"10.9.9.1": 4},
            {"10.9.9.1": "h1"},
            ["h1: its Ray node has 3 GPUs and the engine needs 4"],
            id="fewer-registered",
        ),
        pytest.param(
            {"192.0.2.11": 1},
            {"192.0.2.11": "h1"},
            ["h1: no live Ray node with the address 192.0.2.11; Ray nodes that are not in the inventory: 10.9.9.1"],
            id="another-address",
        ),
        pytest.param(
            {"10.9.9.1": 1, "192.0.2.12": 1},
            {"10.9.9.1": "h1", "192.0.2.12": "h2"},
            ["h2: no live Ray node with the address 192.0.2.12"],
            id="node-missing",
        ),
    ],
)
def test_placement(fixtures: Path, wanted: dict[str, int], names: dict[str, str], problems: list[str]) -> None:
    table = _ray.node_table(load(fixtures, "nodes_one.json"), load(fixtures, "cluster_status_idle.json"))
    assert _ray.placement_problems(table, wanted, names) == problems


def test_placement_beside_a_host_that_is_none_of_the_cluster(table: list[_look.Node]) -> None:
    """As one whose line was taken out of the inventory: its GPUs must not draw ranks."""
    free: list[_look.Node] = [{**node, "gpus_used": 0} for node in table]
    assert _ray.placement_problems(free, {"10.237.0.11": 1}, NAMES) == []
    rest = {address: name for address, name in NAMES.items() if address != "10.237.0.13"}
    stranger = (
        "10.237.0.13 is not in the inventory, but its Ray node offers 1 GPUs that the engine could be placed on: stop "
        "Ray there, or restart the node of the head"
    )
    assert _ray.placement_problems(free, {"10.237.0.11": 1}, rest) == [stranger]
    # Without hosts there is no inventory to compare with, and a node without GPUs attracts no ranks.
    assert _ray.placement_problems(free, {"10.237.0.11": 1}, {}) == []
    bare: list[_look.Node] = [
        {**node, "gpus": 0 if node["address"] == "10.237.0.13" else node["gpus"]} for node in free
    ]
    assert _ray.placement_problems(bare, {"10.237.0.11": 1}, rest) == []


def test_placement_beside_another_job(table: list[_look.Node]) -> None:
    assert _ray.placement_problems(table, {"10.237.0.11": 1}, NAMES) == [
        "h1: 0 of 1 GPUs are free and the engine needs 1"
    ]


@pytest.mark.parametrize(
    ("name", "waiting"),
    [("cluster_status.json", 0), ("cluster_status_idle.json", 0), ("cluster_status_waiting.json", 1)],
)
def test_waiting_placements(fixtures: Path, name: str, waiting: int) -> None:
    assert _ray.waiting_placements(load(fixtures, name)) == waiting
