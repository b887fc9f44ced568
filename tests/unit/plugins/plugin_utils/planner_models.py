# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clusters that the planner's tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._hardware import ClusterHost, Gpu
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._wishes import Wishes

if TYPE_CHECKING:
    import random

# memory.total of nvidia-smi, in MiB.
H100 = Gpu("NVIDIA H100 80GB HBM3", 81559)
H200 = Gpu("NVIDIA H200", 143771)
A100 = Gpu("NVIDIA A100-SXM4-80GB", 81920)
L40S = Gpu("NVIDIA L40S", 46068)
A10 = Gpu("NVIDIA A10", 23028)
RTX4090 = Gpu("NVIDIA GeForce RTX 4090", 24564)


def cluster(*groups: tuple[Gpu, int], inside: str = "nvlink") -> list[ClusterHost]:
    """Return hosts gpu01, gpu02 ... of GPU and count."""
    return [ClusterHost(f"gpu{number:02}", (gpu,) * count, inside) for number, (gpu, count) in enumerate(groups, 1)]


KINDS = [H100, H200, A100, L40S, A10, RTX4090]


def some_hosts(chance: random.Random) -> list[ClusterHost]:
    kinds = chance.sample(KINDS, chance.choice((1, 1, 2, 3)))
    hosts = [(chance.choice(kinds), chance.choice((1, 2, 4, 8))) for _host in range(chance.randint(1, 3))]
    return cluster(*hosts, inside=chance.choice(("nvlink", "pcie")))


def some_wishes(chance: random.Random) -> Wishes:
    return Wishes(
        max_model_len=chance.choice((2048, 8192, 16384)),
        kv_dtype=chance.choice(("auto", "fp8")),
        eager=chance.random() < 0.3,
        utilization=chance.choice((0.8, 0.92)),
    )
