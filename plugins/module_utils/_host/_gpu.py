# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GPUs of a host. PRIVATE to the collection."""

from __future__ import annotations

import csv
import re
import typing as t
from xml.etree import ElementTree

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._plain import plain
from ansible_collections.vllm_ray.cluster.plugins.module_utils._net._listeners import is_descendant

if t.TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _look
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._net._listeners import Process

ARGV = ["nvidia-smi", "-q", "-x"]
TOPOLOGY_ARGV = ["nvidia-smi", "topo", "-m"]
# The XML does not have it.
CAPABILITY_ARGV = ["nvidia-smi", "--query-gpu=index,compute_cap", "--format=csv"]

TERMINAL_CODE = re.compile(r"\x1b\[[0-9;]*m")
PCI_VENDORS = {"0x10de": "nvidia", "0x1002": "amd"}
# First four digits of a PCI class: VGA, 3D and other display controllers, processing accelerators.
PCI_CLASSES = ("0x0300", "0x0302", "0x0380", "0x1200")


def parse_gpus(text: str) -> list[_look.Gpu]:
    """Parse the output of ARGV, from version 10 of its format on. What a GPU or its driver does not report is None.

    memory_mib, used_mib: MiB; used_mib leaves out reserved_mib, what the driver keeps for itself. power_limit: watts.
    ecc_uncorrected: errors since the driver was loaded. repair_pending: the GPU must be reset to replace bad memory.
    memory_failed: it has none left to replace it with.
    Raises ValueError where the text is not that output.
    """
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ValueError(f"not the output of nvidia-smi -q -x: {error}") from error
    # nvidia-smi numbers GPUs in the order in which it lists them.
    return [
        {
            "index": index,
            "uuid": read(gpu, "uuid") or "",
            "name": read(gpu, "product_name") or "",
            "memory_mib": whole(gpu, "fb_memory_usage/total") or 0,
            "used_mib": whole(gpu, "fb_memory_usage/used") or 0,
            "reserved_mib": whole(gpu, "fb_memory_usage/reserved"),
            "driver": read(root, "driver_version") or "",
            "cuda": read(root, "cuda_version"),
            "architecture": read(gpu, "product_architecture"),
            "compute_capability": None,
            "bus": gpu.get("id", ""),
            "persistence": switch(gpu, "persistence_mode"),
            "mig": switch(gpu, "mig_mode/current_mig"),
            "mig_devices": len(gpu.findall("mig_devices/mig_device")),
            "ecc": switch(gpu, "ecc_mode/current_ecc"),
            "ecc_uncorrected": uncorrected(gpu.find("ecc_errors/volatile")),
            "repair_pending": any(
                read(gpu, path) == "Yes"
                for path in ("remapped_rows/remapped_row_pending", "retired_pages/pending_retirement")
            ),
            "memory_failed": any(
                read(gpu, path) == "Yes"
                for path in ("remapped_rows/remapped_row_failure", "ecc_errors/unrepairable_memory")
            ),
            "power_limit": number(gpu, "gpu_power_readings/current_power_limit", "power_readings/power_limit"),
            "pcie": {
                "generation": whole(gpu, "pci/pci_gpu_link_info/pcie_gen/current_link_gen"),
                "generation_max": whole(gpu, "pci/pci_gpu_link_info/pcie_gen/max_link_gen"),
                "width": whole(gpu, "pci/pci_gpu_link_info/link_widths/current_link_width"),
                "width_max": whole(gpu, "pci/pci_gpu_link_info/link_widths/max_link_width"),
            },
            "processes": [
                {
                    "pid": whole(process, "pid") or 0,
                    "kind": read(process, "type") or "",
                    "process": plain(read(process, "process_name") or ""),
                    "mib": whole(process, "used_memory"),
                }
                for process in gpu.findall("processes/process_info")
            ],
        }
        for index, gpu in enumerate(root.findall("gpu"))
    ]


def read(node: ElementTree.Element, *paths: str) -> str | None:
    """Return the text of the first of several elements that says something."""
    for path in paths:
        text = (node.findtext(path) or "").strip()
        if text and text not in ("N/A", "None"):
            return text
    return None


def number(node: ElementTree.Element, *paths: str) -> float | None:
    """Return the number at the start of an element, such as of `700.00 W`."""
    found = re.match(r"\d+(\.\d+)?", read(node, *paths) or "")
    return float(found.group()) if found else None


