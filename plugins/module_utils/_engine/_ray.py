# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Ray node: its environment, its command line and the node table. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._accelerator import ACCELERATORS
from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine._runtime import runtime_of

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _look

GIB = 1024**3


class Node(t.TypedDict, total=False):
    """Settings of a Ray node. accelerator: its name. gpu_indices: not used on a CPU host. worker_ports: "10002-19999".

    Only start_argv() needs those from head_address on.
    """

    release: str
    config_dir: str
    state_dir: str
    address: str
    nic: str
    env: Mapping[str, object] | None
    accelerator: str
    gpu_indices: Sequence[int] | None
    rdma_devices: Sequence[str] | None
    autoscaler_metric_port: int
    dashboard_metric_port: int
    head_address: str
    is_head: bool
    num_gpus: int
    ray_dir: str
    object_store_gib: float | str
    dashboard_host: str
    dashboard_port: int
    gcs_port: int
    client_server_port: int
    node_manager_port: int
    object_manager_port: int
    runtime_env_agent_port: int
    dashboard_agent_grpc_port: int
    dashboard_agent_port: int
    metrics_port: int
    worker_ports: str
    start_args: Sequence[object] | None


class LoadReport(t.TypedDict, total=False):
    """What is read of a load report: [used, all] of each resource by node, and placement groups that wait."""

    usageByNode: Mapping[str, Mapping[str, Sequence[float]]] | None
    pgDemand: Sequence[object] | None


def environment(node: Node) -> dict[str, str]:
    """Return the environment of a Ray node, which its workers inherit.

    vLLM sends the environment of `vllm serve` to its ranks but lets a value stand that the raylet has, so what
    differs from host to host belongs here.
    """
    result = {
        "PATH": runtime_of(node["release"]).search_path(),
        "HOME": node["state_dir"],
        "XDG_CACHE_HOME": f"{node['state_dir']}/cache",
        "VLLM_CACHE_ROOT": f"{node['state_dir']}/cache/vllm",
        "VLLM_HOST_IP": node["address"],
        "GLOO_SOCKET_IFNAME": node["nic"],
        "NCCL_SOCKET_IFNAME": node["nic"],
        "TP_SOCKET_IFNAME": node["nic"],
        "HF_HUB_OFFLINE": "1",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": f"{node['config_dir']}/ray.token",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        # How long a node waits for its ranks on SIGTERM. They can't move, and an engine that lost one has failed. Ray's
        # default is 30 s, as long as our units wait (ray/_private/node.py, _drain_node_before_shutdown).
        "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
        # Loading weights goes through the page cache; Ray's monitor takes that for a shortage and kills the rank.
        "RAY_memory_monitor_refresh_ms": "0",
        # Ray stops spilling objects when the filesystem is this full.
        "RAY_local_fs_capacity_threshold": "0.9",
        "AUTOSCALER_METRIC_PORT": str(node["autoscaler_metric_port"]),
        "DASHBOARD_METRIC_PORT": str(node["dashboard_metric_port"]),
    }
    accelerator = ACCELERATORS[node["accelerator"]]
    if accelerator.has_gpus:
        result[accelerator.visible] = ",".join(str(index) for index in node["gpu_indices"] or ())
    result.update(accelerator.node_environment)
    rdma_devices = node.get("rdma_devices")
    if rdma_devices:
        result["NCCL_IB_HCA"] = ",".join(rdma_devices)
    result.update({name: str(value) for name, value in (node.get("env") or {}).items()})
    return result


def start_argv(node: Node) -> list[str]:
    """Return the command line of a Ray node that stays in the foreground."""
    first, _dash, last = str(node["worker_ports"]).partition("-")
    start = ("ray", "start", "--block", "--disable-usage-stats", "--log-color=false")
    argv = runtime_of(node["release"]).argv(start)
    if node["is_head"]:
        argv += [
            "--head",
            f"--port={node['gcs_port']}",
            "--include-dashboard=true",
            f"--dashboard-host={node['dashboard_host']}",
            f"--dashboard-port={node['dashboard_port']}",
            f"--ray-client-server-port={node['client_server_port']}",
        ]
    else:
        argv.append(f"--address={gcs_address(node['head_address'], node['gcs_port'])}")
    argv += [
        f"--node-ip-address={node['address']}",
        f"--num-gpus={node['num_gpus']}",
        f"--temp-dir={node['ray_dir']}",
        f"--object-store-memory={int(float(node['object_store_gib']) * GIB)}",
        f"--node-manager-port={node['node_manager_port']}",
        f"--object-manager-port={node['object_manager_port']}",
        f"--runtime-env-agent-port={node['runtime_env_agent_port']}",
        f"--dashboard-agent-grpc-port={node['dashboard_agent_grpc_port']}",
        f"--dashboard-agent-listen-port={node['dashboard_agent_port']}",
        f"--metrics-export-port={node['metrics_port']}",
        f"--min-worker-port={first}",
        f"--max-worker-port={last}",
    ]
    return [*argv, *(str(argument) for argument in node.get("start_args") or [])]


