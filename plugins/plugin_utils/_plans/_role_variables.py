# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the plan becomes the variables of roles: the one place where the two meet. PRIVATE to the collection.

What may hold a secret is not here, and neither is what only a role that ran before knows: playbooks/vars/roles.yml.
"""

from __future__ import annotations

import os
import posixpath
import typing as t
from dataclasses import dataclass, field

if t.TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _look
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._plans._types import Whole


@dataclass(frozen=True)
class Run:
    """What a run knows besides the plan.

    directory: of the inventory. bundle: the directory of the bundle that the run opened, empty where its release is not
    used. ssh_ports: by host, where the inventory has one. hosts: of the play, reached or not. looks: what host_info
    returned, by host, for those that were probed in the play.
    """

    directory: str = ""
    bundle: str = ""
    ssh_ports: Mapping[str, int] = field(default_factory=dict)
    hosts: Collection[str] = ()
    looks: Mapping[str, _look.Look] = field(default_factory=dict)


class HostOfPlan:
    """One host of a plan, with what follows for all of its roles."""

    def __init__(self, plan: Whole, name: str, run: Run) -> None:
        self.plan, self.cluster, self.name, self.run = plan, plan.outline, name, run
        self.part = plan.hosts[name]
        self.settings, self.paths = self.part.settings, self.part.paths
        self.head = plan.hosts[plan.outline.head]
        self.system = self.settings["vllm_ray_scope"] == "system"
        self.look: _look.Look = run.looks.get(name) or {}
        # Without root it is the account itself.
        self.account = self.settings["vllm_ray_user"] if self.system else ""
        self.peers = [{"name": peer, "address": address} for peer, address in plan.peers.items()]

    def of(self, *names: str) -> dict[str, object]:
        """Return settings that a role calls as the user does, without vllm_ray_."""
        return {name: self.settings[f"vllm_ray_{name}"] for name in names}

    def text(self, name: str) -> str:
        """Return a setting of text, empty where it is not set."""
        return str(self.settings.get(f"vllm_ray_{name}") or "")

    def elsewhere(self, path: str) -> dict[str, str]:
        """Return one of the paths of the hosts that have it elsewhere than this one."""
        found = {name: str(getattr(part.paths, path)) for name, part in self.plan.hosts.items()}
        return {name: value for name, value in found.items() if value != getattr(self.paths, path)}

    @property
    def networks(self) -> list[str]:
        """Whom the firewall admits to a node, and what the user adds."""
        admitted = [*self.plan.peers.values(), *self.part.own_addresses, *self.settings["vllm_ray_confine_allow"]]
        return [*admitted, *self.settings["vllm_ray_metrics_clients"], *self.dashboard_clients]

    @property
    def dashboard_clients(self) -> list[str]:
        return self.settings["vllm_ray_dashboard_clients"] if self.part.is_head else []

    @property
    def api_clients(self) -> list[str]:
        return self.plan.api_clients if self.name == self.plan.engine.serve_host else []


def firewall(host: HostOfPlan) -> dict[str, object]:
    """Return the variables of the role firewall, without their prefix."""
    return {
        "mode": host.settings["vllm_ray_firewall"] if host.system else "off",
        "cluster": host.cluster.cluster,
        "interface": host.part.nic,
        "peers": [address for peer, address in host.plan.peers.items() if peer != host.name],
        "api_port": host.plan.engine.endpoint.port,
        "api_clients": host.api_clients,
        "metrics_ports": host.part.metrics_ports,
        "dashboard_clients": host.dashboard_clients,
        "ssh_port": host.run.ssh_ports.get(host.name, 0),
        "keep": host.settings["vllm_ray_firewall_keep"],
        "confirm": host.settings["vllm_ray_firewall_confirm"],
        "become": host.system,
        **host.of("metrics_clients", "dashboard_port"),
    }


def release(host: HostOfPlan) -> dict[str, object]:
    """Return the variables of the role release, without their prefix."""
    builder = host.plan.release.builder
    requirements = host.text("requirements")
    return {
        "root": host.paths.root,
        "builder_root": host.plan.hosts.get(builder, host.part).paths.root,
        "path": host.text("release_path"),
        "id": host.text("release_id"),
        "verify": host.settings["vllm_ray_release_verify"] == "full",
        "keep": host.settings["vllm_ray_release_keep"],
        "config_root": posixpath.dirname(host.paths.config),
        "trusted_host": host.cluster.head,
        "trusted_file": f"{host.head.paths.config}/trusted.json",
        "hosts": host.peers,
        "limit_mbit": host.settings["vllm_ray_transfer_limit_mbit"],
        "lock": host.cluster.accelerator,
        "lock_file": host.text("release_lock"),
        "requirements": os.path.join(host.run.directory, requirements) if requirements else "",
        "builder": builder,
        "controller_build": builder == "controller",
        "python": host.text("python"),
        "ca_certificate": host.text("ca_certificate"),
        "bundle": host.run.bundle,
        "install_packages": host.system,
        "user": host.account,
        "become": host.system,
    }


def model(host: HostOfPlan) -> dict[str, object]:
    """Return the variables of the role model, without their prefix."""
    wanted = host.plan.model
    state = "/run/vllm-ray/*" if host.system else f"{posixpath.dirname(host.paths.state)}/*/started"
    whole = set(host.plan.peers) <= set(host.run.hosts)
    served = [host.run.looks[name]["engine"].get("path") for name in host.run.hosts if name in host.run.looks]
    return {
        "source": wanted.wish,
        "source_kind": wanted.source,
        "source_host": wanted.source_host,
        "trusted_sources": wanted.trusted,
        "trusted_host": host.cluster.head,
        "trusted_file": f"{host.head.paths.config}/trusted.json",
        "path": wanted.path,
        "revision": host.text("model_revision"),
        "hosts": host.peers,
        "limit_mbit": host.settings["vllm_ray_transfer_limit_mbit"],
        # The builder's own file.
        "ca_certificate": "" if host.plan.release.builder == "controller" else host.text("ca_certificate"),
        "hf_endpoint": host.text("hf_endpoint"),
        "root": host.paths.models,
        "record_directory": host.paths.manifests,
        "roots": host.elsewhere("models"),
        "record_directories": host.elsewhere("manifests"),
        "verify": host.settings["vllm_ray_model_verify"],
        "cluster": host.cluster.cluster,
        # A host outside of the play may serve a revision that the others do not know of.
        "keep": host.settings["vllm_ray_model_keep"] if whole else -1,
        "in_use": [path for path in served if path],
        "serve_configs": [f"{posixpath.dirname(host.paths.config)}/*/serve-*.yaml", f"{state}/serve-*.yaml"],
        "user": host.account,
        "become": host.system,
    }


def services(host: HostOfPlan) -> dict[str, object]:
    """Return what the roles ray and vllm have in common."""
    return {
        "cluster": host.cluster.cluster,
        "manager": "systemd" if host.system else "supervisor",
        "become": host.system,
        "may_stop": host.part.may_stop,
        "address": host.part.address,
        "nic": host.part.nic,
        "accelerator": host.cluster.accelerator,
        "rdma_devices": host.settings.get("vllm_ray_rdma_devices") or [],
        "head_address": host.plan.peers[host.cluster.head],
        "head_host": host.cluster.head,
        "head_dashboard_url": host.cluster.ray.dashboard_url,
        "head_token_file": host.cluster.ray.token_file,
        "gcs_port": host.cluster.ray.gcs_port,
        "names": host.plan.names,
        "config_dir": host.paths.config,
        "state_dir": host.paths.state,
        "started_dir": host.paths.started,
        "units_dir": host.paths.units,
        **host.of("user", "confine", "write_paths"),
    }


# Ports of a node, which are called as the user calls them.
NODE_PORTS = (
    *("node_manager_port", "object_manager_port", "runtime_env_agent_port", "dashboard_agent_grpc_port"),
    *("metrics_port", "dashboard_agent_port", "dashboard_port", "client_server_port", "autoscaler_metric_port"),
    *("dashboard_metric_port", "worker_ports"),
)


def ray(host: HostOfPlan) -> dict[str, object]:
    """Return the variables of the role ray, without their prefix."""
    engine = host.plan.engine
    return {
        **services(host),
        "is_head": host.part.is_head,
        "gpus": host.part.ray_gpus,
        "networks": host.networks,
        "foreign": host.part.foreign_ray,
        "record": host.plan.record.as_dict(),
        "name": host.name,
        "wanted": engine.wanted,
        "optional": engine.unused,
        "check_free": engine.needs_free,
        "timeout": host.settings["vllm_ray_cluster_timeout"],
        "command": host.paths.command,
        "clusters_dir": host.paths.clusters,
        "operators_group": host.text("operators_group"),
        **host.of("start_args", "object_store_gib", "dashboard_host", *NODE_PORTS),
    }


def vllm(host: HostOfPlan) -> dict[str, object]:
    """Return the variables of the role vllm, without their prefix."""
    engine, live = host.plan.engine, host.look.get("engine", {})
    endpoint = engine.endpoint
    return {
        **services(host),
        "gpus": host.part.engine_gpus,
        "networks": [*host.networks, *host.api_clients],
        "executor": engine.layout.executor,
        "checked": host.look["host"]["checked"] if host.look else "",
        "served_model_name": endpoint.model,
        "api_host": endpoint.host,
        "api_port": endpoint.port,
        "url": endpoint.url,
        "server_name": endpoint.name,
        "tls": host.plan.tls.mode != "off",
        "tls_used": live["certificates"]["used"] if "certificates" in live else "",
        "tensor_parallel_size": engine.layout.tp,
        "pipeline_parallel_size": engine.layout.pp,
        "layers": engine.layers,
        "live": live if host.cluster.serving is not False and "url" in live else {},
        "proof": host.settings.get("vllm_ray_proof") or [],
        "timeout": host.settings["vllm_ray_serve_timeout"],
        **host.of("metrics_clients", "autoscaler_metric_port", "dashboard_metric_port"),
    }


ROLES = (firewall, release, model, ray, vllm)


def role_variables(plan: Whole, name: str, run: Run) -> dict[str, object]:
    """Return the variables of all roles for a host of a plan."""
    host = HostOfPlan(plan, name, run)
    return {f"{role.__name__}_{key}": value for role in ROLES for key, value in role(host).items()}
