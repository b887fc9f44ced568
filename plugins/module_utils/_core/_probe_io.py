# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all probes read with: commands, /proc and /sys. PRIVATE to the collection."""

from __future__ import annotations

import os
import pwd
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._safe_io import read_kernel
from ansible_collections.vllm_ray.cluster.plugins.module_utils._net._listeners import Process, known_as

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ansible.module_utils.basic import AnsibleModule


def has(module: AnsibleModule, program: str) -> bool:
    """Return whether a program is installed."""
    return bool(module.get_bin_path(program))


def run(module: AnsibleModule, argv: Sequence[str]) -> str:
    """Return what a command prints, or an empty text where it is missing or fails."""
    if not has(module, argv[0]):
        return ""
    rc, out, _err = module.run_command(list(argv))
    return out if rc == 0 else ""


def processes() -> dict[int, Process]:
    """Return all processes of the host."""
    result = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            uid = os.stat(f"/proc/{entry}").st_uid
        except OSError:
            continue
        head, _paren, rest = (read_kernel(f"/proc/{entry}/stat") or "").rpartition(")")
        if not rest:
            continue
        cgroup = (read_kernel(f"/proc/{entry}/cgroup") or "").strip().splitlines()
        name = head.split("(", 1)[1]
        command = read_kernel(f"/proc/{entry}/cmdline") if name.startswith("python") else ""
        units = [line.rsplit("/", 1)[-1] for line in cgroup]
        result[int(entry)] = Process(
            pid=int(entry),
            parent=int(rest.split()[1]),
            name=known_as(name, (command or "").replace("\0", " ")),
            user=user_name(uid),
            unit=next((unit for unit in units if unit.endswith(".service")), ""),
        )
    return result


def ssh_connection() -> str:
    """Return SSH_CONNECTION of the session that this process belongs to, empty where it is none of SSH.

    sudo drops it from the environment, so it is looked for in the processes above this one.
    """
    text, pid = os.environ.get("SSH_CONNECTION", ""), os.getppid()
    while not text and pid > 1:
        pairs = (read_kernel(f"/proc/{pid}/environ") or "").split("\0")
        text = next((pair.partition("=")[2] for pair in pairs if pair.startswith("SSH_CONNECTION=")), "")
        stat = (read_kernel(f"/proc/{pid}/stat") or "").rpartition(")")[2].split()
        pid = int(stat[1]) if len(stat) > 1 else 0
    return text


def user_name(uid: int) -> str:
    """Return the name of a user, or its number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def entries(directory: str) -> list[str]:
    """Return the names in a directory, none where there is no such directory."""
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []


def tree(paths: Iterable[str]) -> dict[str, str]:
    """Return {path: text} of files of /sys: of a link its target, of a directory its names, each on a line.

    What can't be read is left out: files of /sys may be there and still refuse.
    """
    result = {}
    for path in paths:
        try:
            if os.path.islink(path):
                result[path] = os.readlink(path)
            elif os.path.isdir(path):
                result[path] = "\n".join(sorted(os.listdir(path)))
            else:
                text = read_kernel(path)
                if text is not None:
                    result[path] = text.strip()
        except OSError:
            continue
    return result
