# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which releases a host has, who uses them, and which may be removed. PRIVATE to the collection."""

from __future__ import annotations

import re
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Release = Mapping[str, t.Any]

# What runs that were cut leave beside releases: of builds, archives, fan-outs and pruning.
LEFTOVER = re.compile(r"\.(staging-.+|pruned-.+|.+\.tar|.+\.vllm-ray-sync)")


def in_use(release: Release) -> bool:
    """Return whether a cluster or a process of the host uses a release, or can be rolled back to it."""
    return any(release[key] for key in ("current_of", "previous_of", "named_by", "processes"))


def to_prune(releases: Iterable[Release], keep: int, wanted: str) -> list[str]:
    """Return the ids of the releases that may go: all but the wanted one, those in use and the newest others.

    keep: how many of the others stay. since: when it came to this host, in seconds since 1970.
    """
    idle = [release for release in releases if release["id"] != wanted and not in_use(release)]
    newest = sorted(idle, key=lambda release: (release["since"], release["id"]), reverse=True)
    return sorted(release["id"] for release in newest[keep:])
