# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts of a transfer: the source and the hosts that receive the tree. PRIVATE to the collection."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._manifest import named, problem

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Host(t.NamedTuple):
    """A host, and how its tree was found. lacks: bytes to copy; has_source: it has the wanted tree in another place.

    shared: the source of the file system that has or will have its tree, empty if it is the host's own.
    """

    name: str
    differs: bool
    lacks: int = 0
    shared: str = ""
    has_source: bool = False


@dataclass(frozen=True)
class Transfer:
    """What each host does. parts: the hosts that run tree_sync together; seed: the host that first gets the tree from
    the controller.

    waiting: hosts that find it on a file system to which another host writes it. problem: why it can't be done.
    """

    parts: list[str] = field(default_factory=list)
    seed: str = ""
    waiting: list[str] = field(default_factory=list)
    problem: Mapping[str, str] | None = None


class Copied(t.TypedDict):
    """A file that is to be copied."""

    path: str


class Source(t.TypedDict):
    """What model_manifest returned for the wanted tree. where: the host that has it, if not the controller."""

    controller: bool
    where: str
    directory: str
    record: str
    to_copy: Sequence[Copied]
    to_remove: list[str]


def decide(hosts: Sequence[Host], source: Source) -> Transfer:
    """Decide it. hosts: of the play. source: what model_manifest returned for the wanted tree, whole or damaged."""
    differing = [host for host in hosts if host.differs]
    if not differing:
        return Transfer()
    # Of those that share a file system one writes.
    writers: dict[str, Host] = {}
    for host in sorted(differing, key=lambda host: not host.has_source):
        writers.setdefault(host.shared or f"of {host.name}", host)
    writing = {host.name for host in writers.values()}
    waiting = [host.name for host in differing if host.name not in writing]
    parts = [host.name for host in hosts if host.name not in waiting]
    outside = not source["controller"] and source["where"] not in [host.name for host in hosts]
    if outside:
        parts.append(source["where"])
    damaged = [entry["path"] for entry in source["to_copy"]] + source["to_remove"]
    whole = [host for host in hosts if not host.differs or (host.has_source and not damaged)]
    if whole or (outside and not damaged):
        return Transfer(parts, "", waiting)
    if not source["controller"]:
        return Transfer(problem=nobody(source, damaged))
    seed = min(writers.values(), key=lambda host: host.lacks).name
    return Transfer(parts if len(parts) > 1 else [], seed, waiting)


def nobody(source: Source, damaged: Sequence[str]) -> dict[str, str]:
    """Return the problem of a tree that the collection made, that was changed since, and that nobody else has whole."""
    found = f"{source['directory']} on {source['where']}: {named(damaged)} changed since it was hashed, and no other "
    fix = (
        "copy it from the origin of the model (from a hub: remove the directory, then it is downloaded again), or "
        f"remove {source['record']} on {source['where']} if the change was intended"
    )
    return problem(
        "model", f"{found}host of the play has an undamaged copy", "one host with an undamaged copy of the model", fix
    )
