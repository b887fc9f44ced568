# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of an inventory and of hosts. PRIVATE to the collection."""

from __future__ import annotations

import typing as t
from collections import Counter

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._problem import Problem
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks import _danger, _lint
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks._tls_checks import is_loopback
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _value_types
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._accounts import account_problems
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._cluster import engine_state
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._host import (
    Host,
    ports,
    serve_args,
    serve_state,
    unit_names,
)
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._paths import RAY_DIRECTORY_MAXIMUM

if t.TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._cluster import Cluster


# What is decided for the cluster as a whole, so that all hosts must say the same.
AGREED = (
    "vllm_ray_cluster",
    "vllm_ray_scope",
    "vllm_ray_model",
    "vllm_ray_accelerator",
    "vllm_ray_tls",
    "vllm_ray_restart",
    "vllm_ray_relayout",
)
# Everybody on a host may make directories there, also before root does.
SHARED_DIRECTORIES = ("/tmp", "/var/tmp", "/dev/shm")


def check_inventory(hosts: Sequence[Host], head_group: str, worker_group: str) -> list[Problem]:
    """Check what an inventory says by itself, with nothing known of the hosts."""
    problems = []
    heads = [host.name for host in hosts if host.is_head]
    if len(heads) != 1:
        found = f"{len(heads)} hosts in the group {head_group}" + (f": {', '.join(heads)}" if heads else "")
        fix = f"put one host into the group {head_group}, or name another group by vllm_ray_head_group"
        problems.append(Problem("-", "inventory", "error", found, "exactly one", fix))
    for host in hosts:
        if len(host.groups) > 1:
            found = f"in {head_group} and in {worker_group}"
            fix = f"leave it in one; the head of a cluster also runs GPU ranks, {worker_group} lists the others"
            problems.append(Problem(host.name, "inventory", "error", found, "one group", fix))
    for name in AGREED:
        values = {str(host.settings.get(name)): host.name for host in hosts}
        if len(values) > 1:
            found = ", ".join(f"{value} on {host}" for value, host in values.items())
            fix = "set the same value for all hosts, or choose the cluster by -e vllm_ray_cluster=NAME"
            problems.append(Problem("-", "inventory", "error", f"{name}: {found}", "one value", fix))
    return problems


def check_addresses(addresses: Mapping[str, str]) -> list[Problem]:
    """Two hosts with one cluster address are one host, or a NIC that is wrong on both."""
    double = [address for address, count in Counter(addresses.values()).items() if count > 1]
    return [
        Problem(
            host,
            "address",
            "error",
            f"cluster address {address}, also of "
            + ", ".join(other for other, its in addresses.items() if its == address and other != host),
            "a unique address",
            "remove the double entry, or set vllm_ray_address or vllm_ray_nic for this host",
        )
        for host, address in addresses.items()
        if address in double
    ]


def check_accelerator(hosts: Sequence[Host], head: Host) -> list[Problem]:
    """If the head has no GPU, the engine would run on CPUs even though workers have GPUs."""
    have = {host.name: len(host.look["host"]["gpus"]) for host in hosts if host.look}
    others = [f"{name} {count}" for name, count in have.items() if count]
    if head.settings["vllm_ray_accelerator"] != "auto" or have.get(head.name) != 0 or not others:
        return []
    found = f"the head has no GPUs, but other hosts have some ({', '.join(others)}): the engine would run on CPUs"
    fix = "make one of those the head, or set vllm_ray_accelerator=cpu to say that GPUs stay unused"
    return [Problem(head.name, "gpu", "error", found, "GPUs on the head, because the engine also runs there", fix)]


