# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the GPUs of a host. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._probe_io import entries, has, run, tree
from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _gpu, _gpu_amd

if t.TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ansible.module_utils.basic import AnsibleModule

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _look
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._net._listeners import Process

PCI = "/sys/bus/pci/devices"
# A GPU that hangs must not make us hang.
SECONDS = 30


def look(
    module: AnsibleModule,
    processes: Mapping[int, Process],
    own_pids: Collection[int] = (),
    own_units: Collection[str] = (),
) -> _look.Gpus:
    """Return the GPUs, why there are none though there should be, and how many there are on the PCI bus."""
    pci = _gpu.count_pci(tree(f"{PCI}/{device}/{name}" for device in entries(PCI) for name in ("vendor", "class")))
    gpus, error = (
        smi(module) if has(module, _gpu.ARGV[0]) else ([], "nvidia-smi is not installed" * bool(pci["nvidia"]))
    )
    if gpus:
        capabilities = _gpu.parse_capabilities(run(module, _gpu.CAPABILITY_ARGV))
        links = _gpu.parse_topology(run(module, _gpu.TOPOLOGY_ARGV))
        for gpu in gpus:
            gpu["compute_capability"] = capabilities.get(gpu["index"])
            gpu["links"] = links.get(gpu["index"], {"gpus": {}, "nics": {}})
    amd = amd_smi(module) if pci["amd"] else []
    return {
        "gpus": _gpu.with_owners(gpus, processes, own_pids, own_units),
        "gpu_error": error,
        "amd_gpus": _gpu.with_owners(amd, processes, own_pids, own_units),
        "pci_gpus": pci,
    }


def smi(module: AnsibleModule) -> tuple[list[_look.Gpu], str]:
    """Return the GPUs that nvidia-smi reports, and what it says where it fails."""
    rc, out, err = module.run_command(["timeout", str(SECONDS), *_gpu.ARGV])
    if rc == 124:
        return [], f"nvidia-smi did not answer in {SECONDS} s"
    if rc:
        return [], _gpu.failure(out + err) or f"nvidia-smi ended with {rc}"
    try:
        return _gpu.parse_gpus(out), ""
    except ValueError:
        return [], _gpu.failure(out)


def amd_smi(module: AnsibleModule) -> list[_look.Gpu]:
    """Return the GPUs that amd-smi reports, none where it is missing or fails."""
    program = module.get_bin_path(_gpu_amd.PROGRAM, opt_dirs=[_gpu_amd.DIRECTORY])
    if not program:
        return []
    commands = {name: ["timeout", str(SECONDS), program, *words] for name, words in _gpu_amd.COMMANDS.items()}
    try:
        return _gpu_amd.parse_gpus({name: run(module, argv) for name, argv in commands.items()})
    except ValueError:
        return []
