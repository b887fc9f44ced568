# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which revisions of a model may be removed. PRIVATE to the collection."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _json

if t.TYPE_CHECKING:
    from collections.abc import Iterable


class Revision(t.NamedTuple):
    """A directory of one revision. made: the collection made it; at: when, in seconds since 1970."""

    path: str
    made: bool
    at: float


def uses_name(cluster: str) -> str:
    """Return the name of the file that says which models a cluster uses on a host."""
    return f"used-by-{cluster}.json"


def parse_uses(text: str) -> list[str]:
    """Return the models of such a file; none where it is of no use."""
    try:
        return [str(path) for path in _json.parse(text, dict)["models"]]
    except (ValueError, KeyError, TypeError):
        return []


def render_uses(models: Iterable[str]) -> str:
    return json.dumps({"models": sorted(set(models))}) + "\n"


def served(config: str) -> list[str]:
    """Return the model of a file with options of `vllm serve`, which is JSON where the collection wrote it."""
    try:
        return [str(_json.parse(config, dict)["model"])]
    except (ValueError, KeyError, TypeError):
        return []


def old(revisions: Iterable[Revision], used: Iterable[str], keep: int) -> list[str]:
    """Return the revisions that may go, the newest first.

    What is used stays, also where only something inside it is; what somebody else made; and of the others the newest
    ones, as many as keep says.
    """
    needed = list(used)
    idle = [
        revision
        for revision in revisions
        if revision.made and not any(path == revision.path or path.startswith(f"{revision.path}/") for path in needed)
    ]
    newest = sorted(idle, key=lambda revision: revision.at, reverse=True)
    return [revision.path for revision in newest[keep:]]
