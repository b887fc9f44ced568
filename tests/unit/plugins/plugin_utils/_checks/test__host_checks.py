# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be wrong with the state of hosts: each fault alone, on an otherwise healthy host with two H200s."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._problem import Problem
from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _gpu
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks import _host_checks
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks._check import Need, Target
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _settings
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._host import Host
from ansible_collections.vllm_ray.cluster.tests.unit.checks import run

GIB = 1024**3
NOW = 1795273200.0
NIC = {"name": "ens1", "kind": "physical", "up": True, "mtu": 9000, "speed": 100000, "driver": "mlx5_core", "rdma": []}
PORT = {
    "device": "mlx5_0",
    "port": 1,
    "state": "ACTIVE",
    "physical": "LinkUp",
    "link_layer": "InfiniBand",
    "rate": 400.0,
    "nics": ["ibp26s0"],
    "gids": [],
}
DOWN = {**PORT, "device": "mlx5_11", "state": "DOWN", "physical": "Disabled"}
NODE, SERVE = "vllm-ray-node@default", "vllm-ray-serve@default-main"


@pytest.fixture
def healthy(fixtures: Path) -> dict[str, Any]:
    gpus = _gpu.parse_gpus((fixtures / "gpu" / "h200_free.xml").read_text(encoding="utf-8"))
    return {
        "host": {
            "hostname": "gpu01",
            "kernel": "6.8.0-49-generic",
            "user": "root",
            "time": NOW,
            "memory": 2048 * GIB,
            "memlock": {"services": None, "login": 8388608},
            "shared_memory": {"size": 1024 * GIB, "free": 1024 * GIB},
            "disks": [
                {"path": "/opt/vllm-ray", "size": 1000 * GIB, "free": 500 * GIB, "filesystem": 1, "read_only": False},
                {
                    "path": "/var/lib/vllm-ray/models",
                    "size": 1000 * GIB,
                    "free": 500 * GIB,
                    "filesystem": 1,
                    "read_only": False,
                },
            ],
            "gpus": _gpu.with_owners(gpus, {}, ()),
            "gpu_error": "",
            "amd_gpus": [],
            "pci_gpus": {"nvidia": 2, "amd": 0},
        },
        "network": {
            "cluster_nic": {"nic": "ens1", "address": "192.0.2.11", "mtu": 9000, "why": "holds the route"},
            "addresses": [{"nic": "ens1", "address": "192.0.2.11", "up": True}],
            "nics": [NIC],
            "rdma": [],
            "rdma_missing": [],
            "routes": [
                {"peer": "gpu02", "address": "192.0.2.12", "nic": "ens1", "source": "192.0.2.11", "gateway": ""}
            ],
            "hostname_address": "192.0.2.11",
        },
        "usage": {"services": {NODE: "inactive"}, "bind_errors": [], "strays": [], "stale_sockets": []},
        "asked": {"sent": NOW - 0.5, "received": NOW + 0.5},
    }


def host(look: Any, name: str = "gpu01", **given: Any) -> Host:
    values = {f"vllm_ray_{key}": value for key, value in given.items()}
    settings = _settings.check(name, {"vllm_ray_model": "/srv/demo", **values}).values
    return Host(name, ("head",), settings, look)


def changed(look: dict[str, Any], *changes: tuple[str, Any]) -> dict[str, Any]:
    """Return a look with other values at paths such as host.gpus.0.mig."""
    result = copy.deepcopy(look)
    for path, value in changes:
        *way, last = path.split(".")
        place: Any = result
        for step in way:
            place = place[int(step) if isinstance(place, list) else step]
        place[int(last) if isinstance(place, list) else last] = value
    return result


def problems(look: dict[str, Any], **given: Any) -> list[Problem]:
    return run(_host_checks, Need.PROBE, Target(host(look, **given), serves=True))


def test_a_healthy_host_has_no_problem(healthy: dict[str, Any]) -> None:
    assert problems(healthy) == []


SISTER = "vllm-ray-serve@second-main.service"


def process(ours: bool, mib: int | None = 1542, kind: str = "C", unit: str = "") -> dict[str, Any]:
    unit = f"{NODE}.service" if ours else unit
    return {"pid": 542, "kind": kind, "process": "python3", "mib": mib, "user": "ann", "unit": unit, "ours": ours}


