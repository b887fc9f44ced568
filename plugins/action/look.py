# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import time
import typing as t

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs._hub import hub_of
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _host, _members, _record, _settings
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._paths import Paths, paths

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import TaskVariables


ARGUMENTS = {
    "host": {"type": "str"},
    "details": {"type": "bool", "default": False},
    "may_verify": {"type": "bool", "default": False},
}


def way_to_hub(settings: Mapping[str, t.Any]) -> dict[str, object]:
    """Return how the host that downloads reaches the hub, as options that Ansible hides."""
    return {"hub_token": settings.get("vllm_ray_hf_token"), "hub_proxy": settings.get("vllm_ray_proxy")}


def model_query(
    settings: Mapping[str, t.Any], place: Paths, asks: bool, builder: str | None, verify: bool
) -> dict[str, object]:
    """Return what host_info is to find out about the model.

    asks: whether the host asks the hub. builder: of the release. verify: whether it may hash files.
    """
    # The builder's own file.
    own = asks and builder != "controller"
    return {
        "model": settings["vllm_ray_model"],
        "hub": hub_of(settings["vllm_ray_model"], settings["vllm_ray_model_source"]),
        "revision": settings.get("vllm_ray_model_revision") or "",
        "endpoint": settings.get("vllm_ray_hf_endpoint") or "",
        "root": place.models,
        "record_directory": place.manifests,
        "ca_certificate": settings.get("vllm_ray_ca_certificate") if own else None,
        "fetch": asks,
        "user": settings["vllm_ray_user"] if settings["vllm_ray_scope"] == "system" else "",
        "verify": settings["vllm_ray_model_verify"] if verify else "none",
    }


def details(settings: Mapping[str, t.Any], place: Paths, is_head: bool) -> dict[str, object]:
    """Return the option details of host_info."""
    logs = [f"{place.state}/log/{part}.log" for part in ("node", f"serve-{_host.ENGINE}")]
    return {
        "cluster": settings["vllm_ray_cluster"],
        "release": settings.get("vllm_ray_release_path") or f"{place.config}/current",
        "user": settings["vllm_ray_user"] if settings["vllm_ray_scope"] == "system" else "",
        "log_files": [] if settings["vllm_ray_scope"] == "system" else logs,
        "config": place.config,
        "started": place.started,
        "dashboard": _host.dashboard_url(settings) if is_head else None,
    }


class ActionModule(ActionBase):
    """Turns a host's settings into the arguments of host_info."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: TaskVariables | None = None) -> dict[str, object]:
        super().run(tmp, task_vars)
        variables = task_vars or {}
        _validated, options = self.validate_argument_spec(ARGUMENTS)
        host = options["host"] or variables["inventory_hostname"]
        settings = _settings.of_host(host, variables).values
        place = paths(settings)
        hosts = _members.members(variables["hostvars"], variables["groups"])
        is_head = "head" in hosts.get(host, ())
        builder = variables["hostvars"][next(iter(hosts))].get("vllm_ray_release_builder")
        asks = host == _members.downloader(list(hosts), builder)
        wish = str(settings.get("vllm_ray_model") or "")
        arguments = {
            "peers": [_members.address_of(peer, variables["hostvars"]) for peer in hosts if peer != host],
            "nic": settings.get("vllm_ray_nic"),
            "address": settings.get("vllm_ray_address"),
            "ports": list(_host.ports(settings, is_head=True, serves=True)),
            "services": list(_host.unit_names(settings["vllm_ray_cluster"])),
            "manager": "systemd" if settings["vllm_ray_scope"] == "system" else "supervisor",
            "supervisor_directory": place.config,
            "supervisor_bin": f"{place.config}/current/bin",
            "paths": [place.root, place.state, place.models, *([wish] if wish.startswith("/") else [])],
            "ray_directory": place.ray,
            "record": f"{place.config}/record.json",
            "worked": f"{place.config}/worked.json",
            "rotation": f"{place.config}/rotation.json",
            "release": f"{place.config}/current",
            "checked": f"{place.config}/serve-{_host.ENGINE}.checked",
            "model": model_query(settings, place, asks, builder, options["may_verify"]) if wish else None,
            **(way_to_hub(settings) if asks else {}),
            # What the engine was started with, whatever its options on the disk are by now.
            "engine_config": f"{place.started}/serve-{_host.ENGINE}.yaml",
            "engine_next_config": f"{place.config}/serve-{_host.ENGINE}.yaml",
            "engine_key_file": f"{place.config}/api.key",
            "engine_ca_file": f"{place.config}/tls-ca.crt",
            "engine_certificate_file": f"{place.config}/tls.crt",
            "engine_server_name": _host.server_name(settings),
        }
        if options["details"]:
            arguments["details"] = details(settings, place, is_head)
        sent = time.time()
        try:
            look = self._execute_module(
                module_name="vllm_ray.cluster.host_info", module_args=arguments, task_vars=task_vars
            )
        except AnsibleConnectionFailure as error:
            if host == variables["inventory_hostname"]:
                raise
            # A task of another host. With run_once, Ansible would end the play although it ignores unreachable hosts.
            return {"changed": False, "unreached": True, "msg": str(error)}
        # The host read its clock somewhere between these two readings of ours.
        asked = {"sent": sent, "received": time.time()}
        record = (look.get("host") or {}).get("record")
        return {**look, "asked": asked, "last_server": _record.serve_host_in(record)}
