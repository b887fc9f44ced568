# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan and its parts. PRIVATE to the collection.

`as_dict` of each is the form in which a task returns it, which playbooks and reports use. `Plan.from_dict` reads that
again, for tasks that get it from another one.
"""

from __future__ import annotations

import typing as t
from dataclasses import asdict, dataclass, field
from urllib.parse import urlsplit

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._problem import Problem
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _record
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._host import ENGINE
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._layout import Layout
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._paths import Paths
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._advice import Advice
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._plans._rotation import Rotation

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _look
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._record import Record


@dataclass(frozen=True)
class Endpoint:
    """Where the engine answers.

    host: the address that it binds. url: by which hosts reach it. model: the name of the model there. name: by which
    clients ask, empty where that is the address of the URL.
    """

    host: str
    port: int
    url: str
    model: str
    name: str = ""

    def as_dict(self) -> dict[str, object]:
        return {key: value for key, value in vars(self).items() if key != "name" or self.name}

    @property
    def client_url(self) -> str:
        """The URL by which clients ask: the name wins over the address."""
        return client_url(self.url, self.name)


def client_url(url: str, name: str) -> str:
    """Return a URL with a name in place of its address, where there is one."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{name}:{parts.port}" if name else url


ENGINE_AS_IT_IS = ("needs_free", "layers", "wanted", "unused", "kept", "notes", "advice", "away")


@dataclass(frozen=True)
class EnginePlan:
    """One engine.

    name: in its unit and files. layers: of each stage, by the address of its host. needs_free: whether its GPUs must be
    unused before it starts. wanted, unused: GPUs that nodes must offer to Ray, by address: the hosts of the engine, and
    the others. kept: whether the layout is the one that serves. away: seconds that the last start took, 0 = unknown.
    """

    serve_host: str
    layout: Layout
    endpoint: Endpoint
    needs_free: bool
    layers: Mapping[str, list[int]]
    wanted: Mapping[str, int]
    unused: Mapping[str, int]
    kept: bool = False
    notes: list[str] = field(default_factory=list)
    advice: Advice = field(default_factory=Advice)
    away: float = 0.0
    name: str = ENGINE

    def as_dict(self) -> dict[str, object]:
        sizes = {"tp": self.layout.tp, "pp": self.layout.pp, "gpus": self.layout.gpus}
        told = {name: getattr(self, name) for name in ENGINE_AS_IT_IS}
        return {**sizes, "executor": self.layout.executor, "endpoint": self.endpoint.as_dict(), **told}

    @classmethod
    def from_dict(cls, told: Mapping[str, t.Any], serve_host: str, names: Mapping[str, str]) -> EnginePlan:
        """Return the engine of a returned plan. names: hosts by address."""
        layers = {names[address]: tuple(counts) for address, counts in told["layers"].items()}
        layout = Layout(told["tp"], told["pp"], dict(told["gpus"]), layers)
        rest = {name: told[name] for name in ENGINE_AS_IT_IS}
        return cls(serve_host=serve_host, layout=layout, endpoint=Endpoint(**told["endpoint"]), **rest)


@dataclass(frozen=True)
class HostPlan:
    """One host.

    gpus: how many it has for the cluster. ray_gpus: the indices that its node offers to Ray; engine_gpus: those that
    the engine uses. env: the variables of NCCL, Gloo, CUDA and torch. foreign_ray: processes of a Ray that is to be
    stopped. may_stop: whether this run may stop its services. settings: checked, without possible secrets.
    """

    address: str
    nic: str
    is_head: bool
    reached: bool
    gpus: int
    metrics_ports: list[int]
    own_addresses: list[str]
    ray_gpus: list[int]
    engine_gpus: list[int]
    env: Mapping[str, str]
    foreign_ray: list[_look.Process]
    may_stop: bool
    paths: Paths
    settings: Mapping[str, t.Any]

    def as_dict(self) -> dict[str, object]:
        return {**vars(self), "paths": self.paths.as_dict()}

    @classmethod
    def from_dict(cls, told: Mapping[str, t.Any]) -> HostPlan:
        return cls(**{**told, "paths": Paths(**told["paths"])})


@dataclass(frozen=True)
class ReleasePlan:
    """The release. builder: a host or `controller`. path, id: as set, else empty. present: what each host has."""

    builder: str
    path: str
    id: str
    present: Mapping[str, str]


