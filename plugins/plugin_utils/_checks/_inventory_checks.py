# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the inventory: its groups, hosts that were not probed, hosts that left it. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._problem import Problem
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks._check import Need, check
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._cluster import engine_state
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._host import serve_state, unit_names

if t.TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._cluster import Cluster
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._host import Host

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


@check("inventory", needs=Need.INVENTORY)
def check_inventory(hosts: Sequence[Host], head_group: str, worker_group: str) -> list[Problem]:
    """Check what an inventory says by itself, with nothing known of the hosts."""
    problems = []
    heads = [host.name for host in hosts if host.is_head]
    if len(heads) != 1:
        found = f"{len(heads)} hosts in the group {head_group}" + (f": {', '.join(heads)}" if heads else "")
        fix = f"put one host into the group {head_group}, or name another group by vllm_ray_head_group"
        problems.append(Problem("-", "inventory", "error", found, "exactly one head", fix))
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


@check("reach", needs=Need.PLAN)
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


@check("reach", needs=Need.PLAN)
def check_serving(cluster: Cluster) -> list[Problem]:
    """Name the hosts because of which it is not known whether an engine serves."""
    if cluster.serving is not None:
        return []
    consent = "allow the engine to be stopped: -e vllm_ray_restart=true"
    problems = []
    for host in cluster.hosts:
        if host.look and engine_state(host) is None:
            state, why = serve_state(host), host.look["engine"]["why"]
            found = f"the service of its engine is {state}, but the engine can't be asked: {why}"
            problems.append(unknown(host.name, found, f"restart it, or {consent}"))
    server = cluster.by_name.get(cluster.record.serve_host)
    if server and server.look is None:
        fix = f"make the host reachable, or {consent}. Until then, no service that its engine may use is stopped"
        problems.append(
            unknown(server.name, f"its engine may serve, but the host could not be probed: {server.absent}", fix)
        )
    return problems


def unknown(host: str, found: str, fix: str) -> Problem:
    """Return the problem of a host of which it is not known whether it serves."""
    return Problem(host, "reach", "warning", found, "an answer that shows whether the engine serves", fix)


@check("inventory", needs=Need.PLAN)
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
