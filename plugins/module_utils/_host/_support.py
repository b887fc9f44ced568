# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a host goes into a support bundle. PRIVATE to the collection."""

from __future__ import annotations

import re
import shlex
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall._backends import TOOL

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# What is asked of the system: {name of the file: command}; a program that is not installed is named among what is
# missing. The release's own commands are not here.
COMMANDS = {
    "system/ip-address": ["ip", "-statistics", "address"],
    "system/ip-route": ["ip", "route", "show", "table", "all"],
    "system/ip-rule": ["ip", "rule"],
    "system/ip-neighbour": ["ip", "neighbour"],
    "system/sockets": ["ss", "-l", "-t", "-n", "-p"],
    f"system/{TOOL.name}": [*TOOL.show],
    "system/iptables": ["iptables", "-S"],
    "system/disks": ["df", "-h"],
    "system/memory": ["free", "-m"],
    "gpu/nvidia-smi": ["nvidia-smi", "-q"],
    "gpu/topology": ["nvidia-smi", "topo", "-m"],
}
# What the kernel says of the network, with or without programs that ask it.
KERNEL_FILES = {
    f"system/proc-net/{name}": f"/proc/net/{name}"
    for name in ("arp", "dev", "fib_trie", "ipv6_route", "netstat", "route", "snmp", "sockstat", "tcp", "tcp6")
}
# `vllm collect-env` fails where there is neither pip nor uv, as in our releases; release.txt has all packages.
COLLECT_ENV = """
from vllm import collect_env
collect_env.get_pip_packages = lambda *_: ("pip", "see release.txt")
collect_env.main()
"""
# What the kernel says of GPUs, of memory that ran out, and of links.
KERNEL = re.compile(r"NVRM|\bXid\b|nvidia|oom-killer|[Oo]ut of memory|Killed process|mlx\d|[Ll]ink is (?:Up|Down)")
# What NCCL says of its transports, and what it complains of.
NCCL = re.compile(r"NCCL (?:INFO .*(?: via |NET/|Using network|GDRDMA|NVLS)|INFO NCCL version|WARN)")
NCCL_LINES = 300
# Names of files in a bundle: services make files, too, and no name may lead out of where the bundle is unpacked.
MEMBER = re.compile(r"(?![.])[\w@.+:=,-]{1,200}(?:/(?![.])[\w@.+:=,-]{1,200}){0,8}", re.ASCII)
# Prints the end of what a command prints, so many bytes (the first argument), and of its errors; ends as the command.
BOUNDED = """n=$1; shift; exec 3>&1 5>&2
rc=$({ { { "$@" 3>&- 4>&- 5>&- 6>&-; echo $? >&4; } 2>&1 >&6 | tail -c 4096 >&5; } 6>&1 | tail -c "$n" >&3; } 4>&1)
exit "$rc"
"""
# Names of Ray's logs, those first that show most of nodes and ranks that fail.
RAY_ORDER = ("raylet.", "gcs_server.", "worker-", "python-core-worker-", "monitor.", "dashboard", "runtime_env", "")


def whole_lines(data: bytes, left_out: int) -> str:
    """Return the text of the end of a file. Its first line, which may be half a secret, goes with what is left out."""
    text = data.decode(errors="replace")
    if not left_out:
        return text
    _half, _newline, rest = text.partition("\n")
    return f"[{left_out} bytes and the rest of a line are left out]\n{rest}"


def last_starts(lines: Sequence[str], unit: str, count: int = 2) -> list[str]:
    """Return the journal of a unit from one of its last starts on: restarts by itself belong to the start before.

    lines: of any format of journalctl that ends in the message.
    """
    begins, scheduled = [0], False
    for number, line in enumerate(lines):
        if f"{unit}: Scheduled restart job" in line:
            scheduled = True
        elif re.search(rf"(?:^|: )Started {re.escape(unit)}", line):
            begins += [] if scheduled else [number]
            scheduled = False
    return list(lines[begins[-count:][0] :])


def ray_order(name: str) -> tuple[int, str]:
    """Return where one of Ray's logs stands among them."""
    return next(rank for rank, start in enumerate(RAY_ORDER) if name.startswith(start)), name


def kernel_lines(text: str) -> str:
    """Return what the kernel's log says of GPUs, of memory that ran out, and of links."""
    return "".join(f"{line}\n" for line in text.splitlines() if KERNEL.search(line))


def nccl_lines(name: str, text: str) -> list[str]:
    """Return the last lines about NCCL's transports in a log, each with its name."""
    return [f"{name}: {line}" for line in text.splitlines() if NCCL.search(line)][-NCCL_LINES:]


def environment(variables: Mapping[str, object]) -> str:
    """Return variables as lines of a shell."""
    return "".join(f"{name}={shlex.quote(str(value))}\n" for name, value in variables.items())


def release_text(path: str, python: str, packages: Mapping[str, str]) -> str:
    """Return what a release consists of."""
    lines = [path, f"Python {python}", *(f"{name}=={version}" for name, version in sorted(packages.items()))]
    return "".join(f"{line}\n" for line in lines)


def missing_text(missing: Iterable[str]) -> str:
    """Return the file that names what a bundle lacks."""
    return "".join(f"{line}\n" for line in missing) or "nothing\n"
