# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The GPUs that amd-smi reports: published outputs, with their addresses in tests/fixtures/gpu/README.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _gpu, _gpu_amd, _look
from ansible_collections.vllm_ray.cluster.plugins.module_utils._net._listeners import Process


def gpus(fixtures: Path, **names: str) -> list[_look.Gpu]:
    """Parse fixtures by command; a command that is not named printed nothing."""
    texts = {name: (fixtures / "gpu" / f"amd_{file}").read_text(encoding="utf-8") for name, file in names.items()}
    return _gpu_amd.parse_gpus({**dict.fromkeys(_gpu_amd.COMMANDS, ""), **texts})


def test_a_list_and_what_is_static(fixtures: Path) -> None:
    assert gpus(fixtures, list="list_strix_halo.json", static="static_strix_halo.json") == [
        {
            "index": 0,
            "uuid": "00ff1586-0000-1000-8000-000000000000",
            "name": "Strix Halo [Radeon Graphics / Radeon 8050S Graphics / Radeon 8060S Graphics]",
            "memory_mib": 32768,
            "used_mib": None,
            "driver": "6.17.1-300.fc43.x86_64",
            "architecture": "gfx1151",
            "bus": "0000:c4:00.0",
            "processes": [],
        }
    ]


def test_memory_in_use(fixtures: Path) -> None:
    [gpu] = gpus(fixtures, static="static_rx_6600.json", metric="metric_rx_6600.json")
    assert (gpu["memory_mib"], gpu["used_mib"], gpu["bus"], gpu["uuid"]) == (8176, 202, "0000:0b:00.0", "")
    # This version has no architecture.
    assert (gpu["driver"], gpu["architecture"]) == ("7.0.0-3-pve", None)


def test_the_form_from_version_26_on(fixtures: Path) -> None:
    [gpu] = gpus(fixtures, static="static_mi210.json")
    assert (gpu["name"], gpu["memory_mib"], gpu["architecture"]) == ("AMD Instinct MI210", 65520, "gfx90a")
    # A driver that came with the kernel. Here it reports no address on the bus.
    assert (gpu["driver"], gpu["bus"]) == ("6.14.0-24-generic", "")
    metric: Any = _gpu_amd.entries((fixtures / "gpu" / "amd_metric_r9700.json").read_text(encoding="utf-8"))
    assert [_gpu_amd.mib(metric[index]["mem_usage"]["used_vram"]) for index in (0, 1)] == [20450, 57]


def test_processes_that_are_listed_under_every_gpu(fixtures: Path) -> None:
    """Four processes on two GPUs of 32624 MiB: all of it can't be on both, and amd-smi does not say what is where."""
    output = (fixtures / "gpu" / "amd_process_r9700.json").read_text(encoding="utf-8")
    found = _gpu_amd.processes(_gpu_amd.entries(output))
    assert [entry["pid"] for entry in found[0]] == [213534, 213890, 213952, 213953]
    assert found[0] == found[1]
    assert found[0][2] == {"pid": 213952, "kind": "C", "process": "/usr/bin/python3.12", "mib": None}


def test_a_process_under_one_gpu(fixtures: Path) -> None:
    """The same output without its second GPU."""
    output = (fixtures / "gpu" / "amd_process_r9700.json").read_text(encoding="utf-8")
    first = {0: _gpu_amd.entries(output)[0]}
    assert [entry["mib"] for entry in _gpu_amd.processes(first)[0]] == [0, 0, 20035, 19553]


def test_owners_of_memory(fixtures: Path) -> None:
    found = gpus(fixtures, static="static_strix_halo.json", process="process_r9700.json")
    table = {213952: Process(213952, 1, "python3.12", "ann", "vllm.service")}
    [gpu] = _gpu.with_owners(found, table, ())
    assert [(entry["user"], entry["unit"], entry["ours"]) for entry in gpu["processes"]][1:3] == [
        ("", "", False),
        ("ann", "vllm.service", False),
    ]


@pytest.mark.parametrize("text", ["No running processes detected", "N/A"])
def test_a_gpu_that_nobody_uses(text: str) -> None:
    """The words of amdsmi_cli/amdsmi_commands.py (process) in github.com/ROCm/amdsmi at 0ceca28."""
    assert _gpu_amd.processes({0: {"gpu": 0, "process_list": [{"process_info": text}]}}) == {0: []}


def test_a_user_without_the_groups(fixtures: Path) -> None:
    """amd-smi prints what is missing before its output, into the same stream."""
    line, static = (
        (fixtures / "gpu" / name).read_text(encoding="utf-8") for name in ("amd_groups", "amd_static_mi210.json")
    )
    assert _gpu_amd.entries(line + static) == _gpu_amd.entries(static)


@pytest.mark.parametrize("output", ["", "amd_no_driver", "amd_groups", '{"gpu_metrics": []}', "[1", "{}"])
def test_what_is_no_output(fixtures: Path, output: str) -> None:
    place = fixtures / "gpu" / (output or "none")
    text = place.read_text(encoding="utf-8") if place.is_file() else output
    with pytest.raises(ValueError, match=r"amd-smi printed|Expecting"):
        _gpu_amd.entries(text)
    with pytest.raises(ValueError, match=r"amd-smi printed|Expecting"):
        gpus(fixtures)


@pytest.mark.parametrize(
    ("size", "wanted"),
    [
        ({"value": 32624, "unit": "MB"}, 32624),
        ({"value": 21008920000, "unit": "B"}, 20035),
        ({"value": 32768, "unit": "KB"}, 32),
        ({"value": "N/A", "unit": "GB/s"}, None),
        ("N/A", None),
        (None, None),
    ],
)
def test_sizes(size: object, wanted: int | None) -> None:
    assert _gpu_amd.mib(size) == wanted
