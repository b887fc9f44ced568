# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listening sockets and processes of a host. PRIVATE to the collection."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ansible_collections.vllm_ray.cluster.plugins.module_utils._plain import plain

if t.TYPE_CHECKING:
    from collections.abc import Collection, Mapping

ARGV = ["ss", "-H", "-l", "-t", "-n", "-p"]
RAY_PROGRAMS = ("raylet", "gcs_server")
# What of a Ray runs as `python`, by a part of its command line, and what we call it.
RAY_PARTS = {
    "/ray/autoscaler/_private/monitor.py": "ray-monitor",
    "/ray/dashboard/dashboard.py": "ray-dashboard",
    "/ray/dashboard/agent.py": "ray-dashboard-agent",
    "/ray/_private/log_monitor.py": "ray-log-monitor",
    "/ray/_private/runtime_env/agent/main.py": "ray-runtime-env-agent",
    "ray.util.client.server": "ray-client-server",
}
# How the processes of a Ray and of an engine begin; the kernel cuts names to 15 characters.
FAMILY = (*RAY_PROGRAMS, "ray::", "VLLM::", "vllm")


@dataclass(frozen=True)
class Process:
    """A process as /proc tells it. unit: the last part of its cgroup's path."""

    pid: int
    parent: int
    name: str
    user: str
    unit: str = ""


@dataclass(frozen=True)
class Listener:
    """A listening TCP socket. pid is 0 where the owner may not be seen."""

    address: str
    port: int
    pid: int
    process: str


def known_as(name: str, command: str) -> str:
    """Return what we call a process: its own name, but for parts of a Ray that run as `python`."""
    if not name.startswith("python"):
        return plain(name)
    return next((part for sign, part in RAY_PARTS.items() if sign in command), plain(name))


def parse_ss(text: str) -> list[Listener]:
    """Parse the output of ARGV."""
    listeners = []
    for line in text.split("\n"):
        columns = line.split()
        if len(columns) < 5 or columns[0] != "LISTEN":
            continue
        address, _colon, port = columns[3].rpartition(":")
        owner = re.search(r'\(\("([^"]*)",pid=(\d+)', line)
        listeners.append(
            Listener(
                address=address.split("%")[0].strip("[]"),
                port=int(port),
                pid=int(owner.group(2)) if owner else 0,
                process=plain(owner.group(1)) if owner else "",
            )
        )
    return listeners


def is_descendant(pid: int, ancestors: Collection[int], processes: Mapping[int, Process]) -> bool:
    """Tell whether a process is one of the ancestors or comes from one."""
    seen = set()
    while pid > 1 and pid not in seen:
        if pid in ancestors:
            return True
        seen.add(pid)
        process = processes.get(pid)
        pid = process.parent if process else 0
    return False


def foreign_listeners(
    listeners: Collection[Listener],
    ports: Collection[int],
    own_pids: Collection[int],
    processes: Mapping[int, Process],
) -> list[Listener]:
    """Return the listeners on our ports that do not come from our own services."""
    return [
        listener
        for listener in listeners
        if listener.port in ports and not is_descendant(listener.pid, own_pids, processes)
    ]


def describe(listener: Listener, processes: Mapping[int, Process]) -> dict[str, t.Any]:
    """Return a listener with the user and the unit of its process, empty where they can't be seen."""
    process = processes.get(listener.pid)
    return {
        "port": listener.port,
        "address": listener.address,
        "pid": listener.pid,
        "process": process.name if process else listener.process,
        "user": process.user if process else "",
        "unit": process.unit if process else "",
    }


def facts(process: Process) -> dict[str, t.Any]:
    """Return what names a process."""
    return {"pid": process.pid, "process": process.name, "user": process.user}


def foreign_ray(processes: Mapping[int, Process], own_pids: Collection[int]) -> list[Process]:
    """Return the daemons of Rays that come from no service of this collection, of whichever cluster."""
    return [
        process
        for process in processes.values()
        if process.name in (*RAY_PROGRAMS, *RAY_PARTS.values())
        and not process.unit.startswith("vllm-ray-node@")
        and not is_descendant(process.pid, own_pids, processes)
    ]


def strays(processes: Mapping[int, Process], own_pids: Collection[int]) -> list[Process]:
    """Return the heads of other engines and what is left of dead Rays and engines: nothing of ours stands above them.

    The daemons of a Ray that lives are foreign_ray's, and its workers are below them.
    """
    family = {pid for pid, process in processes.items() if process.name.startswith(FAMILY)}
    return [
        processes[pid]
        for pid in sorted(family)
        if processes[pid].name not in RAY_PROGRAMS
        and not processes[pid].unit.startswith("vllm-ray-")
        and not is_descendant(pid, own_pids, processes)
        and not is_descendant(processes[pid].parent, family, processes)
    ]