def check_host(host: Host, serves: bool) -> list[Problem]:
    """Check one probed host."""
    look, settings = host.look, host.settings
    if look is None:
        return []
    problems = []

    def add(check: str, severity: str, found: str, wanted: str, fix: str) -> None:
        problems.append(Problem(host.name, check, severity, found, wanted, fix))

    why = look["network"]["error"]
    if why:
        found = f"the kernel does not report addresses and routes: {why}"
        fix = "allow its processes to open AF_NETLINK sockets (seccomp, SELinux, a container's settings)"
        add("address", "error", found, "addresses", fix)
    elif not look["network"]["cluster_nic"]:
        wanted = " and ".join(
            f"{name}={settings[name]}" for name in ("vllm_ray_nic", "vllm_ray_address") if settings.get(name)
        )
        have = ", ".join(f"{entry['nic']} {entry['address']}" for entry in look["network"]["addresses"]) or "none"
        add("address", "error", f"addresses: {have}", wanted or "an address", "set vllm_ray_nic or vllm_ray_address")
    for peer in [] if why else look["network"]["peers_without_route"]:
        add("route", "warning", f"no route to {peer}", "a route to each peer", "fix the name resolution or the route")
    variables = ports(settings, host.is_head, serves)
    hidden = look["usage"]["ports_unknown"]
    if hidden:
        fix = "allow the modules to read /proc/net there (SELinux, AppArmor, a container's settings)"
        add(
            "port", "warning", f"the listening processes are not known: {hidden}", "the kernel's tables of sockets", fix
        )
    # One process often listens on IPv4 and on IPv6.
    for taken in {(entry["port"], entry["pid"]): entry for entry in look["usage"]["ports_taken"]}.values():
        variable = variables.get(taken["port"])
        if variable and not (settings["vllm_ray_take_over"] and is_of_ray(taken["process"])):
            who = f"{taken['process'] or 'a process'} (pid {taken['pid'] or '?'}, user {taken['user'] or '?'})"
            add("port", "error", f"port {taken['port']} is held by {who}", "free", f"stop it, or set {variable}")
    by_user: dict[str, list[str]] = {}
    for process in look["usage"]["foreign_ray"]:
        by_user.setdefault(process["user"], []).append(f"{process['process']} {process['pid']}")
    for user, processes in by_user.items():
        if not settings["vllm_ray_take_over"]:
            fix = "stop it, because it may hold GPUs and ports; -e vllm_ray_take_over=true stops it"
            add(
                "ray",
                "warning",
                f"a Ray of {user} that this collection did not start: {', '.join(processes)}",
                "none",
                fix,
            )
    if settings["vllm_ray_scope"] == "system" and look["host"]["pid1"] != "systemd":
        found = f"PID 1 is {look['host']['pid1']}"
        add("systemd", "error", found, "systemd", "set vllm_ray_scope=user for hosts without systemd")
    problems += open_ports(host)
    problems += account_problems(host, unit_names(settings["vllm_ray_cluster"]))
    distribution = look["host"]["os"]
    if not is_supported(distribution):
        found = f"{distribution['id']} {distribution['version']}"
        add(
            "os",
            "warning",
            found,
            "Debian 12 or later, Ubuntu 22.04 or later",
            "use a supported distribution, or continue at your own risk",
        )
    wished = settings.get("vllm_ray_gpus")
    have_gpus = {gpu["index"] for gpu in look["host"]["gpus"]}
    if wished and have_gpus and set(wished) - have_gpus:
        add("gpu", "error", f"GPUs {sorted(have_gpus)}", f"vllm_ray_gpus={wished}", "correct vllm_ray_gpus")
    problems += _lint.environment(host.name, settings["vllm_ray_env"])
    problems += _danger.environment(host.name, settings["vllm_ray_env"])
    problems += _danger.start_arguments(host.name, settings["vllm_ray_start_args"])
    if serves:
        args = serve_args(settings)
        problems += [*_lint.options(host.name, args), *_danger.options(host.name, args)]
    return problems


def no_firewall(settings: Mapping[str, t.Any]) -> str:
    """Return which setting leaves the firewall alone, empty where none does."""
    if settings["vllm_ray_scope"] == "user":
        return "vllm_ray_scope=user"
    return "vllm_ray_firewall=off" if settings["vllm_ray_firewall"] == "off" else ""


