# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listening sockets and processes of a host. PRIVATE to the collection."""

from __future__ import annotations

import ipaddress
import sys
import typing as t
from dataclasses import dataclass

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._plain import plain

if t.TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _look

# States of sockets in /proc/net/tcp. A socket of UDP that is connected to nobody is closed, as TCP would call it.
ESTABLISHED, CLOSED, LISTENS = "01", "07", "0A"
LISTENING = {"tcp": LISTENS, "udp": CLOSED}
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
    """A process as /proc shows it. unit: the last part of its cgroup's path."""

    pid: int
    parent: int
    name: str
    user: str
    unit: str = ""


@dataclass(frozen=True)
class Listener:
    """A listening socket. process is empty and pid 0 where no process that may be seen holds it.

    proto: tcp or udp. address: :: also where IPv4 comes in by it. user: who made it, which everybody may see.
    """

    proto: str
    address: str
    port: int
    process: str = ""
    pid: int = 0
    user: str = ""
    cgroup: str = ""

    @property
    def is_local(self) -> bool:
        """Return whether only this host reaches it."""
        return ipaddress.ip_address(plain_address(self.address)).is_loopback

    def as_dict(self) -> dict[str, object]:
        return {"port": self.port, "proto": self.proto, "process": self.process, "pid": self.pid}


@dataclass(frozen=True)
class Socket:
    """A socket as /proc/net/tcp, tcp6, udp and udp6 show it. local and remote: (address, port).

    inode is 0 where no process holds it: the connection waits in the queue of a listener, or has been closed. Only
    with an inode is uid the account of the process that holds it.
    """

    local: tuple[str, int]
    remote: tuple[str, int]
    state: str
    uid: int
    inode: int


def known_as(name: str, command: str) -> str:
    """Return what we call a process: its own name, but for parts of a Ray that run as `python`."""
    if not name.startswith("python"):
        return plain(name)
    return next((part for sign, part in RAY_PARTS.items() if sign in command), plain(name))


def plain_address(address: str) -> str:
    """Return an address in its usual form, without a zone; an IPv4 address that IPv6 carries as IPv4."""
    parsed = ipaddress.ip_address(address.split("%")[0])
    mapped = getattr(parsed, "ipv4_mapped", None)
    return str(mapped or parsed)


def _end(text: str) -> tuple[str, int]:
    """Return address and port of one end of a socket: the kernel prints words of 4 bytes in its own byte order."""
    words, _colon, port = text.partition(":")
    packed = b"".join(int(words[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(words), 8))
    return plain_address(str(ipaddress.ip_address(packed))), int(port, 16)


def parse_proc_net(text: str, port: int | None = None, state: str = "") -> list[Socket]:
    """Return the sockets of /proc/net/tcp, tcp6, udp or udp6; only those with a local port, or in a state."""
    sockets = []
    for line in text.splitlines()[1:]:
        columns = line.split()
        if len(columns) < 10 or (state and columns[3] != state):
            continue
        if port is None or columns[1].endswith(f":{port:04X}"):
            local, remote = _end(columns[1]), _end(columns[2])
            sockets.append(Socket(local, remote, columns[3], int(columns[7]), int(columns[9])))
    return sockets


def listener_of(sockets: Collection[Socket], address: str) -> Socket | None:
    """Return the socket that takes connections to an address: one bound to it, else one bound to all addresses."""
    listening = [socket for socket in sockets if socket.state == LISTENS]
    for local in (address, "0.0.0.0", "::"):
        found = next((socket for socket in listening if socket.local[0] == local), None)
        if found:
            return found
    return None


def is_descendant(pid: int, ancestors: Collection[int], processes: Mapping[int, Process]) -> bool:
    """Return whether a process is one of the ancestors or comes from one."""
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
    blind: bool = False,
) -> list[Listener]:
    """Return the listeners on our ports that do not come from our own services.

    blind: the sockets of our services can't be seen, so that those of their account count as theirs, but for root's.
    """
    users = {processes[pid].user for pid in own_pids if blind and pid in processes} - {"root"}
    return [
        listener
        for listener in listeners
        if listener.port in ports
        and not is_descendant(listener.pid, own_pids, processes)
        and (listener.pid or listener.user not in users)
    ]


def describe(listener: Listener, processes: Mapping[int, Process]) -> _look.Listener:
    """Return a listener with the unit of its process; pid is 0 and words are empty where they can't be seen."""
    process = processes.get(listener.pid)
    return {
        "port": listener.port,
        "address": listener.address,
        "pid": listener.pid,
        "process": process.name if process else listener.process,
        "user": process.user if process else listener.user,
        "unit": process.unit if process else "",
    }


def facts(process: Process) -> _look.Process:
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
