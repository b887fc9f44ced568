# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which releases a host has, what uses them, and which may be removed. PRIVATE to the collection."""

from __future__ import annotations

import re
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterable

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _look

# What runs that were cut leave beside releases: of builds, archives, fan-outs and pruning.
LEFTOVER = re.compile(r"\.(staging-.+|pruned-.+|.+\.tar|.+\.vllm-ray-sync)")


class Release(t.TypedDict):
    """A release of a host.

    since: when it came to this host, in seconds since 1970. damaged: files that differ, if they were hashed.
    current_of, previous_of, named_by: clusters whose links lead to it, or whose files name it.
    """

    id: str
    directory: str
    lock: str
    versions: dict[str, str]
    python: _look.PythonDetails
    manifest: str
    bytes: int
    since: int
    damaged: list[str]
    current_of: list[str]
    previous_of: list[str]
    named_by: list[str]
    processes: int


def in_use(release: Release) -> bool:
    """Return whether a cluster or a process of the host uses a release, or can be rolled back to it."""
    return bool(release["current_of"] or release["previous_of"] or release["named_by"] or release["processes"])


def to_prune(releases: Iterable[Release], keep: int, wanted: str) -> list[str]:
    """Return the ids of the releases that may go: all but the wanted one, those in use and the newest others.

    keep: how many of the others stay.
    """
    idle = [release for release in releases if release["id"] != wanted and not in_use(release)]
    newest = sorted(idle, key=lambda release: (release["since"], release["id"]), reverse=True)
    return sorted(release["id"] for release in newest[keep:])
