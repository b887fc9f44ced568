# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a host's processes live: a cgroup per hierarchy, so that limits bind and a power cut reaches all of them."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING

from .settings import LabError

if TYPE_CHECKING:
    from collections.abc import Callable

UNIFIED = "unified"


def places(proc_self_cgroup: str, name: str, exists: Callable[[Path], bool]) -> dict[str, Path]:
    """Choose a host's cgroup in every mounted hierarchy.

    Memory goes below the caller's own group, so that whatever limits the caller still counts the hosts; the others go
    to the top, where a host's systemd finds every controller.
    """
    mounts = Path("/sys/fs/cgroup")
    chosen: dict[str, Path] = {}
    for line in proc_self_cgroup.splitlines():
        _number, controllers, path = line.split(":", 2)
        if controllers:
            hierarchy = controllers.removeprefix("name=")
            root = mounts / hierarchy
        else:
            hierarchy = UNIFIED
            root = mounts / UNIFIED if exists(mounts / UNIFIED) else mounts
            if not exists(root / "cgroup.procs"):
                continue
        if exists(root):
            chosen[hierarchy] = (root / path.lstrip("/") if hierarchy == "memory" else root) / name
    if UNIFIED not in chosen:
        raise LabError(
            "this machine has no cgroup v2 hierarchy, which stops and freezes hosts: "
            "mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified"
        )
    return chosen


def populated(unified: Path) -> bool:
    """Whether any process lives there."""
    try:
        return "populated 1" in (unified / "cgroup.events").read_text()
    except OSError:
        return False


def frozen(unified: Path) -> bool:
    try:
        return "frozen 1" in (unified / "cgroup.events").read_text()
    except OSError:
        return False


def end(unified: Path, seconds: float = 10) -> None:
    """Kill every process at once and wait until they are gone."""
    with contextlib.suppress(FileNotFoundError):
        (unified / "cgroup.kill").write_text("1")
    deadline = time.monotonic() + seconds
    while populated(unified):
        if time.monotonic() > deadline:
            raise LabError(f"processes in {unified} do not die; see {unified}/cgroup.procs")
        time.sleep(0.02)


def remove(cgroups: list[Path], seconds: float = 5) -> None:
    """Remove the cgroups with all below them. A v1 group stays busy for a moment after its last process."""
    deadline = time.monotonic() + seconds
    for cgroup in cgroups:
        while cgroup.exists():
            below = sorted((path for path in cgroup.rglob("*") if path.is_dir()), key=lambda path: -len(path.parts))
            for path in (*below, cgroup):
                with contextlib.suppress(OSError):
                    path.rmdir()
            if cgroup.exists():
                if time.monotonic() > deadline:
                    raise LabError(f"cgroup {cgroup} can't be removed; processes may be left in it")
                time.sleep(0.02)


def memory_use(cgroups: dict[str, Path]) -> tuple[int, int] | None:
    """Bytes that a host's processes and its page cache take, if this machine counts them."""
    for path, keys in (
        (cgroups.get("memory"), ("total_rss", "total_cache")),
        (cgroups.get(UNIFIED), ("anon", "file")),
    ):
        with contextlib.suppress(OSError, KeyError):
            if path is not None:
                counts = dict(line.split() for line in (path / "memory.stat").read_text().splitlines())
                return int(counts[keys[0]]), int(counts[keys[1]])
    return None
