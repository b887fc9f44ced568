# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is who in a cluster, from inventory, looks and record. PRIVATE to the collection."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils import _layout
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._host import accelerator, gpu_indices

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._host import Host


@dataclass(frozen=True)
class Cluster:
    """Who is who, and what is known of the hosts.

    hosts: the head first. wished: where the engine is to be served; serve_host: where it will be, as it does not move
    while it must not be stopped. kind: what it computes on. record: of the last run.
    """

    hosts: Sequence[Host]
    head: Host
    wished: str
    serve_host: str
    kind: str
    record: Mapping[str, t.Any]
    serving: bool
    may_change: bool

    @property
    def by_name(self) -> dict[str, Host]:
        return {host.name: host for host in self.hosts}

    @property
    def known(self) -> Mapping[str, t.Any]:
        """The hosts of the record."""
        return self.record.get("hosts", {})

    @property
    def addresses(self) -> dict[str, t.Any]:
        """The cluster NIC of each host of which one is known: by its look, or else by the record."""
        nics = {
            host.name: host.look["network"]["cluster_nic"] if host.look else self.known.get(host.name)
            for host in self.hosts
        }
        return {name: nic for name, nic in nics.items() if nic}

    @property
    def in_use(self) -> set[str]:
        """The hosts whose services a serving engine needs."""
        old = _layout.from_record(self.record)
        return {*(old.gpus if old else ()), self.head.name, self.serve_host} if self.serving else set()

    def offer(self) -> dict[str, int]:
        """Return the GPUs that each host offers to the engine."""
        old, addresses = _layout.from_record(self.record), self.addresses
        return {
            host.name: len(gpu_indices(host, self.kind, self.known.get(host.name, {})))
            for host in self.hosts
            if host.name in addresses and not (may_be_absent(host) and not (old and host.name in old.gpus))
        }


def cluster_of(hosts: Sequence[Host], head: Host) -> Cluster:
    """Return who is who in an inventory with one head."""
    record = with_engine(((head.look or {}).get("host") or {}).get("record") or {}, hosts)
    serving = any((host.look or {}).get("engine", {}).get("serving") for host in hosts)
    may_change = not serving or bool(head.settings["vllm_ray_restart"])
    names = [host.name for host in hosts]
    wished = head.settings.get("vllm_ray_serve_host") or head.name
    now = None if may_change else (record.get("engine") or {}).get("serve_host")
    serve_host = next(name for name in (now, wished, head.name) if name in names)
    return Cluster(hosts, head, wished, serve_host, accelerator(head), record, serving, may_change)


def with_engine(record: Mapping[str, t.Any], hosts: Sequence[Host]) -> Mapping[str, t.Any]:
    """Return the record; where it was lost while an engine serves, with the engine as it runs."""
    engines = {host.name: (host.look or {}).get("engine", {}) for host in hosts}
    server = next((host for host in hosts if engines[host.name].get("serving") and "url" in engines[host.name]), None)
    if record.get("engine") or server is None or server.look is None:
        return record
    engine = server.look["engine"]
    offers = {host.name: host.look["usage"]["ray_gpus"] for host in hosts if host.look}
    gpus = {server.name: offers[server.name], **{name: count for name, count in offers.items() if count}}
    if engine["executor"] == "mp":
        gpus = {server.name: engine["tp"] * engine["pp"]}
    return {**record, "engine": {"tp": engine["tp"], "pp": engine["pp"], "gpus": gpus, "serve_host": server.name}}


def may_be_absent(host: Host) -> bool:
    """Tell whether a host did not answer and the user goes on without it."""
    return host.look is None and not host.limited and bool(host.settings["vllm_ray_absent_ok"])