def whole(node: ElementTree.Element, path: str) -> int | None:
    """Return the whole number at the start of an element, such as of `143771 MiB` or `16x`."""
    value = number(node, path)
    return None if value is None else int(value)


def switch(node: ElementTree.Element, path: str) -> bool | None:
    """Return whether an element says that something is on."""
    return {"Enabled": True, "Disabled": False}.get(read(node, path) or "")


def uncorrected(errors: ElementTree.Element | None) -> int | None:
    """Return the sum of the uncorrectable errors of all kinds of memory."""
    found = [number(errors, node.tag) for node in errors if "uncorrectable" in node.tag] if errors is not None else []
    counts = [count for count in found if count is not None]
    return int(sum(counts)) if counts else None


def parse_capabilities(text: str) -> dict[int, str]:
    """Parse the output of CAPABILITY_ARGV to {index: compute capability}."""
    rows = csv.DictReader(text.splitlines(), skipinitialspace=True)
    return {
        int(row["index"]): row["compute_cap"]
        for row in rows
        if (row.get("index") or "").isdigit() and re.fullmatch(r"\d+\.\d+", row.get("compute_cap") or "")
    }


def parse_topology(text: str) -> dict[int, _look.GpuLinks]:
    """Parse the output of TOPOLOGY_ARGV to {index: {gpus: {index: link}, nics: {device: link}}}.

    Links are as in nvidia-smi's legend: NV18 = eighteen NVLinks, PIX, PXB, PHB, NODE, SYS.
    """
    lines = [cells for cells in map(cells_of, text.splitlines()) if cells]
    header = next((cells for cells in lines if cells[0] == "GPU0"), [])
    devices = dict(cells[0].split(": ") for cells in lines if re.match(r"NIC\d+: ", cells[0]))
    found: dict[int, _look.GpuLinks] = {}
    for cells in lines:
        if cells is header or not re.fullmatch(r"GPU\d+", cells[0]):
            continue
        # The columns behind the devices are named in several words, such as NUMA Affinity.
        links = {name: link for name, link in zip(header, cells[1:]) if " " not in name and link != "X"}
        found[int(cells[0][3:])] = {
            "gpus": {name[3:]: link for name, link in links.items() if name.startswith("GPU")},
            "nics": {devices.get(name, name): link for name, link in links.items() if not name.startswith("GPU")},
        }
    return found


def cells_of(line: str) -> list[str]:
    """Return the cells of a line of the topology; threads have spaces where nvidia-smi prints tabs."""
    return [cell.strip() for cell in re.split(r"\t|\s{2,}", TERMINAL_CODE.sub("", line)) if cell.strip()]


def failure(text: str) -> str:
    """Return what a failing nvidia-smi says, on one line."""
    return " ".join(text.split())


def with_owners(
    gpus: Iterable[_look.Gpu],
    processes: Mapping[int, Process],
    own_pids: Collection[int],
    own_units: Collection[str] = (),
) -> list[_look.Gpu]:
    """Return the GPUs with the user and the unit of each process that holds memory, and whether it is ours.

    Ours are the descendants of own_pids and what runs in own_units: of this cluster, as what another one holds is not
    free for this one.
    """

    def owned(entry: _look.GpuProcess) -> _look.GpuProcess:
        """Return a process with user and unit, empty where it can't be seen."""
        process = processes.get(entry["pid"])
        unit = process.unit if process else ""
        ours = unit in own_units or is_descendant(entry["pid"], own_pids, processes)
        return {**entry, "user": process.user if process else "", "unit": unit, "ours": ours}

    return [{**gpu, "processes": [owned(entry) for entry in gpu["processes"]]} for gpu in gpus]


def count_pci(tree: Mapping[str, str]) -> dict[str, int]:
    """Return how many GPUs there are on the PCI bus, whatever their driver: {nvidia, amd}.

    tree: {path: text} of /sys/bus/pci/devices/*/vendor and class.
    """
    counts = dict.fromkeys(PCI_VENDORS.values(), 0)
    for path, text in tree.items():
        folder, _slash, name = path.rpartition("/")
        vendor = PCI_VENDORS.get(text)
        if name == "vendor" and vendor and tree.get(f"{folder}/class", "").startswith(PCI_CLASSES):
            counts[vendor] += 1
    return counts
