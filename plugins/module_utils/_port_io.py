# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the sockets of a host, and tries ports. PRIVATE to the collection."""

from __future__ import annotations

import contextlib
import os
import socket
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils import _listeners
from ansible_collections.vllm_ray.cluster.plugins.module_utils._probe_io import entries, has, processes, run
from ansible_collections.vllm_ray.cluster.plugins.module_utils._safe_io import read_kernel

if t.TYPE_CHECKING:
    from collections.abc import Sequence

    from ansible.module_utils.basic import AnsibleModule


def listeners(module: AnsibleModule) -> list[_listeners.Listener]:
    """Return all listening TCP sockets."""
    return _listeners.parse_ss(run(module, _listeners.ARGV))


def sockets(port: int) -> list[_listeners.Socket]:
    """Return the TCP sockets of this host with a local port."""
    texts = [read_kernel(f"/proc/net/{name}") or "" for name in ("tcp", "tcp6")]
    return [found for text in texts for found in _listeners.parse_proc_net(text, port)]


def peer_of(connection: socket.socket) -> _listeners.Socket | None:
    """Return the other end of a connection. None: it is no socket of this host."""
    here, there = ((_listeners.plain_address(name[0]), name[1]) for name in ends(connection))
    return next((found for found in sockets(there[1]) if (found.local, found.remote) == (there, here)), None)


def ends(connection: socket.socket) -> tuple[t.Any, t.Any]:
    """Return both names of a connection, ours first."""
    return connection.getsockname(), connection.getpeername()


def is_local(connection: socket.socket) -> bool:
    """Return whether a connection leads to an address of this host. With ip_nonlocal_bind, all count as such."""
    with socket.socket(connection.family, socket.SOCK_STREAM) as probe:
        name = connection.getpeername()
        try:
            probe.bind((name[0], 0, *name[2:]))
        except OSError:
            return False
    return True


def process_with(inode: int) -> int:
    """Return the id of a process that has a socket open, 0 where none can be seen."""
    wanted = f"socket:[{inode}]"
    for pid in filter(str.isdigit, entries("/proc")):
        for number in entries(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{pid}/fd/{number}") == wanted:
                    return int(pid)
    return 0


def bind_error(address: str, port: int) -> str:
    """Return why a port can't be bound on an address, empty where it can. Nobody can connect to it meanwhile."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As servers do: connections that have ended don't count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            return error.strerror or str(error)
    return ""


def bind_errors(address: str, ports: Sequence[int]) -> list[dict[str, t.Any]]:
    """Return the ports that can't be bound: [{port, address, error}]."""
    found = [{"port": port, "address": address, "error": bind_error(address, port)} for port in ports]
    return [entry for entry in found if entry["error"]]


def look(module: AnsibleModule, ports: Sequence[int], address: str) -> dict[str, t.Any]:
    """Return who listens on ports (on any, where none are named), and which of them can't be bound."""
    table = processes()
    found = [listener for listener in listeners(module) if not ports or listener.port in ports]
    return {
        "listeners": [_listeners.describe(listener, table) for listener in found],
        "bind_errors": bind_errors(address, ports),
        "missing": [] if has(module, _listeners.ARGV[0]) else [_listeners.ARGV[0]],
    }