@dataclass(frozen=True)
class ModelPlan:
    """The model; empty where the user named none.

    wish: as the user named it. source: a hub, `host` or `controller`. source_host: the host that has it first. trusted:
    hosts that are believed about its digest. path: empty for a model of a hub, where it depends on the commit. facts:
    its properties, None where they are not known. code, pickled: files that run code. bytes: of its weights. missing:
    hosts without it.
    """

    wish: str = ""
    name: str = ""
    source: str = ""
    source_host: str = ""
    trusted: list[str] = field(default_factory=list)
    path: str = ""
    facts: Mapping[str, object] | None = None
    code: list[str] = field(default_factory=list)
    pickled: list[str] = field(default_factory=list)
    bytes: int = 0
    missing: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, object]:
        return dict(vars(self)) if self.wish else {}


@dataclass(frozen=True)
class RayPlan:
    """How the cluster's Ray is asked on its head, whose settings may differ from those of other hosts."""

    gcs_port: int
    dashboard_url: str
    config_dir: str
    token_file: str


@dataclass(frozen=True)
class TlsPlan:
    """TLS of the API. names: of a certificate of its own. expires: when the used one ends, in words. files: given."""

    mode: str
    names: list[str]
    expires: str | None = None
    files: Mapping[str, str] | None = None

    def as_dict(self) -> dict[str, object]:
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class Outline:
    """What is known as soon as there is one head. serving: whether an engine serves, None where that is not known."""

    cluster: str
    head: str
    accelerator: str
    serving: bool | None
    ray: RayPlan


WHOLE_AS_IT_IS = ("news", "names", "peers", "leaving", "held", "renewals", "api_clients")


@dataclass(frozen=True)
class Whole:
    """What a plan has only where a layout was found.

    news: why the checks between hosts are made, empty where they are not. names: hosts by address; peers: addresses by
    host; both with those that left the inventory and stay for now. groups: by which plays find a host, of those that
    were reached. leaving: hosts that left, and that this run removes. held: what waits for consent besides services.
    """

    outline: Outline
    hosts: Mapping[str, HostPlan]
    engines: tuple[EnginePlan, ...]
    news: str
    names: Mapping[str, str]
    peers: Mapping[str, str]
    groups: Mapping[str, list[str]]
    leaving: list[str]
    held: Mapping[str, list[str]]
    release: ReleasePlan
    model: ModelPlan
    record: Record
    rotation: Rotation | None
    renewals: Mapping[str, list[str]]
    api_clients: list[str]
    tls: TlsPlan

    @property
    def engine(self) -> EnginePlan:
        """The one engine that there is today."""
        return self.engines[0]

    def as_dict(self) -> dict[str, object]:
        return {
            **{name: getattr(self, name) for name in WHOLE_AS_IT_IS},
            "serve_host": self.engine.serve_host,
            "hosts": {name: host.as_dict() for name, host in self.hosts.items()},
            "engine": self.engine.as_dict(),
            "record": self.record.as_dict(),
            "release": asdict(self.release),
            "model": self.model.as_dict(),
            "members": [{"name": name, "groups": groups} for name, groups in self.groups.items()],
            "rotation": self.rotation.as_dict() if self.rotation else None,
            "tls": self.tls.as_dict(),
        }

    @classmethod
    def from_dict(cls, outline: Outline, told: Mapping[str, t.Any]) -> Whole:
        return cls(
            outline=outline,
            hosts={name: HostPlan.from_dict(host) for name, host in told["hosts"].items()},
            engines=(EnginePlan.from_dict(told["engine"], told["serve_host"], told["names"]),),
            groups={member["name"]: member["groups"] for member in told["members"]},
            release=ReleasePlan(**told["release"]),
            model=ModelPlan(**told["model"]),
            record=_record.read(told["record"]),
            rotation=Rotation.from_dict(told["rotation"]) if told["rotation"] else None,
            tls=TlsPlan(**told["tls"]),
            **{name: told[name] for name in WHOLE_AS_IT_IS},
        )


@dataclass(frozen=True)
class Plan:
    """What the cluster should be, as far as errors let it be planned."""

    problems: list[Problem]
    outline: Outline | None = None
    whole: Whole | None = None

    def as_dict(self) -> dict[str, object]:
        outline = asdict(self.outline) if self.outline else {}
        whole = self.whole.as_dict() if self.whole else {}
        return {**outline, **whole, "problems": [problem.as_dict() for problem in self.problems]}

    @classmethod
    def from_dict(cls, told: Mapping[str, t.Any]) -> Plan:
        """Return the plan that a task returned; an empty one where it came to none."""
        problems = [Problem(**problem) for problem in told.get("problems", [])]
        if "head" not in told:
            return cls(problems)
        ray = RayPlan(**told["ray"])
        outline = Outline(told["cluster"], told["head"], told["accelerator"], told["serving"], ray)
        return cls(problems, outline, Whole.from_dict(outline, told) if "engine" in told else None)
