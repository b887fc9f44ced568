# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first process of a host: creates the host's namespaces, sets them up, and collects processes that end.

Arguments: one JSON object, see Setup. It prints its PID as the machine sees it and waits for a line: then the cable
must be in its network namespace. After it printed "up", the host is ready.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TypedDict

# clone(2): mount, UTS, IPC, PID and network namespaces.
NAMESPACES = 0x00020000 | 0x04000000 | 0x08000000 | 0x20000000 | 0x40000000
NIC = "eth0"


class Setup(TypedDict):
    """name: hostname. binds: what a path shows on this host: {path: file or directory}. hidden: devices of others."""

    name: str
    address: str
    prefix: int
    binds: dict[str, str]
    hidden: list[str]


def mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


def files(setup: Setup, spare: str) -> None:
    """Give the host its own /proc, /sys, /dev/shm and directories. spare: an empty directory."""
    mount("--make-rprivate", "/")
    mount("-t", "proc", "proc", "/proc")
    # /sys shows the NICs of the network namespace in which it was mounted.
    cgroups = Path("/sys/fs/cgroup").is_dir()
    if cgroups:
        mount("--rbind", "/sys/fs/cgroup", spare)
    mount("-t", "sysfs", "sysfs", "/sys")
    if cgroups:
        mount("--move", spare, "/sys/fs/cgroup")
    mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", "/dev/shm")
    for path, source in setup["binds"].items():
        mount("--bind", source, path)
    # Nobody can open a device there, root included. A device that is missing would be created again by the driver.
    for device in setup["hidden"]:
        mount("--bind", device, device)
        mount("-o", "remount,bind,nodev", device)


def network(setup: Setup) -> None:
    # Carried along: it is found by PYTHONPATH.
    with importlib.import_module("pyroute2").IPRoute() as ip:
        (nic,) = ip.link_lookup(ifname=NIC)
        ip.addr("add", index=nic, address=setup["address"], prefixlen=setup["prefix"])
        for index in (nic, *ip.link_lookup(ifname="lo")):
            ip.link("set", index=index, state="up")


def main(setup: Setup, spare: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(NAMESPACES):
        raise OSError(ctypes.get_errno(), "no namespaces: this needs root")
    # The child is the first process of the new PID namespace.
    pid = os.fork()
    if pid:
        print(pid, flush=True)
        os._exit(0)
    if not sys.stdin.readline():
        os._exit(1)
    socket.sethostname(setup["name"])
    files(setup, spare)
    network(setup)
    print("up", flush=True)
    # Processes that lost their parent become its children. When they end, they are removed at once.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    os.chdir("/")
    os.execvp("sleep", ["sleep", "infinity"])


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), sys.argv[2])
