# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of a host against its settings: ports, firewall, account, options, paths. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._problem import Problem
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks import _danger, _lint
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks._check import Need, Target, check
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks._tls_checks import is_loopback
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _value_types
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._accounts import account_problems
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._host import ports, serve_args, unit_names
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._paths import RAY_DIRECTORY_MAXIMUM

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._cluster import Cluster

# Every account of a host may create directories there, also before root does.
SHARED_DIRECTORIES = ("/tmp", "/var/tmp", "/dev/shm")
# The oldest releases of distributions that we support.
DISTRIBUTIONS = {"debian": 12.0, "ubuntu": 22.04}


@check("address", needs=Need.PROBE)
def check_address(target: Target) -> list[Problem]:
    """Check that a host has a cluster address."""
    network, settings = target.look["network"], target.settings
    if network["error"]:
        found = f"the kernel does not report addresses and routes: {network['error']}"
        fix = "allow processes there to open AF_NETLINK sockets (seccomp, SELinux, a container's settings)"
        return [Problem(target.name, "address", "error", found, "addresses", fix)]
    if network["cluster_nic"]:
        return []
    wanted = " and ".join(
        f"{name}={settings[name]}" for name in ("vllm_ray_nic", "vllm_ray_address") if settings.get(name)
    )
    have = ", ".join(f"{entry['nic']} {entry['address']}" for entry in network["addresses"]) or "none"
    fix = "set vllm_ray_nic or vllm_ray_address"
    return [Problem(target.name, "address", "error", f"addresses: {have}", wanted or "an address", fix)]


@check("route", needs=Need.PROBE)
def check_routes(target: Target) -> list[Problem]:
    """Check that a host has a route to each peer."""
    network = target.look["network"]
    return [
        Problem(
            target.name,
            "route",
            "warning",
            f"no route to {peer}",
            "a route to each peer",
            f"check that the name of {peer} resolves to the right address, and add a route to it",
        )
        for peer in ([] if network["error"] else network["peers_without_route"])
    ]


@check("port", needs=Need.PROBE)
def check_ports(target: Target) -> list[Problem]:
    """Check that no other program listens on our ports."""
    usage, problems = target.look["usage"], []
    variables = ports(target.settings, target.host.is_head, target.serves)
    if usage["ports_unknown"]:
        found, wanted = (
            f"the listening processes are not known: {usage['ports_unknown']}",
            "the kernel's tables of sockets",
        )
        fix = "allow the modules to read /proc/net there (SELinux, AppArmor, a container's settings)"
        problems.append(Problem(target.name, "port", "warning", found, wanted, fix))
    # One process often listens on IPv4 and on IPv6.
    for taken in {(entry["port"], entry["pid"]): entry for entry in usage["ports_taken"]}.values():
        variable = variables.get(taken["port"])
        if variable and not (target.settings["vllm_ray_take_over"] and is_of_ray(taken["process"])):
            who = f"{taken['process'] or 'a process'} (pid {taken['pid'] or '?'}, user {taken['user'] or '?'})"
            found = f"port {taken['port']} is held by {who}"
            wanted, fix = f"port {taken['port']} is free", f"stop it, or set {variable}"
            problems.append(Problem(target.name, "port", "error", found, wanted, fix))
    return problems


@check("ray", needs=Need.PROBE)
def check_foreign_ray(target: Target) -> list[Problem]:
    """Check for a Ray that this collection did not start."""
    by_user: dict[str, list[str]] = {}
    for process in target.look["usage"]["foreign_ray"]:
        by_user.setdefault(process["user"], []).append(f"{process['process']} {process['pid']}")
    fix = "stop it, because it may hold GPUs and ports; -e vllm_ray_take_over=true stops it"
    return [
        Problem(
            target.name,
            "ray",
            "warning",
            f"a Ray of {user} that this collection did not start: {', '.join(processes)}",
            "no Ray except that of this cluster",
            fix,
        )
        for user, processes in by_user.items()
        if not target.settings["vllm_ray_take_over"]
    ]


