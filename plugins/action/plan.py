# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import socket
import time
import typing as t
from dataclasses import replace
from urllib.parse import urlsplit

from ansible.plugins.action import ActionBase

from ansible_collections.vllm_ray.cluster.plugins.module_utils._certificates import _tls
from ansible_collections.vllm_ray.cluster.plugins.module_utils._models import _model_config_io
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base import _report, _run_io
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import (
    Registered,
    TaskVariables,
    look_of,
    probes,
)
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._display_io import failure, show
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._report_io import write_json
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._bundles import _bundle
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks import (
    _danger,
    _tls_checks,
    _tls_files_io,
)
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _host, _members, _settings
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._plans import _plan, _role_variables
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._screens import _screen

if t.TYPE_CHECKING:
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._problem import Problem
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _look
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._plans._types import Plan, Whole

ARGUMENTS = {
    "fail": {"type": "bool", "default": True},
    "nodes": {"type": "bool", "default": True},
    "rotate": {"type": "bool", "default": False},
    "look": {"type": "str", "default": "__vllm_ray_look"},
    "head_look": {"type": "dict", "default": {}},
    "serve_look": {"type": "dict", "default": {}},
}


def own_address(target: str) -> str | None:
    """Return the address from which this machine would talk to a target. Nothing is sent."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((target, 9))
                return str(probe.getsockname()[0])
        except OSError:
            continue
    return None


def why_absent(look: Registered | None) -> str | None:
    """Return why a host was not probed, or None where it was."""
    if look is None:
        return "left out by --limit"
    if look.get("unreachable"):
        return str(look.get("msg", "unreachable")).strip().splitlines()[-1]
    if look.get("failed"):
        return f"probing it failed: {str(look.get('msg', '')).strip()}"
    return None


def on_controller(hosts: list[_host.Host]) -> _look.ModelFacts | None:
    """Return what the controller has of a model that is named by its path, None for another one."""
    settings = hosts[0].settings if hosts else {}
    wish = str(settings.get("vllm_ray_model") or "")
    on_host = any(host.look and wish in host.look["host"]["present"] for host in hosts)
    if not wish.startswith("/") or (on_host and settings["vllm_ray_model_source"] != "controller"):
        return None
    return _model_config_io.look(_model_config_io.Query(wish, root=wish)).as_dict()


def with_bundle(plan: Plan, names: t.Collection[str]) -> Plan:
    """Return the plan with the hosts that take packages from a bundle in a group of their own."""
    if plan.whole is None:
        return plan
    groups = {
        name: [*groups, *(["vllm_ray_bundled"] if name in names else [])] for name, groups in plan.whole.groups.items()
    }
    return replace(plan, whole=replace(plan.whole, groups=groups))


def planned_hosts(
    plan: Whole,
    looks: t.Mapping[str, Registered | None],
    variables: TaskVariables,
    bundle: _bundle.Opened,
) -> list[dict[str, object]]:
    """Return the arguments of plan_host for each host of the plan: groups where it was reached, and variables.

    None where the head could not be probed: nothing is deployed then, and most variables depend on it.
    """
    if plan.outline.head not in plan.hosts:
        return []
    hostvars = variables["hostvars"]
    run = _role_variables.Run(
        directory=str(variables.get("inventory_dir") or ""),
        bundle=str(bundle["directory"]) if bundle.get("lock") else "",
        ssh_ports={name: int(hostvars[name].get("ansible_port") or 0) for name in plan.hosts},
        hosts=list(variables["ansible_play_hosts_all"]),
        looks={name: look for name, look in ((name, look_of(look)) for name, look in looks.items()) if look},
    )
    return [
        {
            "name": name,
            "groups": plan.groups.get(name, []),
            "variables": _role_variables.role_variables(plan, name, run),
        }
        for name in plan.hosts
    ]


class ActionModule(ActionBase):
    """Hands inventory, settings and looks to the pure plan, and shows what comes back."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: TaskVariables | None = None) -> dict[str, object]:
        result = super().run(tmp, task_vars)
        variables = task_vars or {}
        hostvars, groups = variables["hostvars"], variables["groups"]
        _validated, arguments = self.validate_argument_spec(ARGUMENTS)
        members = _members.members(hostvars, groups)
        looks = probes(hostvars, list(members), arguments["look"], arguments["head_look"], arguments["serve_look"])
        hosts: list[_host.Host] = []
        problems: list[Problem] = []
        for name, roles in members.items():
            settings = _settings.of_host(name, variables)
            problems += settings.problems
            look, absent = look_of(looks[name]), why_absent(looks[name])
            limited = hostvars[name].get(arguments["look"]) is None
            hosts.append(_host.Host(name, roles, settings.values, look, absent, limited))
        targets = [_members.address_of(host.name, hostvars) for host in hosts]
        controllers = sorted({address for address in map(own_address, targets) if address})
        groups_of_cluster = _members.group_names(hostvars, groups)
        rotate = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()) if arguments["rotate"] else ""
        plan = _plan.make_plan(
            hosts, controllers, on_controller(hosts), *groups_of_cluster, nodes=arguments["nodes"], rotate=rotate
        )
        plan, found = self._with_tls(hosts, plan, variables, arguments["fail"])
        problems += found
        bundle = hostvars[variables["inventory_hostname"]].get(_bundle.REGISTERED) or _bundle.Opened()
        if bundle.get("directory"):
            kind = plan.outline.accelerator if plan.outline else bundle["accelerator"]
            problems += _bundle.problems(bundle, hosts, kind)
            plan = with_bundle(plan, {host.name for host in hosts if _bundle.takes_packages(bundle, host)})
        problems += plan.problems
        head = next((host.settings for host in hosts if host.is_head), {})
        off = head.get("vllm_ray_checks_off", [])
        plan = replace(plan, problems=[problem for problem in problems if problem.check not in off])
        told_plan, shown = plan.as_dict(), [problem.as_dict() for problem in plan.problems]
        if head.get("vllm_ray_plan_file"):
            write_json(head["vllm_ray_plan_file"], told_plan)
        stopping = _report.fails(shown, bool(head.get("vllm_ray_strict")))
        if plan.outline is None:
            # Without a plan there is nothing to go on with, whichever checks are off.
            stopping = stopping or _report.fails([problem.as_dict() for problem in problems], False)
        if stopping and arguments["fail"]:
            return failure(result, _screen.summary(stopping))
        if arguments["fail"]:
            show(_screen.render(plan))
        serve_host = plan.whole.engine.serve_host if plan.whole else None
        reached = [
            {
                "name": host.name,
                "address": host.look["network"]["cluster_nic"]["address"],
                "ports": sorted(_host.ports(host.settings, host.is_head, host.name == serve_host)),
            }
            for host in hosts
            if host.look and host.look["network"]["cluster_nic"]
        ]
        told = {
            "plan": told_plan,
            "hosts": planned_hosts(plan.whole, looks, variables, bundle) if plan.whole else [],
            "reached": reached,
            "releases": {host.name: _host.release_path(host) for host in hosts},
            "users": {host.name: host.settings["vllm_ray_user"] for host in hosts},
            "paths": {host.name: host.paths.as_dict() for host in hosts},
            "run": _run_io.new_name(),
            "worked": next((host.look["host"].get("worked") for host in hosts if host.is_head and host.look), None),
            "protection": [problem.as_dict() for problem in problems if problem.check == _danger.CHECK],
            "problems": shown,
        }
        return {**result, "changed": False, **told}

    def _with_tls(
        self, hosts: list[_host.Host], plan: Plan, variables: TaskVariables, renews: bool
    ) -> tuple[Plan, list[Problem]]:
        """Return the plan with what certificates say, and what is wrong with them. renews: as of in_use()."""
        now, whole = time.time(), plan.whole
        problems = _tls_checks.in_use(hosts, renews, now)
        if whole is None:
            return plan, problems
        server = next(host for host in hosts if host.name == whole.engine.serve_host)
        reached = _members.address_of(server.name, variables["hostvars"])
        names = [*whole.tls.names, *([reached] if not _tls.unfit_names([reached]) else [])]
        tls = replace(whole.tls, names=names, expires=_tls_checks.expires(hosts, now))
        if tls.mode == "given":
            files = _tls_files_io.paths(server.settings, variables.get("inventory_dir") or os.getcwd())
            tls = replace(tls, files=files)
            address = whole.engine.endpoint.name or str(urlsplit(whole.engine.endpoint.url).hostname)
            read = _tls_files_io.read(files, self._loader, address)
            problems += _tls_checks.given(server.name, server.settings, read, address, now)
        return replace(plan, whole=replace(whole, tls=tls)), problems
