# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the sockets of a host, and tries ports. PRIVATE to the collection."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._plain import plain
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._probe_io import processes, user_name
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._safe_io import read_kernel
from ansible_collections.vllm_ray.cluster.plugins.module_utils._net import _listeners

if t.TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _look


def listeners(protocols: Sequence[str] = ("tcp",), ports: Collection[int] = ()) -> list[_listeners.Listener]:
    """Return all listening sockets of these protocols, tcp and udp; only those of ports, where some are named.

    Raises OSError where the kernel does not report them: that is not the same as none.
    """
    found = [
        (protocol, entry)
        for protocol in protocols
        for text in tables(protocol)
        for entry in _listeners.parse_proc_net(text, state=_listeners.LISTENING[protocol])
        if not ports or entry.local[1] in ports
    ]
    pids = holders({entry.inode for _protocol, entry in found})
    names = {pid: plain((read_kernel(f"/proc/{pid}/comm") or "").strip()) for pid in {*pids.values()}}
    groups = {pid: read_kernel(f"/proc/{pid}/cgroup") or "" for pid in names}
    users = {uid: user_name(uid) for uid in {entry.uid for _protocol, entry in found}}

    def listener(protocol: str, entry: _listeners.Socket) -> _listeners.Listener:
        pid = pids.get(entry.inode, 0)
        address, port = entry.local
        name, user, group = names.get(pid, ""), users[entry.uid], groups.get(pid, "")
        return _listeners.Listener(protocol, address, port, name, pid, user, group)

    return [listener(protocol, entry) for protocol, entry in found]


def tables(protocol: str) -> list[str]:
    """Return the kernel's tables of sockets. Raises OSError where there is none; that of IPv6 may be missing."""
    texts = []
    for path in (f"/proc/net/{protocol}", f"/proc/net/{protocol}6"):
        text = read_kernel(path)
        if text is None and (os.path.lexists(path) or not path.endswith("6")):
            raise OSError(errno.EACCES, "the kernel does not report sockets", path)
        texts.append(text or "")
    return texts


def sees(pid: int) -> bool:
    """Return whether the sockets of a process can be seen."""
    try:
        os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return False
    return True


def sockets(port: int) -> list[_listeners.Socket]:
    """Return the TCP sockets of this host with a local port."""
    return [found for text in tables("tcp") for found in _listeners.parse_proc_net(text, port)]


def peer_of(connection: socket.socket) -> _listeners.Socket | None:
    """Return the other end of a connection. None: it is no socket of this host."""
    here, there = ends(connection)
    return next((found for found in sockets(there[1]) if (found.local, found.remote) == (there, here)), None)


def ends(connection: socket.socket) -> Iterator[tuple[str, int]]:
    """Yield address and port of both ends of a connection, ours first."""
    for name in (connection.getsockname(), connection.getpeername()):
        yield _listeners.plain_address(name[0]), name[1]


def is_local(connection: socket.socket) -> bool:
    """Return whether a connection leads to an address of this host. With ip_nonlocal_bind, all count as such."""
    with socket.socket(connection.family, socket.SOCK_STREAM) as probe:
        name = connection.getpeername()
        try:
            probe.bind((name[0], 0, *name[2:]))
        except OSError:
            return False
    return True


def holders(inodes: Collection[int]) -> dict[int, int]:
    """Return {inode of a socket: id of a process that has it open}, without those that can't be seen.

    Of several the first: children inherit. systemd opens sockets for others, so it comes last.
    """
    wanted = {f"socket:[{inode}]": inode for inode in inodes if inode}
    found: dict[int, int] = {}
    for pid in sorted((int(name) for name in os.listdir("/proc") if name.isdigit()), key=lambda pid: (pid == 1, pid)):
        if len(found) == len(wanted):
            break
        folder = f"/proc/{pid}/fd"
        try:
            numbers = os.listdir(folder)
        except OSError:
            continue
        for number in numbers:
            with contextlib.suppress(OSError):
                inode = wanted.get(os.readlink(f"{folder}/{number}"))
                if inode:
                    found.setdefault(inode, pid)
    return found


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


def bind_errors(address: str, ports: Sequence[int]) -> list[_look.BindError]:
    """Return the ports that can't be bound: [{port, address, error}]."""
    found = {port: bind_error(address, port) for port in ports}
    return [{"port": port, "address": address, "error": error} for port, error in found.items() if error]


class Ports(t.TypedDict):
    """Listeners, and ports that can't be bound."""

    listeners: list[_look.Listener]
    bind_errors: list[_look.BindError]


def look(ports: Sequence[int], address: str) -> Ports:
    """Return the listeners on ports (on all, if none are named), and which of these ports can't be bound.

    Raises OSError if the kernel does not report listeners.
    """
    table = processes()
    return {
        "listeners": [_listeners.describe(listener, table) for listener in listeners(ports=ports)],
        "bind_errors": bind_errors(address, ports),
    }
