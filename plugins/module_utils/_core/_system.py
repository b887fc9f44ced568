# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's system reports about itself. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Collection


def parse_os_release(text: str) -> dict[str, str]:
    """Return id and version of the distribution from /etc/os-release."""
    values = dict(line.replace('"', "").split("=", 1) for line in text.splitlines() if "=" in line)
    return {"id": values.get("ID", ""), "version": values.get("VERSION_ID", "")}


def unit_user(text: str) -> str:
    """Return the account that a unit's file names, root where it names none."""
    names = [line.split("=", 1)[1].strip().strip('"') for line in text.splitlines() if line.startswith("User=")]
    return next((name for name in reversed(names) if name), "root")


def parse_memlock(text: str) -> int | None:
    """Return the bytes that a process may lock, from /proc/PID/limits: -1 = without a limit, None = unknown."""
    for line in text.splitlines():
        if line.startswith("Max locked memory"):
            soft = line.split()[3]
            return -1 if soft == "unlimited" else int(soft)
    return None


def stale_sockets(files: Collection[str], proc_net_unix: str) -> list[str]:
    """Return the socket files that no process has open.

    proc_net_unix: text of /proc/net/unix, whose eighth column is the path of a socket that has one.
    """
    rows = (line.split(None, 7) for line in proc_net_unix.splitlines())
    bound = {row[7] for row in rows if len(row) == 8}
    return sorted(set(files) - bound)