def open_ports(host: Host) -> list[Problem]:
    """Report a host whose ports are open to everybody. Ray binds all addresses."""
    settings, seen = host.settings, (host.look or {})["host"].get("firewall") or {}
    found, why = (
        f"this collection manages no firewall rules ({no_firewall(settings)}); Ray binds all addresses",
        seen.get("why_open"),
    )
    fix = "let a firewall of the host or of the network admit only the peers and the API's clients"
    if not no_firewall(settings):
        if not why or (settings["vllm_ray_firewall"] == "manage" and seen["manageable"]):
            return []
        found = f"{why}, so the rules block nothing; Ray binds all addresses"
        fix = "set vllm_ray_firewall=manage" if seen["manageable"] else "ufw default deny incoming"
        fix = "install ufw" if "not installed" in why and not seen["manageable"] else fix
    return [Problem(host.name, "firewall", "warning", found, "rules", fix)]


def shut_out(cluster: Cluster, clients: Sequence[str]) -> list[Problem]:
    """Report an API that systemd closes where no firewall is kept, so that nobody had to name its clients.

    clients: who may reach it, besides the hosts of the cluster.
    """
    own = cluster.by_name[cluster.serve_host].settings
    bound, allowed = own.get("vllm_ray_api_host") or "", own["vllm_ray_confine_allow"]
    closes = own["vllm_ray_scope"] == "system" and "network" in own["vllm_ray_confine"] and "any" not in allowed
    named = cluster.head.settings.get("vllm_ray_api_clients") is not None
    if not closes or named or own["vllm_ray_firewall"] != "off" or bound == "localhost" or is_loopback(bound):
        return []
    who = " and ".join(["the hosts of the cluster", *([", ".join([*clients, *allowed])] if clients or allowed else [])])
    found = f"systemd lets only {who} reach the API (vllm_ray_confine has network)"
    fix = "set vllm_ray_api_clients, or take network out of vllm_ray_confine"
    return [Problem(cluster.serve_host, "firewall", "warning", found, "all clients of the API by address", fix)]


def is_of_ray(process: str) -> bool:
    """Return whether a process, by its name, belongs to a Ray."""
    return process in ("raylet", "gcs_server") or process.startswith("ray")


def is_supported(distribution: Mapping[str, str]) -> bool:
    """Return whether a distribution is one that we aim at."""
    try:
        version = float(distribution["version"] or 0)
    except ValueError:
        return False
    return version >= {"debian": 12.0, "ubuntu": 22.04}.get(distribution["id"], 1e9)


def check_absent(hosts: Sequence[Host], used: Collection[str], known: Collection[str]) -> list[Problem]:
    """Judge hosts that were not probed. used: the serve host and those of the engine; known: those of the record."""
    problems = []
    for host in hosts:
        if host.look is not None or not host.absent:
            continue
        needed = host.name in used or host.is_head
        fix = "fix the connection"
        if host.limited and host.name in known:
            severity, fix = "info", "run without --limit to check or change this host"
        # The head is probed in any case: --limit is not why nothing is known of it.
        elif host.limited and not host.is_head:
            severity = "error" if needed else "warning"
            fix = "run without --limit; the host is not part of the cluster yet"
        elif needed:
            severity = "error"
        else:
            severity = "warning" if host.settings["vllm_ray_absent_ok"] else "error"
            fix += ", or continue without it: -e vllm_ray_absent_ok=true"
        problems.append(Problem(host.name, "reach", severity, host.absent, "a host that answers", fix))
    return problems


