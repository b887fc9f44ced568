# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The schema of what host_info returns, for both ends. PRIVATE to the collection.

The documentation of host_info describes the values.
"""

from __future__ import annotations

import typing as t


class Memlock(t.TypedDict):
    """Bytes of memory that may be locked, -1 without a limit. services: None where none runs."""

    services: int | None
    login: int


class Space(t.TypedDict):
    """Bytes of a file system."""

    size: int
    free: int


class Disk(Space):
    """The file system of a path. filesystem: its number."""

    path: str
    filesystem: int
    read_only: bool


class Pcie(t.TypedDict):
    """PCIe link of a GPU, now and at most."""

    generation: int | None
    generation_max: int | None
    width: int | None
    width_max: int | None


class GpuLinks(t.TypedDict):
    """Links of a GPU, as nvidia-smi names them: to other GPUs by index, to RDMA devices by name."""

    gpus: dict[str, str]
    nics: dict[str, str]


class GpuProcess(t.TypedDict, total=False):
    """A process that holds memory of a GPU. ours: of this cluster."""

    pid: int
    kind: str
    process: str
    mib: int | None
    user: str
    unit: str
    ours: bool


class Gpu(t.TypedDict, total=False):
    """A GPU. Of one from AMD, nothing is known that only nvidia-smi reports."""

    index: int
    uuid: str
    name: str
    memory_mib: int
    used_mib: int | None
    reserved_mib: int | None
    driver: str
    cuda: str | None
    architecture: str | None
    compute_capability: str | None
    bus: str
    persistence: bool | None
    mig: bool | None
    mig_devices: int
    ecc: bool | None
    ecc_uncorrected: int | None
    repair_pending: bool
    memory_failed: bool
    power_limit: float | None
    pcie: Pcie
    links: GpuLinks
    processes: list[GpuProcess]


class Gpus(t.TypedDict):
    """GPUs of a host. pci_gpus: their number on the PCI bus, by vendor."""

    gpus: list[Gpu]
    gpu_error: str
    amd_gpus: list[Gpu]
    pci_gpus: dict[str, int]


class Firewall(t.TypedDict):
    """Whether a firewall closes ports. fix: what to do by hand."""

    why_open: str
    manageable: bool
    fix: str


class Machine(Gpus):
    """What a host is, what it has, and files of earlier runs.

    record, worked, rotation: as they are in their files, which may be those of an older version.
    """

    hostname: str
    machine: str
    kernel: str
    os: dict[str, str]
    python: str
    glibc: str
    time: float
    home: str
    user: str
    pid1: str
    cpus: int
    memory: int
    memlock: Memlock
    shared_memory: Space
    disks: list[Disk]
    present: list[str]
    record: dict[str, object] | None
    worked: dict[str, object] | None
    rotation: dict[str, object] | None
    checked: str
    release: str
    accounts: dict[str, str]
    state_owner: str
    firewall: Firewall
    client: str


class ClusterNic(t.TypedDict):
    """The NIC and the address by which a host reaches its peers."""

    nic: str
    address: str
    mtu: int
    why: str


class Address(t.TypedDict):
    """An address of a host."""

    nic: str
    address: str
    up: bool


class Nic(t.TypedDict):
    """A NIC. speed: Mbit/s."""

    name: str
    kind: str
    up: bool
    mtu: int
    speed: int | None
    driver: str
    rdma: list[str]


class Gid(t.TypedDict):
    """An address of an RDMA port."""

    index: int
    gid: str
    kind: str
    nic: str


class RdmaPort(t.TypedDict):
    """A port of an RDMA device. rate: Gbit/s."""

    device: str
    port: int
    state: str
    physical: str
    link_layer: str
    rate: float | None
    nics: list[str]
    gids: list[Gid]


class Route(t.TypedDict):
    """The route to a peer."""

    peer: str
    address: str | None
    nic: str
    source: str
    gateway: str


class Network(t.TypedDict):
    """Network facts of a host. error: why addresses and routes are not known."""

    cluster_nic: ClusterNic | None
    why_not: dict[str, str]
    addresses: list[Address]
    nics: list[Nic]
    rdma: list[RdmaPort]
    routes: list[Route]
    peers_without_route: list[str]
    hostname_address: str | None
    rdma_missing: list[str]
    error: str


class Process(t.TypedDict):
    """A process."""

    pid: int
    process: str
    user: str


class Stray(Process):
    """A process that an engine or a node left behind."""

    unit: str


class Listener(Stray):
    """A process that listens on a port."""

    port: int
    address: str


class BindError(t.TypedDict):
    """A port that cannot be bound."""

    port: int
    address: str
    error: str


class Usage(t.TypedDict):
    """Services, processes and ports in use. ports_unknown: why listeners are not known."""

    services: dict[str, str]
    ray_gpus: int
    ports_taken: list[Listener]
    ports_unknown: str
    bind_errors: list[BindError]
    foreign_ray: list[Process]
    strays: list[Stray]
    stale_sockets: list[str]


class Certificates(t.TypedDict):
    """Certificates in PEM, empty where there is none."""

    used: str
    file: str


class EngineOptions(t.TypedDict, total=False):
    """What an engine was started with: where it is reached, its model, how it is spread, and its model's directory."""

    url: str
    model: str
    tp: int
    pp: int
    executor: str
    path: str


