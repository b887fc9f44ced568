# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clusters that the planner's tests share."""

from __future__ import annotations

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._hardware import ClusterHost, Gpu

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
