# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results of a task on all hosts, from its registered variables. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _look

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    # What a module returned, which its documentation describes; and what a user and tasks set for a host.
    Answer = Mapping[str, t.Any]
    Variables = Mapping[str, t.Any]
    Answers = Mapping[str, Answer | None]


class HostVariables(t.Protocol):
    """The variables of each host, which Ansible makes when they are read."""

    def __getitem__(self, host: str, /) -> Variables: ...


class TaskVariables(t.TypedDict, total=False):
    """What action plugins read of the variables of a task."""

    hostvars: HostVariables
    groups: Mapping[str, Sequence[str]]
    inventory_hostname: str
    inventory_dir: str | None
    ansible_play_batch: list[str]
    ansible_play_hosts: list[str]
    ansible_play_hosts_all: list[str]
    ansible_forks: int


class Registered(_look.Look, total=False):
    """What the task of the action look registered: a look, or why there is none."""

    failed: bool
    unreachable: bool
    skipped: bool
    unreached: bool
    msg: str


STOPPED = ("unreachable", "failed", "skipped")


def answer(registered: Iterable[Answer | None]) -> Answer | None:
    """Return what the first of several tasks returned on a host that came to an end there, None where none did."""
    return next((r for r in registered if r and not any(r.get(key) for key in STOPPED)), None)


def answers(hostvars: HostVariables, hosts: Iterable[str], names: Sequence[str]) -> dict[str, Answer | None]:
    """Return the answer of each host. names: of the variables in which tasks register it, the best first."""
    return {host: answer([hostvars[host].get(name) for name in names]) for host in hosts}


def look_of(registered: Registered | None) -> _look.Look | None:
    """Return the look of a host, None where a probe did not come to its end."""
    if not registered or any(registered.get(key) for key in STOPPED):
        return None
    return registered


def looks(hostvars: HostVariables, hosts: Iterable[str], name: str) -> dict[str, _look.Look | None]:
    """Return the look of each host. name: of the variable in which the task registers it."""
    return {host: look_of(hostvars[host].get(name)) for host in hosts}


def probes(
    hostvars: HostVariables,
    hosts: Sequence[str],
    name: str,
    head: Registered | None = None,
    server: Registered | None = None,
) -> dict[str, Registered | None]:
    """Return what the probe of each host registered, None where there was none.

    hosts: the head first. name: of the variable. head, server: the probes of the head and of the serve host of the
    head's record that tasks of other hosts made, because --limit leaves them out.
    """
    result: dict[str, Registered | None] = {host: hostvars[host].get(name) for host in hosts}
    if not hosts:
        return result
    first = hosts[0]
    result[first] = result[first] or made(head)
    look = look_of(result[first])
    serve_host = look.get("last_server") if look else None
    if serve_host in result:
        result[serve_host] = result[serve_host] or made(server)
    return result


def made(registered: Registered | None) -> Registered | None:
    """Return what the probe of one host by a task of another one came to, None where it was not made."""
    if not registered or registered.get("skipped"):
        return None
    if "host" in registered:
        return registered
    if registered.get("unreached"):
        return {**registered, "unreachable": True}
    return {**registered, "failed": True}
