# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What engines can run on, and all in which these accelerators differ. PRIVATE to the collection."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Accelerator:
    """What an engine runs on, and what it needs of a host, a release, Ray and vLLM.

    name: value of vllm_ray_accelerator, and name of the lock of its release. visible: variable with the indices of the
    GPUs that a process may use, empty where there are none. torch_device: type of torch's device, empty for the CPU.
    backend: of torch.distributed.
    """

    name: str
    backend: str
    visible: str = ""
    torch_device: str = ""
    # Environment of each node, and the defaults of vllm_ray_env and vllm_ray_serve_args.
    node_environment: t.Mapping[str, str] = field(default_factory=dict)
    environment: t.Mapping[str, str] = field(default_factory=dict)
    serve_args: t.Mapping[str, object] = field(default_factory=dict)
    # Units: devices besides RDMA (names of /proc/devices, or paths); the unit that loads their drivers, and units that
    # must have started before; a directory with sockets below /tmp that engines look for.
    devices: tuple[str, ...] = ()
    wants: str = ""
    after: tuple[str, ...] = ()
    sockets: str = ""
    # Hosts: the smallest driver (0: none is needed), shared libraries, Debian packages, and whether engines compile
    # when they start, so that a compiler and Python's headers are needed.
    min_driver: int = 0
    libraries: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    compiles: bool = False
    # Release: GiB on the builder (uv's cache and the release share files where they are on one filesystem), and the
    # folder of the role release with a plugin of vLLM, empty where none is needed.
    space_gib: int = 0
    plugin: str = ""

    @property
    def has_gpus(self) -> bool:
        """Whether engines run on GPUs: they have indices, and memory by which layouts are chosen."""
        return bool(self.visible)


CUDA = Accelerator(
    "cuda",
    backend="nccl",
    visible="CUDA_VISIBLE_DEVICES",
    torch_device="cuda",
    # FlashInfer compiles its sampler at the first start, by nvcc and a C++ compiler, for 107 s (docs/gpu.md); most
    # hosts have a driver alone, and then the engine dies. vLLM's own sampler needs neither.
    node_environment={"VLLM_USE_FLASHINFER_SAMPLER": "0"},
    # nvidia, nvidia-frontend, nvidia-uvm, nvidia-caps, nvidia-caps-imex-channels; and GPUDirect.
    devices=("char-nvidia* rw", "char-gdrdrv rw"),
    wants="modprobe@nvidia_uvm.service",
    after=("systemd-modules-load.service", "nvidia-persistenced.service", "nvidia-fabricmanager.service"),
    # Of a running MPS server.
    sockets="/tmp/nvidia-mps",
    min_driver=580,
    packages=("gcc", "libc6-dev"),
    compiles=True,
    space_gib=14,
)
CPU = Accelerator(
    "cpu",
    backend="gloo",
    # On CPU hosts there is seldom a compiler (some layers call torch.compile in spite of eager mode), and vLLM takes
    # half of the memory for its cache unless set otherwise.
    environment={"VLLM_CPU_KVCACHE_SPACE": "1", "TORCHDYNAMO_DISABLE": "1"},
    serve_args={"enforce-eager": True},
    libraries=("libnuma.so.1",),
    packages=("libnuma1",),
    space_gib=6,
    plugin="vllm_cpu_ray",
)
ACCELERATORS = {accelerator.name: accelerator for accelerator in (CUDA, CPU)}


def of_setting(wish: str, gpus: bool) -> Accelerator:
    """Return what vllm_ray_accelerator selects. gpus: whether there are NVIDIA GPUs, which decides for `auto`."""
    return ACCELERATORS.get(wish) or (CUDA if gpus else CPU)


def of_lock(name: str) -> Accelerator:
    """Return the accelerator of a lock. A lock of another name is taken for one of NVIDIA GPUs."""
    return ACCELERATORS.get(name, CUDA)