@check("systemd", needs=Need.PROBE)
def check_systemd(target: Target) -> list[Problem]:
    """Check that systemd runs where its units are to run the services."""
    first = target.look["host"]["pid1"]
    if target.settings["vllm_ray_scope"] != "system" or first == "systemd":
        return []
    fix = "set vllm_ray_scope=user for hosts without systemd"
    return [Problem(target.name, "systemd", "error", f"PID 1 is {first}", "systemd", fix)]


@check("firewall", needs=Need.PROBE)
def check_open_ports(target: Target) -> list[Problem]:
    """Report a host whose ports are open to everybody. Ray binds all addresses."""
    settings, seen = target.settings, target.look["host"].get("firewall") or {}
    found, why = (
        f"this collection manages no firewall rules ({no_firewall(settings)}); Ray binds all addresses",
        seen.get("why_open"),
    )
    fix = "allow only the peers and the API's clients in a firewall of the host or of the network"
    if not no_firewall(settings):
        if not why or (settings["vllm_ray_firewall"] == "manage" and seen["manageable"]):
            return []
        found = f"{why}, so the rules block nothing; Ray binds all addresses"
        fix = "set vllm_ray_firewall=manage" if seen["manageable"] else seen["fix"]
    wanted = "firewall rules that allow only the peers and the API's clients"
    return [Problem(target.name, "firewall", "warning", found, wanted, fix)]


def no_firewall(settings: Mapping[str, object]) -> str:
    """Return which setting leaves the firewall alone, empty where none does."""
    if settings["vllm_ray_scope"] == "user":
        return "vllm_ray_scope=user"
    return "vllm_ray_firewall=off" if settings["vllm_ray_firewall"] == "off" else ""


@check("firewall", needs=Need.PLAN)
def shut_out(cluster: Cluster, clients: Sequence[str]) -> list[Problem]:
    """Report an API that systemd closes where no firewall is kept, so that nobody had to name its clients.

    clients: addresses that may reach it, besides the hosts of the cluster.
    """
    own = cluster.by_name[cluster.serve_host].settings
    bound, allowed = own.get("vllm_ray_api_host") or "", own["vllm_ray_confine_allow"]
    closes = own["vllm_ray_scope"] == "system" and "network" in own["vllm_ray_confine"] and "any" not in allowed
    named = cluster.head.settings.get("vllm_ray_api_clients") is not None
    if not closes or named or own["vllm_ray_firewall"] != "off" or bound == "localhost" or is_loopback(bound):
        return []
    who = " and ".join(["the hosts of the cluster", *([", ".join([*clients, *allowed])] if clients or allowed else [])])
    found = f"systemd lets only {who} reach the API (vllm_ray_confine has network)"
    fix = "set vllm_ray_api_clients, or remove network from vllm_ray_confine"
    return [Problem(cluster.serve_host, "firewall", "warning", found, "access for all clients of the API", fix)]


@check("account", needs=Need.PROBE)
def check_account(target: Target) -> list[Problem]:
    """Check that the account of the services is only this cluster's, and that the state directory is its own."""
    return account_problems(target.host, unit_names(target.settings["vllm_ray_cluster"]))


@check("os", needs=Need.PROBE)
def check_distribution(target: Target) -> list[Problem]:
    """Check that we support the distribution."""
    distribution = target.look["host"]["os"]
    if is_supported(distribution):
        return []
    found = f"{distribution['id']} {distribution['version']}"
    wanted, fix = (
        "Debian 12 or later, Ubuntu 22.04 or later",
        "use a supported distribution, or continue at your own risk",
    )
    return [Problem(target.name, "os", "warning", found, wanted, fix)]