def check_serving(cluster: Cluster) -> list[Problem]:
    """Name the hosts because of which it is not known whether an engine serves."""
    if cluster.serving is not None:
        return []
    consent = "allow the engine to be stopped: -e vllm_ray_restart=true"
    problems = []
    for host in cluster.hosts:
        if host.look and engine_state(host) is None:
            found = f"its engine is {serve_state(host)} and can't be asked: {host.look['engine']['why']}"
            problems.append(unknown(host.name, found, f"restart it, or {consent}"))
    server = cluster.by_name.get(cluster.record.serve_host)
    if server and server.look is None:
        fix = f"make the host reachable; until then nothing that its engine may use is stopped. Or {consent}"
        problems.append(unknown(server.name, f"it may serve, and could not be probed: {server.absent}", fix))
    return problems


def unknown(host: str, found: str, fix: str) -> Problem:
    """Return the problem of a host of which it is not known whether it serves."""
    return Problem(host, "reach", "warning", found, "a host that reports whether the engine serves", fix)


def check_paths(host: Host) -> list[Problem]:
    """Check that programs take the paths of a host, that Ray's sockets fit into them, and that they are kept apart."""
    place, problems = host.paths, []
    variables = {
        "root": "vllm_ray_root",
        "config": "vllm_ray_config_root",
        "state": "vllm_ray_state_root",
        "models": "vllm_ray_model_root",
    }

    def add(found: str, wanted: str, fix: str) -> None:
        problems.append(Problem(host.name, "path", "error", found, wanted, fix))

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
    for name, variable in variables.items() if host.settings["vllm_ray_scope"] == "system" else ():
        path = getattr(place, name)
        if _value_types.is_below(path, *SHARED_DIRECTORIES):
            wanted = "a path where only root can create directories"
            add(f"{variable}: {path} is in a directory that everybody can write", wanted, f"set {variable}")
    return problems


def check_leaving(cluster: Cluster) -> list[Problem]:
    """Say what becomes of the hosts that left the inventory."""
    settings, server, problems = cluster.head.settings, cluster.record.serve_host, []
    units = " ".join(unit_names(settings["vllm_ray_cluster"]))
    stop = f"systemctl disable --now {units}" if settings["vllm_ray_scope"] == "system" else "stop its supervisord"
    renewal = "gives all other hosts a new token for Ray and removes its firewall rules on them"
    for name in cluster.leaving:
        severity, wanted = "warning", "a host of the inventory"
        if cluster.parts:
            severity, wanted = "info", "no service of the cluster runs there"
            found, fix = f"it left the inventory: this run {renewal}", f"on {name}: {stop}"
        elif cluster.free and cluster.nodes:
            severity, wanted = "error", "all other hosts in the run, as they need a new token for Ray"
            found = f"it left the inventory, and --limit leaves out {', '.join(cluster.outside)}"
            fix = "run without --limit, or add it to the inventory again"
        elif cluster.free:
            found = "it left the inventory, but this run does not change the nodes of Ray, so it stays in the cluster"
            fix = f"add it to the inventory again, or run site.yml for all roles: that {renewal}"
        else:
            then = "starts the engine again" if name not in engine_hosts(cluster) else "plans the engine without it"
            found = "it left the inventory, and stays in the cluster until the engine may be stopped"
            fix = f"add it to the inventory again, or run with -e vllm_ray_restart=true: that {renewal}, and {then}"
            if name == server:
                severity, found = "error", "the engine runs there, but the host is no longer in the inventory"
        problems.append(Problem(name, "inventory", severity, found, wanted, fix))
    return problems


def engine_hosts(cluster: Cluster) -> Collection[str]:
    """Return the hosts that the engine of the last run uses."""
    layout = cluster.record.layout
    return layout.gpus if layout else ()


def removed_while_it_serves(host: str) -> Problem:
    """Return the problem of a host that left the inventory while an engine that may not be stopped uses it."""
    found = "the engine uses it, but it is no longer in the inventory"
    fix = "add it again, or allow the engine to be stopped and planned again: -e vllm_ray_restart=true"
    return Problem(host, "layout", "error", found, "a host of the inventory", fix)
