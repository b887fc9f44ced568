# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GPUs, hosts and the links between them, as the planner sees them. PRIVATE to the collection."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass
from functools import cache

if t.TYPE_CHECKING:
    from collections.abc import Mapping

MIB = 1024**2
GIB = 1024**3

# What a driver keeps for itself, if it does not report it (`Reserved` of `nvidia-smi -q`): a constant part and a part
# of the memory. Fitted to memory.total less the total that torch names in its errors: RTX 4090 24564 MiB and
# 23.64 GiB, L40S 46068 and 44.39, H100 81559 and 79.10, H200 143771 and 139.8. Off by up to 0.3 GiB elsewhere (A100).
RESERVED_MIB = 350
RESERVED_SHARE = 0.0025

# Memory bandwidth in GB/s and dense 16-bit TFLOP/s, from NVIDIA's and AMD's data sheets; the first name that is part
# of the GPU's name counts.
SPEEDS: tuple[tuple[str, float, float], ...] = (
    ("B300", 8000, 2250),
    ("B200", 8000, 2250),
    ("H200 NVL", 4800, 835),
    ("H200", 4800, 989),
    ("H100 PCIE", 2000, 756),
    ("H100 NVL", 3900, 835),
    ("H100", 3350, 989),
    ("H800", 3350, 989),
    ("H20", 4000, 148),
    ("A100-SXM4-40GB", 1555, 312),
    ("A100-PCIE-40GB", 1555, 312),
    ("A100", 2000, 312),
    ("A800", 2000, 312),
    ("L40S", 864, 362),
    ("L40", 864, 181),
    ("L4", 300, 121),
    ("A40", 696, 150),
    ("A30", 933, 165),
    ("A10G", 600, 70),
    ("A10", 600, 125),
    ("T4", 320, 65),
    ("V100", 900, 125),
    ("RTX PRO 6000", 1792, 503),
    ("RTX 6000 ADA", 960, 364),
    ("RTX A6000", 768, 155),
    ("RTX 5090", 1792, 210),
    ("RTX 4090", 1008, 165),
    ("RTX 3090", 936, 71),
    ("MI355X", 8000, 2500),
    ("MI325X", 6000, 1307),
    ("MI300X", 5300, 1307),
)
# Those of the table that can't compute in FP8: NVIDIA's compute capability below 8.9.
WITHOUT_FP8 = re.compile(r"\b(?:A100|A800|A40|A30|A10G?|T4|V100|RTX A6000|RTX 3090)\b")
# A GPU that is not in the table is taken for one of the slower kind.
UNKNOWN_SPEED = (600.0, 100.0)


@dataclass(frozen=True)
class Gpu:
    """One GPU. Memory in MiB: memory_mib as memory.total of nvidia-smi; used_mib by processes that will stay."""

    model: str
    memory_mib: int
    reserved_mib: int | None = None
    used_mib: int = 0

    @property
    def usable(self) -> int:
        """Bytes that a program can have, torch's total_memory: what vLLM takes its share of."""
        estimate = RESERVED_MIB + RESERVED_SHARE * self.memory_mib
        reserved = estimate if self.reserved_mib is None else self.reserved_mib
        return max(0, int((self.memory_mib - reserved) * MIB))

    @property
    def free(self) -> int:
        """Bytes that are free when vLLM starts."""
        return max(0, self.usable - self.used_mib * MIB)

    def crowded(self, share: float) -> bool:
        """Return whether less is free than vLLM's share: it would refuse (v1/worker/utils.py, request_memory)."""
        return self.free < int(self.usable * share)

    @property
    def known(self) -> bool:
        """Whether its speed is in the table."""
        return listed(self.model) is not None

    @property
    def fp8(self) -> bool:
        """Whether it is known to compute in FP8."""
        return self.known and not WITHOUT_FP8.search(self.model.upper())

    @property
    def speed(self) -> tuple[float, float]:
        """Memory bandwidth in bytes/s, 16-bit FLOP/s: peaks."""
        bandwidth, flops = listed(self.model) or UNKNOWN_SPEED
        return bandwidth * 1e9, flops * 1e12


def others(seen: Mapping[str, t.Any], active: bool) -> list[Mapping[str, t.Any]]:
    """Return the processes on a GPU of a look that are not ours.

    active: whether our services run there; what can't be seen, as from within a container, may then be theirs.
    """
    return [process for process in seen["processes"] if not process["ours"] and (process["user"] or not active)]


def gpu_of(seen: Mapping[str, t.Any], active: bool) -> Gpu:
    """Return a GPU of a look. active: whether our services, which will make room, run there."""
    held = sum(process["mib"] or 0 for process in others(seen, active))
    return Gpu(seen["name"], seen["memory_mib"], seen.get("reserved_mib"), held if active else seen["used_mib"])


@cache
def listed(model: str) -> tuple[float, float] | None:
    """Return a GPU's line of SPEEDS, if it has one."""
    name = model.upper()
    return next(((speed, flops) for part, speed, flops in SPEEDS if re.search(rf"\b{part}\b", name)), None)


@dataclass(frozen=True)
class Wire:
    """What GPUs talk over: bytes/s of a large transfer, seconds of a small one."""

    bandwidth: float
    latency: float

    def all_reduce(self, size: float, ranks: int) -> float:
        """Seconds of a ring all-reduce: each rank sends its 2 (n-1)/n of the bytes; small ones cost steps."""
        if ranks < 2:
            return 0.0
        steps = 2 * (ranks - 1).bit_length()
        return 2 * (ranks - 1) / ranks * size / self.bandwidth + steps * self.latency

    def send(self, size: float) -> float:
        """Seconds of one transfer."""
        return size / self.bandwidth + self.latency


# Between GPUs of one host, orders of magnitude: NVLink as on HGX boards with vLLM's own all-reduce for small tensors;
# PCIe a 4.0 x16 slot with transfers through the host's memory. Not measured by us.
INSIDE = {"nvlink": Wire(200e9, 4e-6), "pcie": Wire(12e9, 15e-6)}
# NCCL over TCP between two hosts, measured by us: 3.1 GB/s at 1 MiB and 4.3 GB/s at 64 MiB for two ranks, so about
# 47 us a step; faster links don't make NCCL's sockets faster.
TCP_SHARE, TCP_CEILING, TCP_LATENCY = 0.85, 4.3e9, 47e-6
# InfiniBand or RoCE: nine tenths of the line rate is what vendors show. Not measured by us.
RDMA_SHARE, RDMA_LATENCY = 0.9, 10e-6


@dataclass(frozen=True)
class Link:
    """The slowest link between hosts: Gbit/s, and whether NCCL uses RDMA (InfiniBand, RoCE) on it."""

    gbit: float = 10
    rdma: bool = False

    @property
    def wire(self) -> Wire:
        rate = self.gbit * 1e9 / 8
        if self.rdma:
            return Wire(rate * RDMA_SHARE, RDMA_LATENCY)
        return Wire(min(rate * TCP_SHARE, TCP_CEILING), TCP_LATENCY)

    def __str__(self) -> str:
        return f"{self.gbit:g} Gbit/s " + ("with RDMA" if self.rdma else "TCP")


@dataclass(frozen=True)
class ClusterHost:
    """A host and the GPUs that it offers to the engine. link_inside: nvlink or pcie."""

    name: str
    gpus: tuple[Gpu, ...]
    link_inside: str = "pcie"

    @property
    def wire(self) -> Wire:
        return INSIDE[self.link_inside]
