# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record on the head: the cluster as the last run left it. PRIVATE to the collection.

This file alone knows the form of record.json. Earlier releases wrote no `version`; version 1 is the same form with it.
"""

from __future__ import annotations

import typing as t
from dataclasses import asdict, dataclass, field

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._layout import Layout

if t.TYPE_CHECKING:
    from collections.abc import Mapping

FILE = "record.json"
VERSION = 1


class Unreadable(ValueError):
    """A record that can't be used. The message, wanted and fix are the parts of a problem."""

    def __init__(self, found: str, wanted: str, fix: str) -> None:
        super().__init__(found)
        self.wanted, self.fix = wanted, fix


@dataclass(frozen=True)
class Nic:
    """The cluster NIC of a host, and its address."""

    address: str
    nic: str
    mtu: int


@dataclass(frozen=True)
class KnownHost(Nic):
    """A host of the record. gpus: how many it had for the cluster."""

    gpus: int = 0


@dataclass(frozen=True)
class KnownEngine:
    """The engine of the record.

    wish: the model as the user named it, None where that is not known. endpoint: for people who read the file.
    """

    layout: Layout
    serve_host: str
    wish: str | None = None
    endpoint: Mapping[str, object] = field(default_factory=dict)

    def as_dict(self) -> dict[str, object]:
        layers = {name: list(counts) for name, counts in self.layout.layers.items()}
        sizes = {"tp": self.layout.tp, "pp": self.layout.pp, "gpus": self.layout.gpus}
        told = {"wish": self.wish, "serve_host": self.serve_host, "endpoint": self.endpoint}
        return {**sizes, **({"layers": layers} if layers else {}), **told}


@dataclass(frozen=True)
class Record:
    """What the last run left. engine: None where there is none, or where the record was lost."""

    hosts: Mapping[str, KnownHost] = field(default_factory=dict)
    engine: KnownEngine | None = None

    @property
    def layout(self) -> Layout | None:
        return self.engine.layout if self.engine else None

    @property
    def serve_host(self) -> str:
        """The host on which the last run had the engine served, empty where none did."""
        return self.engine.serve_host if self.engine else ""

    def as_dict(self) -> dict[str, object]:
        hosts = {name: asdict(host) for name, host in self.hosts.items()}
        return {"version": VERSION, "hosts": hosts, "engine": self.engine.as_dict() if self.engine else None}


def read(content: Mapping[str, t.Any] | None) -> Record:
    """Read the content of record.json, None where there is no file. Raises Unreadable."""
    given = content or {}
    version = given.get("version", 0)
    if isinstance(version, int) and version > VERSION:
        fix = "run the version of this collection that wrote it, or a newer one"
        raise Unreadable(f"has version {version}, which a newer version of this collection wrote", up_to_now(), fix)
    try:
        if version not in range(VERSION + 1):
            raise ValueError(f"version {version!r}")
        hosts = {str(name): host_of(host) for name, host in given.get("hosts", {}).items()}
        return Record(hosts, engine_of(given["engine"]) if given.get("engine") else None)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        fix = "restore the file, or remove it: site.yml writes it again, and keeps an engine that serves"
        raise Unreadable(f"is not a record of a cluster: {error!r}", up_to_now(), fix) from error


def up_to_now() -> str:
    return f"a record of version {VERSION}, or of earlier releases, which wrote none"


def host_of(host: Mapping[str, t.Any]) -> KnownHost:
    return KnownHost(str(host["address"]), str(host["nic"]), int(host["mtu"]), int(host.get("gpus", 0)))


def engine_of(engine: Mapping[str, t.Any]) -> KnownEngine:
    gpus = {str(name): int(count) for name, count in engine["gpus"].items()}
    layers = {str(name): tuple(map(int, counts)) for name, counts in engine.get("layers", {}).items()}
    layout = Layout(int(engine["tp"]), int(engine["pp"]), gpus, layers)
    return KnownEngine(layout, str(engine.get("serve_host", "")), engine.get("wish"), engine.get("endpoint", {}))


def serve_host_in(content: Mapping[str, t.Any] | None) -> str:
    """Return the serve host in the content of record.json, empty where there is none that can be read."""
    try:
        return read(content).serve_host
    except Unreadable:
        return ""
