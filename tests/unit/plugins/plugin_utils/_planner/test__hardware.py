# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GPUs and wires."""

from __future__ import annotations

import pytest

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._hardware import (
    GIB,
    MIB,
    UNKNOWN_SPEED,
    ClusterHost,
    Gpu,
    Link,
    gpu_of,
    others,
)


def test_a_gpu_is_crowded_where_less_is_free_than_vllm_takes() -> None:
    """vLLM compares free memory with its share of all that a program can have: 92 % of 80000 MiB is 73600."""
    assert not Gpu("any", 80000, reserved_mib=0, used_mib=6400).crowded(0.92)
    assert Gpu("any", 80000, reserved_mib=0, used_mib=6401).crowded(0.92)
    # A GPU without reported memory can't be judged.
    assert not Gpu("any", 0, used_mib=500).crowded(0.92)


def holder(mib: int | None, user: str = "ann", ours: bool = False) -> dict[str, object]:
    return {"pid": 542, "kind": "C", "process": "python3", "mib": mib, "user": user, "unit": "", "ours": ours}


@pytest.mark.parametrize(
    ("active", "used"),
    [pytest.param(False, 9000, id="nothing-of-ours-runs"), pytest.param(True, 700, id="ours-makes-room")],
)
def test_what_others_hold_of_a_gpu(active: bool, used: int) -> None:
    """Beside our services, a process that can't be seen may be one of theirs."""
    processes = [holder(700), holder(None), holder(4000, ours=True), holder(2000, user="")]
    seen = {"name": "any", "memory_mib": 80000, "reserved_mib": 500, "used_mib": 9000, "processes": processes}
    assert gpu_of(seen, active) == Gpu("any", 80000, 500, used)
    assert len(others(seen, active)) == (2 if active else 3)


@pytest.mark.parametrize(
    ("memory_mib", "torch_gib"),
    [
        pytest.param(143771, 139.8, id="H200"),
        pytest.param(81559, 79.1, id="H100"),
        pytest.param(46068, 44.39, id="L40S"),
        pytest.param(24564, 23.64, id="RTX-4090"),
    ],
)
def test_usable_memory_is_what_torch_names(memory_mib: int, torch_gib: float) -> None:
    assert Gpu("any", memory_mib).usable / GIB == pytest.approx(torch_gib, abs=0.2)


def test_what_the_driver_told_counts() -> None:
    gpu = Gpu("any", 81559, reserved_mib=551, used_mib=1000)
    assert gpu.usable == (81559 - 551) * MIB
    assert gpu.free == (81559 - 551 - 1000) * MIB
    assert Gpu("any", 100, used_mib=500).free == 0


@pytest.mark.parametrize(
    ("model", "gigabytes"),
    [
        ("NVIDIA H200", 4800),
        ("NVIDIA H100 80GB HBM3", 3350),
        ("NVIDIA H100 PCIe", 2000),
        ("NVIDIA A100-SXM4-40GB", 1555),
        ("NVIDIA A100-SXM4-80GB", 2000),
        ("NVIDIA A10G", 600),
        ("NVIDIA L4", 300),
        ("NVIDIA L40S", 864),
        ("NVIDIA RTX 6000 Ada Generation", 960),
        ("Tesla T4", 320),
    ],
)
def test_names_of_gpus(model: str, gigabytes: float) -> None:
    assert Gpu(model, 1).speed[0] == gigabytes * 1e9
    assert Gpu(model, 1).known


@pytest.mark.parametrize(
    ("model", "fp8"),
    [
        ("NVIDIA H100 80GB HBM3", True),
        ("NVIDIA L4", True),
        ("NVIDIA L40S", True),
        ("NVIDIA RTX 6000 Ada Generation", True),
        ("NVIDIA GeForce RTX 4090", True),
        ("NVIDIA A100-SXM4-80GB", False),
        ("NVIDIA A40", False),
        ("NVIDIA A10G", False),
        ("NVIDIA RTX A6000", False),
        ("Some GPU", False),
    ],
)
def test_gpus_that_compute_in_fp8(model: str, fp8: bool) -> None:
    assert Gpu(model, 1).fp8 is fp8


def test_a_name_is_no_part_of_another() -> None:
    assert not Gpu("NVIDIA RTX A4000", 16376).known
    assert Gpu("NVIDIA RTX A4000", 16376).speed == (UNKNOWN_SPEED[0] * 1e9, UNKNOWN_SPEED[1] * 1e12)


@pytest.mark.parametrize(("size", "measured"), [(1 * MIB, 3.1e9), (64 * MIB, 4.3e9)])
def test_all_reduce_over_tcp_as_measured(size: int, measured: float) -> None:
    """Bus bandwidth of two ranks on two hosts is bytes over seconds."""
    assert size / Link(100).wire.all_reduce(size, 2) == pytest.approx(measured, rel=0.03)


def test_wires() -> None:
    assert Link(10).wire.bandwidth < Link(100).wire.bandwidth == Link(400).wire.bandwidth
    assert Link(400, rdma=True).wire.bandwidth > 10 * Link(400).wire.bandwidth
    assert Link(10).wire.all_reduce(MIB, 1) == 0
    assert ClusterHost("a", (), "nvlink").wire.send(GIB) < ClusterHost("a", (), "pcie").wire.send(GIB)
    assert str(Link(25)) == "25 Gbit/s TCP"
    assert str(Link(200, rdma=True)) == "200 Gbit/s with RDMA"
