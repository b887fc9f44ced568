# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads which releases a host has and what uses them, and removes old ones. PRIVATE to the collection."""

from __future__ import annotations

import contextlib
import glob
import os
import time
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _folders_io, _lock_io, _safe_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine._runtime import Venv, releases_of
from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases import (
    _release,
    _release_io,
    _release_tree,
    _releases,
)
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees import _tree, _tree_io

if t.TYPE_CHECKING:
    from collections.abc import Sequence

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases._releases import Release

# Files of a cluster's configuration are small; what is larger is none of ours.
LARGEST_FILE = 1 << 20
DAY = 86400


def look(root: str, config_root: str, verify: bool = False) -> list[Release]:
    """Return all releases of a host that are complete, the newest first. verify: hash their files."""
    directory = os.path.realpath(releases_of(root))
    users = clusters(config_root)
    running = processes()
    found: list[Release] = []
    for name in sorted(os.listdir(directory)) if os.path.isdir(directory) else []:
        path = f"{directory}/{name}"
        record = _release_io.read_record(path) if not name.startswith(".") else {}
        if record.get("id") != name:
            continue
        found.append(
            {
                "id": name,
                "directory": path,
                "lock": record["lock"],
                "versions": _release.shown_versions(record["packages"]),
                "python": record["python"],
                "manifest": record["manifest"]["sha256"],
                "bytes": record["manifest"]["bytes"],
                "since": int(os.stat(f"{path}/{_release_tree.RECORD}").st_mtime),
                "damaged": _release_io.damage(path) if verify else [],
                "current_of": sorted(cluster for cluster, used in users.items() if name in used.current_of),
                "previous_of": sorted(cluster for cluster, used in users.items() if name in used.previous_of),
                "named_by": sorted(cluster for cluster, used in users.items() if name in used.named_by),
                "processes": len(running.get(name, [])),
            }
        )
    return sorted(found, key=lambda release: (-release["since"], release["id"]))


class Used(t.NamedTuple):
    """The ids of releases that the links of a cluster lead to and its files name."""

    current_of: set[str]
    previous_of: set[str]
    named_by: set[str]


def clusters(config_root: str) -> dict[str, Used]:
    """Return what releases each cluster of the host uses."""
    found = {}
    for directory in glob.glob(f"{glob.escape(config_root)}/*/"):
        used = Used(led_to(f"{directory}current"), led_to(f"{directory}previous"), named_by(directory))
        found[os.path.basename(directory.rstrip("/"))] = used
    return found


def led_to(link: str) -> set[str]:
    """Return the id of the release that a link leads to, if it leads to one."""
    return Venv.named(os.readlink(link)) if os.path.islink(link) else set()


def named_by(directory: str) -> set[str]:
    """Return the ids of releases that files of a cluster's configuration name: services use them, or will."""
    names: set[str] = set()
    for folder, name in _safe_io.find(directory, "*"):
        # What is no file, larger, or not for us, is none of ours.
        with contextlib.suppress(OSError):
            names |= Venv.named(folder.read(name, LARGEST_FILE).decode(errors="replace"))
    return names


def processes() -> dict[str, list[int]]:
    """Return the processes whose command lines name a release, by its id."""
    found: dict[str, list[int]] = {}
    for name in glob.glob("/proc/[0-9]*/cmdline"):
        for id_ in Venv.named(_safe_io.read_kernel(name) or ""):
            found.setdefault(id_, []).append(int(name.split("/")[2]))
    return found


# --- Pruning ---------------------------------------------------------------------------------------------------------


class Pruning(t.TypedDict):
    """The options of release_prune."""

    root: str
    config_root: str
    record_directory: str
    keep: int
    wanted: str


def prune(params: Pruning, dry: bool = False) -> dict[str, object]:
    """Remove old releases and what cut runs left, and return which. Where a release is being made, nothing goes."""
    directory = os.path.realpath(releases_of(params["root"]))
    if dry or not os.path.isdir(directory):
        return removed(prunable(params))
    try:
        with _lock_io.held(directory, "removes old releases", 0):
            # Only now: until the lock was free, another run may have made or removed some.
            going = prunable(params)
            for release in going:
                remove(release["directory"], f"{directory}/.pruned-{release['id']}", params["record_directory"])
            remove_leftovers(directory)
    except _lock_io.Busy:
        return removed([])
    return removed(going)


def prunable(params: Pruning) -> list[Release]:
    """Return the releases of a host that may go now."""
    releases = look(params["root"], params["config_root"])
    old = set(_releases.to_prune(releases, params["keep"], params["wanted"]))
    return [release for release in releases if release["id"] in old]


def removed(going: Sequence[Release]) -> dict[str, object]:
    """Return what release_prune returns."""
    return {
        "changed": bool(going),
        "removed": sorted(release["id"] for release in going),
        "bytes": sum(release["bytes"] for release in going),
    }


def remove_leftovers(directory: str) -> None:
    """Remove what cut runs left beside releases, when it is a day old."""
    for name in os.listdir(directory):
        if _releases.LEFTOVER.fullmatch(name) and time.time() - os.lstat(f"{directory}/{name}").st_mtime > DAY:
            with contextlib.suppress(OSError):
                _safe_io.remove(f"{directory}/{name}")


def remove(path: str, aside: str, records: str) -> None:
    """Remove a release so that it is there whole or not at all, unless another run is passing it on."""
    with contextlib.suppress(_folders_io.Failed), _tree_io.held(records, path, 0):
        _safe_io.remove(aside)
        _safe_io.rename(path, aside)
        _safe_io.remove(aside)
        _safe_io.remove(os.path.join(records, _tree.record_name(path)))
