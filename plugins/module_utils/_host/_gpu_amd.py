# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GPUs of AMD, as amd-smi reports them. PRIVATE to the collection."""

from __future__ import annotations

import json
import re
import typing as t
from collections import Counter

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _look

# Where ROCm's packages put it.
PROGRAM, DIRECTORY = "amd-smi", "/opt/rocm/bin"
COMMANDS = {
    "list": ["list", "--json"],
    "static": ["static", "--json"],
    "metric": ["metric", "--mem-usage", "--json"],
    "process": ["process", "--json"],
}
# In MiB: the 32624 "MB" of an R9700 are the 33406976 KB that rocminfo reports (github.com/ROCm/ROCm/issues/5706).
UNITS = {"B": 2.0**-20, "KB": 2.0**-10, "MB": 1.0, "GB": 2.0**10}


def parse_gpus(outputs: Mapping[str, str]) -> list[_look.Gpu]:
    """Parse the outputs of COMMANDS, by name. What a GPU does not report is None, as is the output of a failed command.

    memory_mib, used_mib: MiB. Raises ValueError where that of `static` is not its output.
    """
    static = entries(outputs["static"])
    listed, metric, process = (entries_or_none(outputs[name]) for name in ("list", "metric", "process"))
    holders = processes(process)
    return [
        {
            "index": index,
            "uuid": text(listed.get(index), "uuid") or "",
            "name": text(gpu, "asic", "market_name") or "",
            "memory_mib": mib(told(gpu, "vram", "size")) or 0,
            "used_mib": mib(told(metric.get(index), "mem_usage", "used_vram")),
            "driver": driver(text(gpu, "driver", "version") or ""),
            "architecture": text(gpu, "asic", "target_graphics_version"),
            "bus": text(gpu, "bus", "bdf") or text(listed.get(index), "bdf") or "",
            "processes": holders.get(index, []),
        }
        for index, gpu in static.items()
    ]


def entries(output: str) -> dict[int, object]:
    """Return what a command reports of each GPU, by its index.

    A list, or from version 26 on for some commands {"gpu_data": a list}. To a user who lacks groups, a line about them
    comes first. Raises ValueError if the output has another form.
    """
    start = re.search(r"^[\[{]", output, re.MULTILINE)
    if not start:
        raise ValueError("amd-smi printed no JSON")
    data, _end = json.JSONDecoder().raw_decode(output, start.start())
    found = told(data, "gpu_data") if isinstance(data, dict) else data
    if not isinstance(found, list):
        raise ValueError("amd-smi printed JSON of an unknown form")
    return {entry["gpu"]: entry for entry in found if isinstance(told(entry, "gpu"), int)}


def entries_or_none(output: str) -> dict[int, object]:
    """Return the same; {} if the output is not the expected JSON."""
    try:
        return entries(output)
    except ValueError:
        return {}


def told(node: object, *path: str) -> object:
    """Return the value at the end of a path through dicts, None if there is none."""
    for name in path:
        node = node.get(name) if isinstance(node, dict) else None
    return None if node == "N/A" else node


def text(node: object, *path: str) -> str | None:
    """Return the text at the end of a path."""
    found = told(node, *path)
    return found if isinstance(found, str) else None


def mib(size: object) -> int | None:
    """Return a size, such as {"value": 32624, "unit": "MB"}, in MiB."""
    value, unit = told(size, "value"), UNITS.get(text(size, "unit") or "")
    return int(value * unit) if isinstance(value, (int, float)) and unit else None


def driver(version: str) -> str:
    """Return the version of the driver. Of one that came with the kernel, amd-smi may return all of /proc/version."""
    found = re.match(r"Linuxversion([^(]+)", version)
    return found.group(1) if found else version


def processes(told_by_gpu: Mapping[int, object]) -> dict[int, list[_look.GpuProcess]]:
    """Return the processes that hold memory of each GPU; mib is None where it is not reported for which GPU.

    Up to July 2026 amd-smi listed each process under every GPU, with the same figures
    (github.com/ROCm/rocm-systems/pull/8396). For a GPU without processes, it prints a text instead of a process.
    """
    lists = {index: told(gpu, "process_list") for index, gpu in told_by_gpu.items()}
    found = {
        index: [holder(told(entry, "process_info")) for entry in entries_] if isinstance(entries_, list) else []
        for index, entries_ in lists.items()
    }
    times = Counter((entry["pid"], entry["mib"]) for entries_ in found.values() for entry in entries_ if entry)
    return {
        index: [
            {**entry, "mib": entry["mib"] if times[entry["pid"], entry["mib"]] == 1 else None}
            for entry in entries_
            if entry
        ]
        for index, entries_ in found.items()
    }


def holder(info: object) -> _look.GpuProcess | None:
    """Return a process that holds memory, in the form of nvidia-smi's; None where it is none."""
    pid = told(info, "pid")
    if not isinstance(pid, int):
        return None
    held = mib(told(info, "memory_usage", "vram_mem"))
    return {"pid": pid, "kind": "C", "process": text(info, "name") or "", "mib": held}
