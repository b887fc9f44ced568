# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The progress line of a transfer to all hosts. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees import _tree_sync

if t.TYPE_CHECKING:
    from collections.abc import Mapping

MIB, GIB = 1024**2, 1024**3
# Seconds from one line to the next, at first and later; rates are those since the line before.
OFTEN, SELDOM, LONG = 10.0, 30.0, 60.0
SAID = {_tree_sync.HAS_IT: "has it", _tree_sync.FAILED: "failed", _tree_sync.AWAY: "does not answer"}


class Far(t.NamedTuple):
    """What a run said of itself. bytes: of the tree; at: time in seconds; hosts: bytes of each, and what it does."""

    bytes: int
    at: float
    hosts: Mapping[str, tuple[int, str]]

    @property
    def over(self) -> bool:
        """Whether nobody goes on."""
        return not any(does in (_tree_sync.RECEIVES, _tree_sync.DOWNLOADS) for _size, does in self.hosts.values())


class Said(t.TypedDict):
    """What the module said."""

    bytes: int
    at: float
    hosts: Mapping[str, tuple[int, str]]


def parse(said: Said) -> Far:
    """Return what the module said."""
    return Far(said["bytes"], said["at"], {name: (size, does) for name, (size, does) in said["hosts"].items()})


def due(since_begin: float, since_line: float) -> bool:
    """Return whether it is time for a line, by the seconds since the first question and since the last line."""
    return since_line >= (OFTEN if since_begin < LONG else SELDOM)


def line(title: str, now: Far, before: Far | None) -> str:
    """Return the line. before: what was said at the last one."""
    parts = [host(name, now, before) for name in now.hosts]
    return f"{title}, {amount(now.bytes)} | {' | '.join(parts)}"


def host(name: str, now: Far, before: Far | None) -> str:
    """Return what is to be said of one host: percent, rate and the time that is left."""
    size, does = now.hosts[name]
    if does in SAID:
        return f"{name} {SAID[does]}"
    words = [name, *["downloads"] * (does == _tree_sync.DOWNLOADS), f"{100 * size // max(1, now.bytes)} %"]
    text = " ".join(words)
    seconds = now.at - before.at if before else 0.0
    came = size - before.hosts[name][0] if before and name in before.hosts else 0
    if seconds <= 0 or came <= 0:
        return text
    rate = came / seconds
    return f"{text} {rate / MIB:.1f} MiB/s {clock((now.bytes - size) / rate)} left"


def amount(size: int) -> str:
    return f"{size / GIB:.1f} GiB" if size >= GIB else f"{size / MIB:.0f} MiB"


def clock(seconds: float) -> str:
    """Return a time as minutes:seconds or hours:minutes:seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
