#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpu_info
short_description: Look at the GPUs of a host
description:
  - Tells what C(nvidia-smi) knows of the GPUs, how they are linked, and which processes hold their memory.
  - A host without GPUs returns an empty list. Where there should be some, RV(gpu_error) says why there are none.
  - GPUs of AMD are told by C(amd-smi), in RV(amd_gpus). Where it is missing or fails, they are only counted on the PCI
    bus. No release of vLLM is made for them.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
seealso:
  - module: vllm_ray.cluster.host_info
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Look at the GPUs
  vllm_ray.cluster.gpu_info:
  register: seen

- name: Show who holds memory
  ansible.builtin.debug:
    msg: "{{ seen.gpus | map(attribute='processes') | flatten }}"
"""

RETURN = r"""
gpus:
  description: The GPUs of NVIDIA, in the order of C(nvidia-smi). What a GPU or its driver does not tell is V(none).
  returned: always
  type: list
  elements: dict
  contains:
    index:
      description: Its number.
      returned: always
      type: int
    uuid:
      description: Its UUID.
      returned: always
      type: str
    name:
      description: Its model.
      returned: always
      type: str
      sample: NVIDIA H200
    memory_mib:
      description: Its memory, in MiB.
      returned: always
      type: int
    used_mib:
      description: Memory that is in use, in MiB, without what the driver keeps for itself.
      returned: always
      type: int
    reserved_mib:
      description: Memory that the driver keeps for itself, in MiB.
      returned: always
      type: int
    driver:
      description: Version of the driver.
      returned: always
      type: str
      sample: 580.159.04
    cuda:
      description: Newest CUDA that the driver supports.
      returned: always
      type: str
      sample: "13.0"
    architecture:
      description: Its architecture.
      returned: always
      type: str
      sample: Hopper
    compute_capability:
      description: Its compute capability.
      returned: always
      type: str
      sample: "9.0"
    bus:
      description: Its address on the PCI bus.
      returned: always
      type: str
    persistence:
      description: Whether persistence mode is on.
      returned: always
      type: bool
    mig:
      description: Whether MIG is on.
      returned: always
      type: bool
    mig_devices:
      description: Number of its MIG devices.
      returned: always
      type: int
    ecc:
      description: Whether ECC is on.
      returned: always
      type: bool
    ecc_uncorrected:
      description: Uncorrected memory errors since the driver was loaded.
      returned: always
      type: int
    repair_pending:
      description: Whether the GPU must be reset to replace bad memory.
      returned: always
      type: bool
    memory_failed:
      description: Whether bad memory can't be replaced any more.
      returned: always
      type: bool
    power_limit:
      description: Its power limit, in watts.
      returned: always
      type: float
    pcie:
      description: Generation and width of its PCIe link, now and at most. An idle GPU lowers the generation.
      returned: always
      type: dict
      sample: {"generation": 5, "generation_max": 5, "width": 16, "width_max": 16}
    links:
      description: Its links to other GPUs and to RDMA devices, in the words of C(nvidia-smi topo -m).
      returned: always
      type: dict
      sample: {"gpus": {"1": "NV18"}, "nics": {"mlx5_0": "PIX"}}
    processes:
      description:
        - Processes that hold its memory, with pid, kind (C = compute, G = graphics), process, MiB, user and unit. User
          and unit are empty where they can't be seen.
        - Whether they are ours, of a cluster's own services, only M(vllm_ray.cluster.host_info) knows, which is told
          the services; here it is V(false).
      returned: always
      type: list
      elements: dict
      sample: [{"pid": 542, "kind": "C", "process": "python3", "mib": 1542, "user": "ann", "unit": "", "ours": false}]
amd_gpus:
  description: The GPUs of AMD, in the order of C(amd-smi). What it does not tell is V(none).
  returned: always
  type: list
  elements: dict
  contains:
    index:
      description: Its number.
      returned: always
      type: int
    uuid:
      description: Its UUID.
      returned: always
      type: str
    name:
      description: Its model.
      returned: always
      type: str
      sample: AMD Instinct MI210
    memory_mib:
      description: Its memory, in MiB.
      returned: always
      type: int
    used_mib:
      description: Memory that is in use, in MiB.
      returned: always
      type: int
    driver:
      description: Version of the driver, or of the kernel that it came with.
      returned: always
      type: str
      sample: 6.16.6
    architecture:
      description: What programs are compiled for.
      returned: always
      type: str
      sample: gfx90a
    bus:
      description: Its address on the PCI bus.
      returned: always
      type: str
    processes:
      description: As of RV(gpus[].processes). MiB are V(none) where C(amd-smi) lists a process under several GPUs and
        does not tell of which it holds them.
      returned: always
      type: list
      elements: dict
gpu_error:
  description: Why GPUs of NVIDIA can't be looked at. Empty where all is well, or there are none.
  returned: always
  type: str
  sample: "Failed to initialize NVML: Driver/library version mismatch NVML library version: 550.144"
pci_gpus:
  description: Number of GPUs on the PCI bus, whatever their driver.
  returned: always
  type: dict
  sample: {"nvidia": 8, "amd": 0}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils import _gpu_io, _probe_io


def main() -> None:
    module = AnsibleModule({}, supports_check_mode=True)
    module.exit_json(changed=False, **_gpu_io.look(module, _probe_io.processes()))


if __name__ == "__main__":
    main()
