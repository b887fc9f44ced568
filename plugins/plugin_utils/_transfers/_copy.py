# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts about copies of a model, and the path of the controller's records. PRIVATE to the collection."""

from __future__ import annotations

import os
import typing as t

from ansible import constants as C

from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._manifest import Entry, gib, named, size_of
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._transfers import _progress

# A copy that takes longer says how far it is.
QUIET_SECONDS = 3

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


def records() -> str:
    """Return the directory of the controller's own records of manifests."""
    return os.path.join(C.config.get_config_value("ANSIBLE_HOME"), "vllm-ray", "manifests")


def progress(done: int, total: int, seconds: float) -> str:
    """Return how far a copy is, for a line on the terminal."""
    percent = 100 * done // total if total else 100
    rate = f", {done / seconds / 1e6:.0f} MB/s" if seconds > 0 else ""
    left = f", {_progress.clock(seconds * (total - done) / done)} left" if 0 < done < total else ""
    return f"{percent} % of {gib(total)}{rate}{left}"


def summary(files: Sequence[Entry], remove: Sequence[str], replaced: Sequence[str], dry: bool) -> str:
    """Return what a copy does to a directory, in one line."""
    would = "would " if dry else ""
    parts = []
    fresh = [entry.path for entry in files if entry.path not in replaced]
    noun = "file" if len(fresh) == 1 else "files"
    if fresh:
        parts.append(f"{would}copy {len(fresh)} {noun} ({named(fresh)})")
    if replaced:
        parts.append(f"{would}replace {named(replaced)}")
    if remove:
        parts.append(f"{would}remove {named(remove)}")
    return f"{'; '.join(parts)}: {gib(size_of(files))}" if parts else "nothing to copy"


def origins(received: Mapping[str, int]) -> str:
    """Return where bytes came from, as the end of a line. received: bytes by host."""
    if not received:
        return ""
    return f"; {sum(received.values())} bytes came from {', '.join(sorted(received))}"


def listing(files: Iterable[Entry]) -> str:
    """Return a manifest as lines of a diff."""
    return "".join(f"{entry.hash[:16]} {entry.size:>14} {entry.path}\n" for entry in sorted(files))
