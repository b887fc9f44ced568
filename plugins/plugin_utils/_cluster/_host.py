# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host as the plan sees it, and what follows from its settings alone. PRIVATE to the collection."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._accelerator import Accelerator, of_setting
from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine._runtime import releases_of
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._paths import Paths, paths

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _look

ENGINE = "main"


# Ports on every host, and those of the head alone: {variable: what listens}.
NODE_PORTS = {
    "vllm_ray_node_manager_port": "raylet",
    "vllm_ray_object_manager_port": "object manager",
    "vllm_ray_runtime_env_agent_port": "runtime environment agent",
    "vllm_ray_dashboard_agent_grpc_port": "dashboard agent (gRPC)",
    "vllm_ray_dashboard_agent_port": "dashboard agent (HTTP)",
    "vllm_ray_metrics_port": "metrics",
}


HEAD_PORTS = {
    "vllm_ray_gcs_port": "GCS",
    "vllm_ray_dashboard_port": "dashboard",
    "vllm_ray_client_server_port": "Ray client server",
    "vllm_ray_autoscaler_metric_port": "autoscaler metrics",
    "vllm_ray_dashboard_metric_port": "dashboard metrics",
}


API_PORT = "vllm_ray_api_port"


@dataclass(frozen=True)
class Host:
    """A host of the inventory as the plan sees it.

    look: what host_info returned, None where the host could not be probed; absent says why.
    limited: whether --limit leaves it out of the run. It may have been probed all the same, by a task of another host.
    """

    name: str
    groups: tuple[str, ...]
    settings: dict[str, t.Any]
    look: _look.Look | None = None
    absent: str | None = None
    limited: bool = False

    @property
    def is_head(self) -> bool:
        return "head" in self.groups

    @property
    def paths(self) -> Paths:
        return paths(self.settings, self.look["host"]["home"] if self.look else "~")


def unit_names(cluster: str) -> tuple[str, str]:
    """Return the names of a cluster's units: (node, serve)."""
    return f"vllm-ray-node@{cluster}", f"vllm-ray-serve@{cluster}-{ENGINE}"


def release_path(host: Host) -> str:
    """Return where the release of a host is: the user's own, or the one that the host's link leads to.

    The link itself where the host has none yet, or was not probed.
    """
    own, name = host.settings.get("vllm_ray_release_path"), host.look["host"]["release"] if host.look else ""
    return own or (f"{releases_of(host.paths.root)}/{name}" if name else f"{host.paths.config}/current")


def serve_args(settings: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return the user's options of `vllm serve`, named as vLLM's long flags."""
    given = settings.get("vllm_ray_serve_args") or {}
    return {str(name).lstrip("-").replace("_", "-"): value for name, value in given.items()}


def api_port(settings: Mapping[str, t.Any]) -> int:
    """Return the port of the API."""
    return int(serve_args(settings).get("port", settings[API_PORT]))


def server_name(settings: Mapping[str, t.Any]) -> str:
    """Return the name that the API's certificate must have, empty where that is the address of the API."""
    names = settings.get("vllm_ray_tls_names") or []
    return str(names[0]) if names and settings.get("vllm_ray_tls") == "given" else ""


def dashboard_url(settings: Mapping[str, t.Any]) -> str:
    """Return the URL of Ray's dashboard as the head itself reaches it. settings: of the head."""
    bound = settings["vllm_ray_dashboard_host"]
    name = "127.0.0.1" if bound in ("0.0.0.0", "::", "localhost") else bound
    return f"http://{f'[{name}]' if ':' in name else name}:{settings['vllm_ray_dashboard_port']}"


def ports(settings: Mapping[str, t.Any], is_head: bool, serves: bool) -> dict[int, str]:
    """Return the ports that our services use on a host: {port: variable}."""
    names = [*NODE_PORTS, *(HEAD_PORTS if is_head else ())]
    result = {settings[name]: name for name in names}
    if serves:
        result[api_port(settings)] = API_PORT
    return result


def gpu_indices(host: Host, accelerator: Accelerator, known: int = 0) -> list[int]:
    """Return the indices of the GPUs that the cluster may use on a host; a CPU host counts as one.

    known: how many there are by the record, for a host that was not probed.
    """
    if host.look is None:
        return list(range(known))
    if not accelerator.has_gpus:
        return [0]
    have = [gpu["index"] for gpu in host.look["host"]["gpus"]]
    wished = host.settings.get("vllm_ray_gpus")
    return [index for index in have if wished is None or index in wished]


def accelerator_of(head: Host) -> Accelerator:
    """Return what the engine runs on."""
    has_gpus = bool(head.look and head.look["host"]["gpus"])
    return of_setting(head.settings["vllm_ray_accelerator"], has_gpus)


def may_use_gpus(settings: Mapping[str, t.Any]) -> bool:
    """Return whether GPUs of a host may be used: its user has not decided against them."""
    return of_setting(settings["vllm_ray_accelerator"], True).has_gpus


def metrics_ports(settings: Mapping[str, t.Any], is_head: bool, serves: bool) -> list[int]:
    """Return the ports with metrics on a host; those of vLLM are on the API's port."""
    names = ["vllm_ray_metrics_port"]
    if is_head:
        names += ["vllm_ray_autoscaler_metric_port", "vllm_ray_dashboard_metric_port"]
    return [settings[name] for name in names] + ([api_port(settings)] if serves else [])


def serve_state(host: Host) -> str | None:
    """Return the state of the engine's service on a host, None where the host could not be probed."""
    if host.look is None:
        return None
    _node, serve_unit = unit_names(host.settings["vllm_ray_cluster"])
    return str(host.look["usage"]["services"].get(serve_unit, "inactive"))


def is_active(host: Host) -> bool:
    """Return whether our node or our engine runs on a host; False where the host could not be probed."""
    node, _serve = unit_names(host.settings["vllm_ray_cluster"])
    services = host.look["usage"]["services"] if host.look else {}
    states = (services.get(node, "inactive"), serve_state(host))
    return any(state in ("active", "activating", "running", "starting") for state in states)


def look_of(host: Host) -> _look.Look:
    """Return the look of a probed host."""
    if host.look is None:
        raise ValueError(f"{host.name} was not probed")
    return host.look


def rdma_is_off(settings: Mapping[str, t.Any]) -> str:
    """Return which setting keeps NCCL from RDMA, empty where none does."""
    env = {name: str(value) for name, value in settings["vllm_ray_env"].items()}
    if env.get("NCCL_IB_DISABLE", "0") not in ("0", ""):
        return f"NCCL_IB_DISABLE={env['NCCL_IB_DISABLE']}"
    return f"NCCL_NET={env['NCCL_NET']}" if env.get("NCCL_NET", "").lower() == "socket" else ""