class Engine(EngineOptions, total=False):
    """The engine of a host. Its options are there only where they are known.

    start_seconds: of an engine that serves. certificates: of one with TLS.
    """

    state: str
    serving: bool
    why: str
    start_seconds: float | None
    certificates: Certificates


class ModelFiles(t.TypedDict):
    """State of the files of a model."""

    path: str
    made: bool
    bytes: dict[str, int]
    piece_bytes: int
    hashes: dict[str, str]
    missing: list[str]
    broken: dict[str, str]
    touched: list[str]
    silent: list[str]
    problems: list[dict[str, str]]


class ModelFacts(t.TypedDict):
    """What a host knows of the model. model: its properties, which _models/_model_config.py describes."""

    directory: str
    pinned: bool
    model: dict[str, object] | None
    code: list[str]
    pickled: list[str]
    problem: dict[str, str] | None


class Model(ModelFacts):
    """The same with its files. files: None where the host has none."""

    files: ModelFiles | None


class ServiceDetails(t.TypedDict):
    """A service and its log."""

    state: str
    restarts: int
    first_error: str
    progress: str


class KvCache(t.TypedDict, total=False):
    """KV cache as the engine reported it, in tokens. context: of one request; concurrency: such requests at once."""

    tokens: int
    context: int
    concurrency: float


class FirewallDetails(t.TypedDict, total=False):
    """Whether a firewall filters, and the rules of the cluster; empty where nobody asked for it."""

    status: str
    rules: list[str]


class ServedModel(t.TypedDict, total=False):
    """Model that the engine was started with; empty where there is none."""

    path: str
    revision: str
    digest: str


class PythonDetails(t.TypedDict):
    """A Python, as records and results have it."""

    version: str
    path: str
    machine: str
    managed: bool


class ReleaseDetails(t.TypedDict, total=False):
    """A release; empty where there is none."""

    path: str
    python: PythonDetails | None
    versions: dict[str, str]


class Node(t.TypedDict):
    """A node of Ray. gpus: that it offers to Ray; gpus_used: those that something of Ray has."""

    node_id: str
    address: str
    alive: bool
    is_head: bool
    gpus: int
    gpus_used: int


class Nodes(t.TypedDict, total=False):
    """Node table of Ray; empty where nobody asked for it."""

    exists: bool
    nodes: list[Node]
    waiting: int
    why: str


class Details(t.TypedDict):
    """What the status shows besides."""

    services: dict[str, ServiceDetails]
    kv_cache: KvCache
    firewall: FirewallDetails
    model: ServedModel
    release: ReleaseDetails
    nodes: Nodes


class Asked(t.TypedDict):
    """When the controller sent the question and had the answer."""

    sent: float
    received: float


class Look(t.TypedDict, total=False):
    """What host_info returns. details: where they were asked for.

    The controller adds asked, and last_server: the serve host in the record, empty where there is none.
    """

    host: Machine
    network: Network
    usage: Usage
    engine: Engine
    model: Model | None
    details: Details
    asked: Asked
    last_server: str