FULL = ("host.gpus.0.used_mib", 140000)
MISMATCH = "Failed to initialize NVML: Driver/library version mismatch NVML library version: 550.144"
NO_DRIVER = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."


@pytest.mark.parametrize(
    ("changes", "given", "check", "severity", "found", "fix"),
    [
        pytest.param(
            [("network.hostname_address", "127.0.1.1")],
            {},
            "hostname",
            "warning",
            "gpu01 resolves to 127.0.1.1 on itself",
            "set `192.0.2.11 gpu01` in /etc/hosts instead of 127.0.1.1",
            id="hostname-on-loopback",
        ),
        pytest.param(
            [("network.hostname_address", None)],
            {},
            "hostname",
            "warning",
            "gpu01 does not resolve on itself",
            "set `192.0.2.11 gpu01` in /etc/hosts",
            id="hostname-unknown",
        ),
        pytest.param(
            [("host.gpus", []), ("host.gpu_error", MISMATCH)],
            {},
            "driver",
            "error",
            MISMATCH,
            "reboot",
            id="driver-mismatch",
        ),
        pytest.param(
            [("host.gpus", []), ("host.gpu_error", NO_DRIVER)],
            {},
            "driver",
            "error",
            NO_DRIVER,
            "for the running kernel 6.8.0-49-generic",
            id="no-driver",
        ),
        pytest.param(
            [("host.gpus", []), ("host.gpu_error", "nvidia-smi is not installed")],
            {},
            "driver",
            "error",
            "nvidia-smi is not installed",
            "or set vllm_ray_accelerator=cpu",
            id="no-nvidia-smi",
        ),
        pytest.param(
            [("host.pci_gpus.nvidia", 8)],
            {},
            "driver",
            "info",
            "nvidia-smi lists 2 of 8",
            "nvrm",
            id="some-gpus-missing",
        ),
        pytest.param(
            [("host.gpus", []), ("host.pci_gpus", {"nvidia": 0, "amd": 8})],
            {},
            "driver",
            "info",
            "8 GPUs of AMD",
            "vllm_ray_accelerator=cpu",
            id="amd",
        ),
        pytest.param(
            [
                ("host.gpus", []),
                ("host.pci_gpus", {"nvidia": 0, "amd": 2}),
                ("host.amd_gpus", [{"name": "AMD Instinct MI210"}] * 2),
            ],
            {},
            "driver",
            "info",
            "2 GPUs of AMD (AMD Instinct MI210)",
            "vllm_ray_accelerator=cpu",
            id="amd-with-its-models",
        ),
        pytest.param(
            [("host.gpus.1.mig", True)], {}, "gpu", "error", "GPU 1: MIG is on", "nvidia-smi -i 1 -mig 0", id="mig"
        ),
        pytest.param(
            [("host.gpus.0.memory_failed", True), ("host.gpus.0.repair_pending", True)],
            {},
            "gpu",
            "error",
            "GPU 0: defective memory that row remapping can't repair",
            "have the GPU replaced, or leave it out by vllm_ray_gpus",
            id="memory-failed",
        ),
        pytest.param(
            [("host.gpus.0.repair_pending", True)],
            {},
            "gpu",
            "warning",
            "GPU 0: row remapping is pending",
            "--gpu-reset",
            id="repair",
        ),
        pytest.param(
            [("host.gpus.1.ecc_uncorrected", 3)],
            {},
            "gpu",
            "warning",
            "GPU 1: 3 uncorrected memory errors",
            "nvidia-smi -i 1 --gpu-reset",
            id="ecc",
        ),
        pytest.param(
            [("host.gpus.0.persistence", False), ("host.gpus.1.persistence", False)],
            {},
            "gpu",
            "info",
            "GPU 0,1: persistence mode is off",
            "nvidia-persistenced",
            id="persistence",
        ),
        pytest.param(
            [("host.gpus.0.processes", [process(ours=False)])],
            {},
            "gpu_memory",
            "warning",
            "GPU 0: 1542 MiB held by python3 (pid 542, user ann)",
            "stop it, or leave the GPU out by vllm_ray_gpus",
            id="foreign-process",
        ),
        pytest.param(
            [FULL, ("host.gpus.0.processes", [process(ours=False, mib=139000)])],
            {},
            "gpu_memory",
            "error",
            "GPU 0: 139000 MiB held by python3 (pid 542, user ann)",
            "stop it, or leave the GPU out by vllm_ray_gpus",
            id="foreign-process-that-leaves-too-little",
        ),
        pytest.param(
            [
                FULL,
                ("host.gpus.0.processes", [process(ours=False, mib=70000, unit=SISTER)]),
                ("usage.services", {NODE: "active"}),
            ],
            {},
            "gpu_memory",
            "warning",
            f"GPU 0: 70000 MiB held by python3 (pid 542, user ann, unit {SISTER})",
            "stop it, or leave the GPU out by vllm_ray_gpus",
            id="a-sister-cluster-beside-our-engine",
        ),
        pytest.param(
            [FULL],
            {},
            "gpu_memory",
            "error",
            "GPU 0: 140000 of 143771 MiB in use, but no visible process uses them",
            "fuser",
            id="unseen-process",
        ),
        pytest.param(
            [("host.gpus.0.used_mib", 30000)],
            {"serve_args": {"gpu_memory_utilization": 0.95}},
            "gpu_memory",
            "error",
            "GPU 0: 30000 of 143771 MiB in use, but no visible process uses them",
            "lower gpu-memory-utilization in vllm_ray_serve_args",
            id="wished-share",
        ),
        pytest.param(
            [("network.routes.0.nic", "lo"), ("network.routes.0.address", "127.0.1.1")],
            {},
            "nic",
            "error",
            "gpu02 is 127.0.1.1, which is this host itself",
            "/etc/hosts",
            id="peer-on-loopback",
        ),
        pytest.param(
            [("network.routes", [{"peer": "gpu02", "nic": "ens1"}, {"peer": "gpu03", "nic": "eno1"}])],
            {},
            "nic",
            "warning",
            "peers are reached by several NICs: gpu02 by ens1, gpu03 by eno1",
            "set vllm_ray_nic on every host",
            id="several-ways",
        ),
        pytest.param(
            [("network.nics", [{**NIC, "up": False}])],
            {},
            "nic",
            "error",
            "ens1 is down",
            "ip link set ens1 up",
            id="down",
        ),
        pytest.param(
            [
                ("network.nics", [{**NIC, "speed": 1000}, {**NIC, "name": "ens2"}]),
                ("network.addresses", [{"nic": "ens2", "address": "198.51.100.11", "up": True}]),
            ],
            {},
            "nic",
            "warning",
            "the cluster NIC ens1 has 1000 Mbit/s, ens2 has 100000",
            "set vllm_ray_nic=ens2",
            id="a-faster-nic",
        ),
        pytest.param(
            [("network.rdma", [DOWN])],
            {},
            "rdma",
            "warning",
            "mlx5_11 port 1 is DOWN (Disabled), InfiniBand",
            "plug or enable the link; see `ibstat mlx5_11`",
            id="rdma-down",
        ),
        pytest.param(
            [("network.rdma", [{**DOWN, "state": "INIT", "physical": "LinkUp"}])],
            {},
            "rdma",
            "warning",
            "mlx5_11 port 1 is INIT (LinkUp)",
            "start a subnet manager",
            id="no-subnet-manager",
        ),
        pytest.param(
            [("network.rdma", [PORT, DOWN])], {}, "rdma", "info", "mlx5_11 port 1 is DOWN", "plug", id="rdma-one-down"
        ),
        pytest.param(
            [("network.rdma", [PORT, {**DOWN, "link_layer": "Ethernet"}])],
            {"rdma_devices": ["mlx5_11:1"]},
            "rdma",
            "error",
            "mlx5_11 port 1 is DOWN (Disabled), Ethernet",
            "plug or enable the link",
            id="the-wished-device-is-down",
        ),
        pytest.param(
            [("network.rdma", [PORT])],
            {"rdma_devices": ["mlx5_9"]},
            "rdma",
            "error",
            "RDMA devices: mlx5_0",
            "correct vllm_ray_rdma_devices",
            id="no-such-device",
        ),
        pytest.param(
            [("network.rdma", [PORT])],
            {"env": {"NCCL_IB_DISABLE": 1}},
            "rdma",
            "warning",
            "working RDMA devices (mlx5_0), but NCCL_IB_DISABLE=1",
            "remove NCCL_IB_DISABLE from vllm_ray_env",
            id="rdma-unused",
        ),
        pytest.param(
            [("network.rdma", [PORT]), ("network.rdma_missing", ["libibverbs1"])],
            {},
            "rdma",
            "warning",
            "no libibverbs1, so NCCL uses TCP",
            "install the package libibverbs1",
            id="rdma-without-its-library",
        ),
        pytest.param(
            [("network.rdma", [PORT]), ("host.memlock.services", 8388608)],
            {},
            "memlock",
            "warning",
            "the services may lock 8 MiB of memory",
            "vllm_ray_restart=true",
            id="memlock",
        ),
        pytest.param(
            [("network.rdma", [PORT])],
            {"scope": "user"},
            "memlock",
            "warning",
            "the services may lock 8 MiB of memory",
            "write `root - memlock unlimited` to /etc/security/limits.conf",
            id="memlock-of-a-login",
        ),
        pytest.param(
            [("host.shared_memory", {"size": 64 * 1024**2, "free": 64 * 1024**2})],
            {},
            "shared_memory",
            "error",
            "/dev/shm has 0.1 GiB",
            "mount -o remount,size=2G /dev/shm",
            id="shared-memory-small",
        ),
        pytest.param(
            [("host.shared_memory", {"size": 4 * GIB, "free": GIB})],
            {},
            "shared_memory",
            "warning",
            "/dev/shm has 1.0 GiB free of 4.0 GiB",
            "remove what dead processes left",
            id="shared-memory-full",
        ),
        pytest.param(
            [("host.disks.1.free", GIB), ("host.disks.1.filesystem", 2)],
            {},
            "disk",
            "error",
            "1.0 GiB free for /var/lib/vllm-ray/models",
            "vllm_ray_model_root",
            id="disk-full",
        ),
        pytest.param(
            [("host.disks.1.read_only", True), ("host.disks.1.filesystem", 2)],
            {},
            "disk",
            "error",
            "the filesystem of /var/lib/vllm-ray/models is mounted read-only",
            "mount -o remount,rw",
            id="disk-read-only",
        ),
        pytest.param(
            [("usage.strays", [{"pid": 900, "process": "ray::RayWorkerP", "user": "ann", "unit": ""}])],
            {},
            "leftovers",
            "warning",
            "ray::RayWorkerP that this collection did not start (pid 900, user ann)",
            "kill 900",
            id="orphan",
        ),
        pytest.param(
            [("usage.strays", [{"pid": 902, "process": "vllm", "user": "ann", "unit": "other.service"}])],
            {},
            "leftovers",
            "warning",
            "vllm that this collection did not start (pid 902, user ann, unit other.service)",
            "systemctl stop other.service",
            id="another-engine",
        ),
        pytest.param(
            [("usage.stale_sockets", ["/var/lib/x/raylet"])],
            {},
            "leftovers",
            "info",
            "1 unused sockets",
            "nothing",
            id="sockets",
        ),
        pytest.param(
            [("usage.bind_errors", [{"port": 44217, "address": "192.0.2.11", "error": "Address already in use"}])],
            {},
            "port",
            "error",
            "port 44217 can't be bound on 192.0.2.11: Address already in use",
            "ip_local_reserved_ports=44217 keeps other connections off it, or set vllm_ray_autoscaler_metric_port",
            id="port-held-unseen",
        ),
    ],
)
def test_a_fault_alone(
    healthy: dict[str, Any],
    changes: list[tuple[str, Any]],
    given: dict[str, Any],
    check: str,
    severity: str,
    found: str,
    fix: str,
) -> None:
    [problem] = problems(changed(healthy, *changes), **given)
    assert (problem.host, problem.check, problem.severity) == ("gpu01", check, severity)
    assert problem.found.startswith(found) or found in problem.found
    assert fix in problem.fix
    assert problem.wanted


