# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles and states of the hosts of a cluster, from inventory, probes and record. PRIVATE to the collection."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _layout, _record
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._host import (
    Host,
    accelerator_of,
    gpu_indices,
    is_active,
    serve_state,
)

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._accelerator import Accelerator
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _look
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._record import KnownHost, Nic, Record

# States of a service that does not run, as systemd and supervisor call them.
ENDED = ("inactive", "failed", "stopped", "fatal", "exited")


@dataclass(frozen=True)
class Note:
    """A renewal of secrets that is not finished: when it began, and which secrets. Empty where there is none."""

    began: str = ""
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cluster:
    """The parts of the hosts, and what is known of them.

    hosts: the head first. wished: where the engine is to be served; serve_host: where it will be, as it does not move
    while it must not be stopped. accelerator: what it runs on. record: of the last run.
    serving: whether an engine serves, None where that is not known. Only False means that nothing serves.
    consent: whether the user lets a serving engine be stopped. nodes: whether the run goes on to the nodes of Ray.
    rotation: the head's note of a renewal of secrets that is not finished. renews: whether
    this run has to do with one.
    """

    hosts: Sequence[Host]
    head: Host
    wished: str
    serve_host: str
    accelerator: Accelerator
    record: Record
    serving: bool | None
    consent: bool
    nodes: bool = True
    rotation: Note = field(default_factory=Note)
    renews: bool = False

    @property
    def by_name(self) -> dict[str, Host]:
        return {host.name: host for host in self.hosts}

    @property
    def known(self) -> Mapping[str, KnownHost]:
        """The hosts of the record."""
        return self.record.hosts

    @property
    def free(self) -> bool:
        """Whether nothing has to keep serving: no engine serves, or the user lets it be stopped."""
        return self.serving is False or self.consent

    @property
    def leaving(self) -> Mapping[str, KnownHost]:
        """The hosts of the record that the inventory has no more, with their cluster NICs."""
        names = self.by_name
        return {name: nic for name, nic in self.known.items() if name not in names}

    @property
    def outside(self) -> list[str]:
        """The members of the cluster that --limit leaves out of the run."""
        return [host.name for host in self.hosts if host.limited and host.name in self.known]

    @property
    def parts(self) -> bool:
        """Whether this run removes the hosts that left the inventory.

        All other hosts get another token then, so that the removed ones can't join again. A host that kept the old one
        would be shut out, too.
        """
        return bool(self.leaving) and self.free and self.nodes and not self.outside

    @property
    def may_change(self) -> bool:
        """Whether this run may stop the engine or plan it again: the one decision that all others follow."""
        return self.free and (self.parts or not self.leaving)

    @property
    def addresses(self) -> dict[str, Nic]:
        """The cluster NIC of each host of which one is known: by its look, or else by the record."""
        nics = {host.name: nic_of(host) if host.look else self.known.get(host.name) for host in self.hosts}
        return {name: nic for name, nic in nics.items() if nic}

    @property
    def in_use(self) -> set[str]:
        """The hosts whose services an engine needs that serves or may serve; all where its hosts are not known."""
        old = self.record.layout
        if self.serving is False:
            return set()
        if old is None or not is_whole(old):
            return set(self.by_name)
        return {*old.gpus, self.head.name, self.serve_host, self.record.serve_host}

    @property
    def is_down(self) -> bool:
        """Whether no engine runs or starts. One that does keeps its GPUs even if another host is to serve."""
        return self.serving is False and all(serve_state(host) in (*ENDED, None) for host in self.hosts)

    def may_stop(self, name: str) -> bool:
        """Return whether this run may stop the services of a host.

        While secrets are renewed, one that starts again would not find those that still have the old ones.
        """
        return self.may_change or (name not in self.in_use and not self.renews)

    def offer(self) -> dict[str, int]:
        """Return the GPUs that each host offers to the engine."""
        old, addresses, known = self.record.layout, self.addresses, self.known
        return {
            host.name: len(gpu_indices(host, self.accelerator, known[host.name].gpus if host.name in known else 0))
            for host in self.hosts
            if host.name in addresses and not (may_be_absent(host) and not (old and host.name in old.gpus))
        }


