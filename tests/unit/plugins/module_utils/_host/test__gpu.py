# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The GPUs that nvidia-smi reports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _gpu, _look
from ansible_collections.vllm_ray.cluster.plugins.module_utils._net._listeners import Process


def text(fixtures: Path, name: str) -> str:
    return (fixtures / "gpu" / name).read_text(encoding="utf-8")


def gpus(fixtures: Path, name: str) -> list[_look.Gpu]:
    return _gpu.parse_gpus(text(fixtures, name))


def test_two_h200_of_which_one_is_in_use(fixtures: Path) -> None:
    first, second = gpus(fixtures, "h200_held.xml")
    assert first == {
        "index": 0,
        "uuid": "GPU-303b186a-e5ab-72e8-66ce-07d5243fae8a",
        "name": "NVIDIA H200",
        "memory_mib": 143771,
        "used_mib": 1551,
        "reserved_mib": 616,
        "driver": "580.159.04",
        "cuda": "13.0",
        "architecture": "Hopper",
        "compute_capability": None,
        "bus": "00000000:00:06.0",
        "persistence": True,
        "mig": False,
        "mig_devices": 0,
        "ecc": True,
        "ecc_uncorrected": 0,
        "repair_pending": False,
        "memory_failed": False,
        "power_limit": 700.0,
        "pcie": {"generation": 5, "generation_max": 5, "width": 16, "width_max": 16},
        "processes": [{"pid": 542, "kind": "C", "process": "python3", "mib": 1542}],
    }
    assert (second["index"], second["uuid"]) == (1, "GPU-2a0eca0b-759b-44ca-dd42-4915c1a0a424")
    assert second["processes"] == []


def test_the_same_two_h200_when_nobody_uses_them(fixtures: Path) -> None:
    assert [(gpu["processes"], (gpu["used_mib"] or 0) < 10) for gpu in gpus(fixtures, "h200_free.xml")] == [
        ([], True)
    ] * 2


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        pytest.param(
            "a100_mig.xml",
            {
                "name": "NVIDIA A100-SXM4-40GB",
                "architecture": "Ampere",
                "persistence": False,
                "mig": True,
                "mig_devices": 2,
                "ecc": True,
                # With MIG on, errors are counted per MIG device.
                "ecc_uncorrected": None,
                "power_limit": 400.0,
            },
            id="mig",
        ),
        pytest.param(
            "t4.xml",
            {
                "driver": "515.105.01",
                "mig": None,
                "ecc_uncorrected": 0,
                "memory_mib": 15360,
                "used_mib": 1032,
                "pcie": {"generation": 3, "generation_max": 3, "width": 8, "width_max": 16},
                "processes": [
                    {"pid": 675, "kind": "G", "process": "/usr/lib/xorg/Xorg", "mib": 22},
                    {"pid": 5762, "kind": "C", "process": "python", "mib": 1005},
                ],
            },
            id="desktop-and-process",
        ),
        pytest.param(
            "rtx_3080.xml",
            {"ecc": None, "ecc_uncorrected": None, "persistence": None, "power_limit": 336.0, "processes": []},
            id="consumer-card",
        ),
        pytest.param(
            "gtx_1070_ti.xml",
            {
                "name": "GeForce GTX 1070 Ti",
                "memory_mib": 4096,
                "used_mib": 42,
                "driver": "",
                "cuda": None,
                "architecture": None,
                "power_limit": None,
                "pcie": {"generation": 1, "generation_max": None, "width": 16, "width_max": None},
            },
            id="old-format",
        ),
    ],
)
def test_other_gpus(fixtures: Path, name: str, wanted: dict[str, Any]) -> None:
    [gpu] = gpus(fixtures, name)
    assert {key: value for key, value in gpu.items() if key in wanted} == wanted


@pytest.mark.parametrize(
    ("element", "value", "key", "wanted"),
    [
        ("sram_uncorrectable_parity", "3", "ecc_uncorrected", 3),
        ("dram_uncorrectable", "2", "ecc_uncorrected", 2),
        ("dram_correctable", "9", "ecc_uncorrected", 0),
        ("remapped_row_pending", "Yes", "repair_pending", True),
        ("remapped_row_failure", "Yes", "memory_failed", True),
        ("unrepairable_memory", "Yes", "memory_failed", True),
    ],
)
def test_bad_memory(fixtures: Path, element: str, value: str, key: str, wanted: object) -> None:
    """The capture of a healthy GPU with one value changed: no capture of a broken one could be had."""
    head, tag, rest = text(fixtures, "h200_free.xml").partition(f"<{element}>")
    found: Any = _gpu.parse_gpus(f"{head}{tag}{value}{rest[rest.index('<') :]}")
    assert found[0][key] == wanted