def gcs_address(host: str, port: int) -> str:
    """Return HOST:PORT, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def node_table(nodes: Mapping[str, t.Any], status: Mapping[str, t.Any]) -> list[_look.Node]:
    """Return the node table from the dashboard's answers.

    nodes: of /api/v0/nodes?detail=1. status: of /api/cluster_status, which knows what is in use.
    """
    entries = nodes.get("data", {}).get("result", {}).get("result", [])
    usage = _load_report(status).get("usageByNode") or {}
    table: list[_look.Node] = []
    for entry in entries:
        used = usage.get(entry["node_id"], {}).get("GPU", [0.0, 0.0])
        table.append(
            {
                "node_id": entry["node_id"],
                "address": entry["node_ip"],
                "alive": entry["state"] == "ALIVE",
                "is_head": bool(entry.get("is_head_node")),
                "gpus": int((entry.get("resources_total") or {}).get("GPU", 0)),
                "gpus_used": int(used[0]),
            }
        )
    return table


def missing_nodes(table: Iterable[_look.Node], wanted: Mapping[str, int]) -> list[str]:
    """Return the hosts of {host address: GPUs} that have no living node with at least that many GPUs."""
    alive = {node["address"]: node["gpus"] for node in table if node["alive"]}
    return [address for address, gpus in wanted.items() if alive.get(address, -1) < gpus]


def placement_problems(table: Sequence[_look.Node], wanted: Mapping[str, int], names: Mapping[str, str]) -> list[str]:
    """Say why an engine can't be placed, a sentence a host; empty where it can.

    wanted: {address: GPUs that the engine needs there}. names: {address: name of the host}.
    """
    nodes = {node["address"]: node for node in table if node["alive"]}
    problems = []
    for address, gpus in wanted.items():
        name, node = names.get(address, address), nodes.get(address)
        if node is None:
            strangers = sorted(set(nodes) - set(names))
            hint = f"; Ray nodes that are not in the inventory: {', '.join(strangers)}" if strangers else ""
            problems.append(f"{name}: no live Ray node with the address {address}{hint}")
        elif node["gpus"] < gpus:
            problems.append(f"{name}: its Ray node has {node['gpus']} GPUs and the engine needs {gpus}")
        elif node["gpus"] - node["gpus_used"] < gpus:
            free = node["gpus"] - node["gpus_used"]
            problems.append(f"{name}: {free} of {node['gpus']} GPUs are free and the engine needs {gpus}")
    return problems or [
        f"{node['address']} is not in the inventory, but its Ray node offers {node['gpus']} GPUs that the engine "
        "could be placed on: stop Ray there, or restart the node of the head"
        for address, node in nodes.items()
        # vLLM takes any free GPU of its Ray.
        if node["gpus"] and names and address not in names and address not in wanted
    ]


def waiting_placements(status: Mapping[str, t.Any]) -> int:
    """Return how many placement groups wait for resources, from the answer of /api/cluster_status."""
    return len(_load_report(status).get("pgDemand") or [])


def _load_report(status: Mapping[str, t.Any]) -> LoadReport:
    """Return the part about load of /api/cluster_status; a head that has just started has none yet."""
    report: LoadReport | None = ((status.get("data") or {}).get("clusterStatus") or {}).get("loadMetricsReport")
    return report or {}


def table_lines(table: Iterable[_look.Node], names: Mapping[str, str], apart: str = "") -> list[str]:
    """Return the node table as lines of text. names: {address: name of the host}.

    apart: the host whose engine has its GPUs without Ray, by the mp executor: Ray is not offered them.
    A dead node is left out where its host has come back with a new one.
    """
    table = list(table)

    def gpus(node: _look.Node) -> str:
        """Return what Ray knows of its GPUs."""
        own = ", the engine uses its GPUs without Ray" if apart and names.get(node["address"]) == apart else ""
        if node["gpus"]:
            return f"{node['gpus_used']} of {node['gpus']} GPUs in use by Ray{own}"
        return own[2:] or "offers Ray no GPU"

    alive = {node["address"] for node in table if node["alive"]}
    return [
        f"{names.get(node['address'], '?')}  {node['address']}  {'alive' if node['alive'] else 'dead'}  {gpus(node)}"
        for node in sorted(table, key=lambda node: (not node["is_head"], node["address"]))
        if node["alive"] or node["address"] not in alive
    ]