def cluster_of(hosts: Sequence[Host], head: Host, nodes: bool = True) -> Cluster:
    """Return the cluster of an inventory with one head. nodes: whether the run goes on to the nodes of Ray.

    Raises _record.Unreadable.
    """
    record = with_engine(_record.read(head.look["host"]["record"] if head.look else None), hosts)
    serving, consent = whether_serving(hosts, head, record), bool(head.settings["vllm_ray_restart"])
    by_name = {host.name: host for host in hosts}
    wished = head.settings.get("vllm_ray_serve_host") or head.name
    last = by_name.get(record.serve_host)
    # An engine that this run can't stop where it is would hold its GPUs there.
    rotation = note_of(head.look["host"]["rotation"] if head.look else None)
    cluster = Cluster(hosts, head, wished, "", accelerator_of(head), record, serving, consent, nodes, rotation)
    stays = last is not None and (last.look is None or last.limited or not cluster.may_change)
    now = last.name if last and stays else None
    return replace(cluster, serve_host=next(name for name in (now, wished, head.name) if name in by_name))


def nic_of(host: Host) -> Nic | None:
    """Return the cluster NIC of a probed host."""
    found = host.look["network"]["cluster_nic"] if host.look else None
    return _record.Nic(found["address"], found["nic"], found["mtu"]) if found else None


def whether_serving(hosts: Sequence[Host], head: Host, record: Record) -> bool | None:
    """Return whether an engine serves, None where that is not known. Only False means that nothing serves."""
    states = [engine_state(host) for host in hosts if host.look]
    if True in states:
        return True
    return None if None in states or unseen_servers(hosts, head, record) else False


def engine_state(host: Host) -> bool | None:
    """Return whether an engine serves on a host that was probed, None where it runs and can't be asked."""
    engine: _look.Engine = host.look["engine"] if host.look else {}
    mute = not engine["serving"] and "url" not in engine and serve_state(host) not in ENDED
    if mute or engine.get("state") == "unknown":
        return None
    return engine["serving"]


def unseen_servers(hosts: Sequence[Host], head: Host, record: Record) -> list[str]:
    """Return where an engine may serve without having been probed: on the serve host of the last run, by the record.

    Where there is no record, but nodes run: anywhere.
    """
    seen = {host.name for host in hosts if host.look}
    server = record.serve_host
    if server:
        return [server] if server not in seen else []
    unseen = [host.name for host in hosts if host.name not in seen]
    offering = [host.name for host in hosts if host.look and host.look["usage"].get("ray_gpus")]
    if head.look is None or (unseen and (offering or is_active(head))):
        return unseen
    # Nodes that offer GPUs without their head belong to another one, which the inventory may have had before.
    return [] if is_active(head) else offering


def is_whole(layout: _layout.Layout) -> bool:
    """Return whether it is known where all ranks of a layout are."""
    return sum(layout.gpus.values()) >= layout.tp * layout.pp


def with_engine(record: Record, hosts: Sequence[Host]) -> Record:
    """Return the record; where it was lost while an engine serves, with the engine as it runs."""
    told = [host for host in hosts if host.look and host.look["engine"]["serving"] and "tp" in host.look["engine"]]
    server = next(iter(told), None)
    if record.engine or server is None or server.look is None:
        return record
    engine = server.look["engine"]
    offers = {host.name: host.look["usage"]["ray_gpus"] for host in hosts if host.look}
    gpus = {server.name: offers[server.name], **{name: count for name, count in offers.items() if count}}
    if engine["executor"] == "mp":
        gpus = {server.name: engine["tp"] * engine["pp"]}
    return replace(record, engine=_record.KnownEngine(_layout.Layout(engine["tp"], engine["pp"], gpus), server.name))


def note_of(content: Mapping[str, t.Any] | None) -> Note:
    """Return the note in the content of rotation.json, None where there is no file."""
    given = content or {}
    return Note(str(given.get("began", "")), tuple(map(str, given.get("secrets", ()))))


def may_be_absent(host: Host) -> bool:
    """Return whether a host did not answer and the user goes on without it."""
    return host.look is None and not host.limited and bool(host.settings["vllm_ray_absent_ok"])
