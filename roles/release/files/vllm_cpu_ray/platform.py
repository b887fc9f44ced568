# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The platform: vLLM's own for the CPU, made acceptable to the Ray executor."""

from __future__ import annotations

from typing import Any

from vllm.platforms.cpu import CpuPlatform

PLAIN_WORKER = "vllm.v1.worker.cpu_worker.CPUWorker"
RAY_WORKER = "vllm_cpu_ray.worker.CpuRayWorker"


class CpuRayPlatform(CpuPlatform):
    """One rank takes one slot that Ray calls a GPU: the node starts with ``ray start --num-gpus=1``."""

    ray_device_key = "GPU"

    @classmethod
    def device_control_id_to_physical_device_id(cls, device_id: str) -> int:
        return int(device_id)

    @classmethod
    def get_device_communicator_cls(cls) -> str:
        return "vllm_cpu_ray.communicator.CpuNetCommunicator"

    @classmethod
    def check_and_update_config(cls, vllm_config: Any) -> None:
        super().check_and_update_config(vllm_config)
        if vllm_config.parallel_config.worker_cls == PLAIN_WORKER:
            vllm_config.parallel_config.worker_cls = RAY_WORKER
