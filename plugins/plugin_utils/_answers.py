# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hosts answered to a task, from what it registered on each. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Answer = Mapping[str, t.Any]

STOPPED = ("unreachable", "failed", "skipped")


def answer(registered: Iterable[Answer | None]) -> Answer | None:
    """Return what the first of several tasks returned on a host that came to an end there, None where none did."""
    return next((r for r in registered if r and not any(r.get(key) for key in STOPPED)), None)


def answers(hostvars: t.Any, hosts: Iterable[str], names: Sequence[str]) -> dict[str, Answer | None]:
    """Return the answer of each host. names: of the variables in which tasks register it, the best first."""
    return {host: answer([hostvars[host].get(name) for name in names]) for host in hosts}