@check("gpu", needs=Need.PROBE)
def check_gpu_indices(target: Target) -> list[Problem]:
    """Check that the host has the GPUs of vllm_ray_gpus."""
    requested = target.settings.get("vllm_ray_gpus")
    have = {gpu["index"] for gpu in target.look["host"]["gpus"]}
    if not requested or not have or not set(requested) - have:
        return []
    missing, there = " or ".join(map(str, sorted(set(requested) - have))), ", ".join(map(str, sorted(have)))
    found = f"the host has no GPU {missing}, only {there}"
    wanted = f"all GPUs of vllm_ray_gpus ({', '.join(map(str, requested))})"
    fix = "correct vllm_ray_gpus, or find out with nvidia-smi why the GPU is missing"
    return [Problem(target.name, "gpu", "error", found, wanted, fix)]


@check("env", "protection", "option", needs=Need.PROBE)
def check_options(target: Target) -> list[Problem]:
    """Check variables of vllm_ray_env, arguments of Ray and options of vLLM for what no longer works or is harmful."""
    name, settings = target.name, target.settings
    problems = [
        *_lint.environment(name, settings["vllm_ray_env"]),
        *_danger.environment(name, settings["vllm_ray_env"]),
        *_danger.start_arguments(name, settings["vllm_ray_start_args"]),
    ]
    if target.serves:
        args = serve_args(settings)
        problems += [*_lint.options(name, args), *_danger.options(name, args)]
    return problems


@check("path", needs=Need.SETTINGS)
def check_paths(target: Target) -> list[Problem]:
    """Check that programs take the paths of a host, that Ray's sockets fit into them, and that they are kept apart."""
    place, problems = target.host.paths, []
    variables = {
        "root": "vllm_ray_root",
        "config": "vllm_ray_config_root",
        "state": "vllm_ray_state_root",
        "models": "vllm_ray_model_root",
    }

    def add(found: str, wanted: str, fix: str) -> None:
        problems.append(Problem(target.name, "path", "error", found, wanted, fix))

    # Variables have been checked by themselves. Where nobody has asked the host, its home is still `~`.
    unfit = [path for path in place.as_dict().values() if not _value_types.is_host_path(path.removeprefix("~"))]
    if unfit:
        expected = _value_types.TYPES["host path"].expected
        fix = "connect as a user with another home (ansible_user), or use vllm_ray_scope=system"
        add(f"{_value_types.show(unfit[0])}, which is in the user's home", expected, fix)
    length = len(place.ray.encode())
    if length > RAY_DIRECTORY_MAXIMUM:
        fix = f"shorten vllm_ray_state_root or vllm_ray_cluster: {length - RAY_DIRECTORY_MAXIMUM} bytes too many"
        add(f"{place.ray} has {length} bytes", f"at most {RAY_DIRECTORY_MAXIMUM} bytes, for Ray's sockets in it", fix)
    for name in ("root", "config", "models"):
        path = getattr(place, name)
        if _value_types.is_below(path, place.state):
            fix = f"set {variables[name]} or vllm_ray_state_root to another path"
            add(f"{variables[name]}: {path} is in {place.state}", "a path that the service user can't change", fix)
    if _value_types.clean(place.config) == _value_types.clean(place.models):
        fix = "set vllm_ray_config_root or vllm_ray_model_root to another path"
        add(f"{place.config} is the directory of both the configuration and the models", "a directory for each", fix)
    for name, variable in variables.items() if target.settings["vllm_ray_scope"] == "system" else ():
        path = getattr(place, name)
        if _value_types.is_below(path, *SHARED_DIRECTORIES):
            wanted = "a path where only root can create directories"
            add(f"{variable}: {path} is in a directory that everybody can write", wanted, f"set {variable}")
    return problems


def is_of_ray(process: str) -> bool:
    """Return whether a process, by its name, belongs to a Ray."""
    return process in ("raylet", "gcs_server") or process.startswith("ray")


def is_supported(distribution: Mapping[str, str]) -> bool:
    """Return whether we support a distribution."""
    try:
        version = float(distribution["version"] or 0)
    except ValueError:
        return False
    return version >= DISTRIBUTIONS.get(distribution["id"], 1e9)
