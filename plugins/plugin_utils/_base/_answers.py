# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results of a task on all hosts, from its registered variables. PRIVATE to the collection."""

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


def probes(
    hostvars: t.Any, hosts: Sequence[str], name: str, head: Answer | None = None, server: Answer | None = None
) -> dict[str, Answer | None]:
    """Return what the probe of each host registered, None where there was none.

    hosts: the head first. name: of the variable. head, server: the probes of the head and of the serve host of the
    head's record that tasks of other hosts made, because --limit leaves them out.
    """
    result: dict[str, Answer | None] = {host: hostvars[host].get(name) for host in hosts}
    if not hosts:
        return result
    first = hosts[0]
    result[first] = result[first] or made(head)
    serve_host = (answer([result[first]]) or {}).get("last_server")
    if serve_host in result:
        result[serve_host] = result[serve_host] or made(server)
    return result


def made(registered: Answer | None) -> Answer | None:
    """Return what the probe of one host by a task of another one came to, None where it was not made."""
    if not registered or registered.get("skipped"):
        return None
    if "host" in registered:
        return registered
    return {**registered, "unreachable" if registered.get("unreached") else "failed": True}
