# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker: vLLM's own for the CPU, able to be a later pipeline stage without a compiler."""

from __future__ import annotations

from vllm.v1.worker.cpu_worker import CPUWorker


class CpuRayWorker(CPUWorker):
    """Makes the buffer for what the stage before sends.

    vLLM makes it in a profiling run that its CPU worker skips in eager mode with an explicit size of the KV cache.
    Without the buffer, the first request ends in a failed assertion.
    """

    def determine_available_memory(self) -> int:
        size = int(super().determine_available_memory())
        if self.parallel_config.pipeline_parallel_size > 1 and self.model_runner.intermediate_tensors is None:
            self.model_runner.profile_run()
        return size