@pytest.mark.parametrize("name", ["no_driver", "version_mismatch", "lost_gpu"])
def test_what_a_broken_driver_says_is_no_list_of_gpus(fixtures: Path, name: str) -> None:
    with pytest.raises(ValueError, match="not the output"):
        gpus(fixtures, name)


def test_what_a_broken_driver_says_is_put_on_one_line(fixtures: Path) -> None:
    assert _gpu.failure(text(fixtures, "version_mismatch")) == (
        "Failed to initialize NVML: Driver/library version mismatch NVML library version: 550.144"
    )


def test_compute_capabilities(fixtures: Path) -> None:
    assert _gpu.parse_capabilities(text(fixtures, "compute_cap.csv")) == {0: "7.0", 1: "8.9"}


@pytest.mark.parametrize("output", ["", 'Field "compute_cap" is not a valid field to query.\n'])
def test_a_driver_that_does_not_know_them(output: str) -> None:
    assert _gpu.parse_capabilities(output) == {}


def test_the_links_of_two_h200(fixtures: Path) -> None:
    assert _gpu.parse_topology(text(fixtures, "h200_topo")) == {
        0: {"gpus": {"1": "NV18"}, "nics": {}},
        1: {"gpus": {"0": "NV18"}, "nics": {}},
    }


def test_the_links_to_nics(fixtures: Path) -> None:
    found = _gpu.parse_topology(text(fixtures, "h100_topo"))
    assert list(found) == list(range(8))
    assert set(found[5]["gpus"].values()) == {"NV18"}
    assert {nic for nic, link in found[5]["nics"].items() if link == "PIX"} == {"NIC3"}
    named = _gpu.parse_topology(text(fixtures, "h100_topo") + "\nNIC Legend:\n\n  NIC3: mlx5_3\n")
    assert named[5]["nics"]["mlx5_3"] == "PIX"


def test_a_topology_with_spaces(fixtures: Path) -> None:
    found = _gpu.parse_topology(text(fixtures, "spaces_topo"))
    assert (found[1]["gpus"]["7"], found[1]["nics"]["NIC4"], len(found[1]["nics"])) == ("NV8", "PIX", 9)


def test_no_topology() -> None:
    assert _gpu.parse_topology("") == {}


@pytest.mark.parametrize(
    ("process", "own", "owner"),
    [
        pytest.param(None, (), ("", "", False), id="not-seen"),
        pytest.param(
            Process(542, 1, "python3", "ann", "session-3.scope"), (), ("ann", "session-3.scope", False), id="foreign"
        ),
        pytest.param(Process(542, 9, "python3", "vllm-ray"), (9,), ("vllm-ray", "", True), id="below-our-supervisor"),
        pytest.param(
            Process(542, 1, "ray::RayWorkerP", "vllm-ray", "vllm-ray-node@default.service"),
            (),
            ("vllm-ray", "vllm-ray-node@default.service", True),
            id="in-a-unit-of-ours",
        ),
        pytest.param(
            Process(542, 1, "ray::RayWorkerP", "vllm-ray", "vllm-ray-node@second.service"),
            (9,),
            ("vllm-ray", "vllm-ray-node@second.service", False),
            id="of-a-sister-cluster",
        ),
    ],
)
def test_owners(fixtures: Path, process: Process | None, own: tuple[int, ...], owner: tuple[str, str, bool]) -> None:
    table = {process.pid: process} if process else {}
    units = ["vllm-ray-node@default.service", "vllm-ray-serve@default-main.service"]
    found = _gpu.with_owners(gpus(fixtures, "h200_held.xml"), table, own, units)
    [entry] = found[0]["processes"]
    assert (entry["user"], entry["unit"], entry["ours"]) == owner
    assert (entry["pid"], entry["mib"], found[1]["processes"]) == (542, 1542, [])


def test_gpus_on_the_pci_bus() -> None:
    """An H200 as in its XML (pci_device_id 233510DE, base class 3, sub class 2), a bridge, an NVSwitch, a BMC."""
    devices = {
        "0000:00:06.0": ("0x10de", "0x030200"),
        "0000:00:07.0": ("0x10de", "0x030200"),
        "0000:00:08.0": ("0x10de", "0x068000"),
        "0000:00:00.0": ("0x8086", "0x060000"),
        "0000:00:02.0": ("0x1a03", "0x030000"),
        "0000:05:00.0": ("0x1002", "0x120000"),
    }
    tree = {}
    for device, (vendor, kind) in devices.items():
        tree[f"/sys/bus/pci/devices/{device}/vendor"] = vendor
        tree[f"/sys/bus/pci/devices/{device}/class"] = kind
    assert _gpu.count_pci(tree) == {"nvidia": 2, "amd": 1}
    assert _gpu.count_pci({}) == {"nvidia": 0, "amd": 0}