@pytest.mark.parametrize(("mib", "severity"), [(70000, "error"), (700, "warning")])
def test_where_the_engine_is_to_start_others_must_leave_enough(
    healthy: dict[str, Any], mib: int, severity: str
) -> None:
    """A node of ours that runs beside them is no sign that an engine would."""
    holds = ("host.gpus.0.processes", [process(ours=False, mib=mib, unit=SISTER)])
    seen = host(changed(healthy, FULL, holds, ("usage.services", {NODE: "active"})))
    [problem] = _host_checks.check_gpu_memory(Target(seen, serves=True, starts=True))
    assert (problem.check, problem.severity) == ("gpu_memory", severity)


@pytest.mark.parametrize(
    ("changes", "given"),
    [
        pytest.param([FULL, ("host.gpus.0.processes", [process(ours=True, mib=139000)])], {}, id="our-engine"),
        pytest.param([FULL, ("usage.services", {NODE: "active"})], {}, id="our-engine-in-a-container"),
        pytest.param([FULL, ("usage.services", {SERVE: "running"})], {}, id="our-engine-below-supervisor"),
        pytest.param(
            [
                FULL,
                ("host.gpus.0.processes", [{**process(ours=False, mib=139000), "user": ""}]),
                ("usage.services", {NODE: "active"}),
            ],
            {},
            id="our-engine-whose-processes-can-not-be-seen",
        ),
        pytest.param([FULL], {"gpus": [1]}, id="a-gpu-that-we-leave-alone"),
        pytest.param([FULL, ("host.gpu_error", NO_DRIVER)], {"accelerator": "cpu"}, id="gpus-on-a-cpu-cluster"),
        pytest.param([("host.gpus.0.processes", [process(ours=False, kind="G", mib=22)])], {}, id="a-desktop"),
        pytest.param([("network.rdma", [{**DOWN, "link_layer": "Ethernet"}])], {}, id="a-roce-port-without-a-cable"),
        pytest.param([("network.rdma", [PORT])], {}, id="rdma-that-works"),
        pytest.param([("network.rdma", [PORT]), ("host.memlock.services", -1)], {}, id="memlock-without-a-limit"),
        pytest.param([("host.memlock.services", 8388608)], {}, id="memlock-without-rdma"),
        pytest.param(
            [
                ("network.nics", [{**NIC, "speed": 1000}, {**NIC, "name": "docker0", "kind": "virtual"}]),
                ("network.addresses", [{"nic": "docker0", "address": "172.17.0.1", "up": True}]),
            ],
            {},
            id="a-fast-bridge-is-no-nic",
        ),
        pytest.param(
            [
                ("network.routes", [{"peer": "a", "nic": "x"}, {"peer": "b", "nic": "y"}]),
                ("network.cluster_nic.why", "set by x"),
            ],
            {},
            id="the-user-chose-the-nic",
        ),
        pytest.param(
            [("host.shared_memory", {"size": 4 * GIB, "free": GIB}), ("usage.services", {NODE: "active"})],
            {},
            id="our-own-shared-memory",
        ),
        pytest.param(
            [("usage.stale_sockets", ["/x"]), ("usage.services", {NODE: "active"})], {}, id="sockets-beside-a-live-node"
        ),
        pytest.param(
            [("usage.bind_errors", [{"port": 1, "address": "", "error": ""}])], {}, id="a-port-that-is-not-ours"
        ),
    ],
)
def test_what_is_no_problem(healthy: dict[str, Any], changes: list[tuple[str, Any]], given: dict[str, Any]) -> None:
    assert problems(changed(healthy, *changes), **given) == []


def test_a_full_share_of_models_is_no_problem(healthy: dict[str, Any]) -> None:
    share = {"path": "/srv/demo", "size": GIB, "free": 0, "filesystem": 3, "read_only": True}
    healthy["host"]["disks"].append(share)
    assert problems(healthy) == []


def test_what_will_be_written_counts_once_per_filesystem(healthy: dict[str, Any]) -> None:
    writes = {"/opt/vllm-ray": 20 * GIB, "/var/lib/vllm-ray/models": 479 * GIB}
    [problem] = _host_checks.check_disks(Target(host(healthy), writes=writes))
    assert (problem.check, problem.found) == ("disk", "500.0 GiB free for /opt/vllm-ray, /var/lib/vllm-ray/models")
    assert problem.wanted == "at least 501.0 GiB"
    apart = changed(healthy, ("host.disks.1.filesystem", 2))
    assert _host_checks.check_disks(Target(host(apart), writes=writes)) == []
