#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpu_info
short_description: Gather facts about the GPUs of a host
description:
  - Returns the properties of NVIDIA GPUs from C(nvidia-smi), their links, and the processes that use their memory.
  - On a host without GPUs, the list is empty. If GPUs exist but cannot be queried, RV(gpu_error) has the reason.
  - AMD GPUs are queried with C(amd-smi) and returned in RV(amd_gpus). If C(amd-smi) is missing or fails, they are only
    counted on the PCI bus. The collection has no vLLM release for them.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
seealso:
  - module: vllm_ray.cluster.host_info
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Gather facts about the GPUs
  vllm_ray.cluster.gpu_info:
  register: seen

- name: Show the processes that use GPU memory
  ansible.builtin.debug:
    msg: "{{ seen.gpus | map(attribute='processes') | flatten }}"
"""

RETURN = r"""
gpus:
  description: NVIDIA GPUs, in the order of C(nvidia-smi). A value that the GPU or its driver does not report is
    V(none).
  returned: always
  type: list
  elements: dict
  contains:
    index:
      description: Index of the GPU.
      returned: always
      type: int
    uuid:
      description: UUID of the GPU.
      returned: always
      type: str
    name:
      description: Model name of the GPU.
      returned: always
      type: str
      sample: NVIDIA H200
    memory_mib:
      description: Total memory, in MiB.
      returned: always
      type: int
    used_mib:
      description: Used memory in MiB, without the memory that the driver reserves.
      returned: always
      type: int
    reserved_mib:
      description: Memory that the driver reserves, in MiB.
      returned: always
      type: int
    driver:
      description: Version of the driver.
      returned: always
      type: str
      sample: 580.159.04
    cuda:
      description: Newest CUDA version that the driver supports.
      returned: always
      type: str
      sample: "13.0"
    architecture:
      description: Architecture of the GPU.
      returned: always
      type: str
      sample: Hopper
    compute_capability:
      description: Compute capability of the GPU.
      returned: always
      type: str
      sample: "9.0"
    bus:
      description: PCI bus address of the GPU.
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
      description: Number of MIG devices.
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
      description: Whether bad memory can no longer be replaced.
      returned: always
      type: bool
    power_limit:
      description: Power limit, in watts.
      returned: always
      type: float
    pcie:
      description: Current and maximum generation and width of the PCIe link. An idle GPU lowers the current generation.
      returned: always
      type: dict
      sample: {"generation": 5, "generation_max": 5, "width": 16, "width_max": 16}
    links:
      description: Links to other GPUs and to RDMA devices, as C(nvidia-smi topo -m) names them.
      returned: always
      type: dict
      sample: {"gpus": {"1": "NV18"}, "nics": {"mlx5_0": "PIX"}}
    processes:
      description:
        - Processes that use its memory, with pid, kind (C = compute, G = graphics), process, mib, user, unit and ours.
          User and unit are empty if they are not visible.
        - C(ours) shows whether the process belongs to a service of the cluster. It is always V(false) here. Only
          M(vllm_ray.cluster.host_info) knows the services.
      returned: always
      type: list
      elements: dict
      sample: [{"pid": 542, "kind": "C", "process": "python3", "mib": 1542, "user": "ann", "unit": "", "ours": false}]
amd_gpus:
  description: AMD GPUs, in the order of C(amd-smi). A value that it does not report is V(none).
  returned: always
  type: list
  elements: dict
  contains:
    index:
      description: Index of the GPU.
      returned: always
      type: int
    uuid:
      description: UUID of the GPU.
      returned: always
      type: str
    name:
      description: Model name of the GPU.
      returned: always
      type: str
      sample: AMD Instinct MI210
    memory_mib:
      description: Total memory, in MiB.
      returned: always
      type: int
    used_mib:
      description: Used memory, in MiB.
      returned: always
      type: int
    driver:
      description: Version of the driver, or of the kernel that includes it.
      returned: always
      type: str
      sample: 6.16.6
    architecture:
      description: Architecture to compile programs for.
      returned: always
      type: str
      sample: gfx90a
    bus:
      description: PCI bus address of the GPU.
      returned: always
      type: str
    processes:
      description: Processes, as in RV(gpus[].processes). C(mib) is V(none) if C(amd-smi) lists a process under several
        GPUs without the memory on each.
      returned: always
      type: list
      elements: dict
gpu_error:
  description: Why NVIDIA GPUs cannot be queried. Empty if there is no error or no GPU.
  returned: always
  type: str
  sample: "Failed to initialize NVML: Driver/library version mismatch NVML library version: 550.144"
pci_gpus:
  description: Number of GPUs on the PCI bus by vendor, with or without a driver.
  returned: always
  type: dict
  sample: {"nvidia": 8, "amd": 0}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _probe_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _gpu_io


def main() -> None:
    module = AnsibleModule({}, supports_check_mode=True)
    module.exit_json(changed=False, **_gpu_io.look(module, _probe_io.processes()))


if __name__ == "__main__":
    main()
