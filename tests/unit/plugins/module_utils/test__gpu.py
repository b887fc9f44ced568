# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The GPUs that nvidia-smi tells of."""

from __future__ import annotations

import pathlib

from ansible_collections.vllm_ray.cluster.plugins.module_utils import _gpu

FIXTURE = pathlib.Path(__file__).parents[3] / "fixtures" / "gpu" / "h200.csv"


def test_an_h200() -> None:
    assert _gpu.parse_nvidia_smi(FIXTURE.read_text(encoding="utf-8")) == [
        {
            "index": 0,
            "uuid": "GPU-3e845773-b212-9365-e903-a4e12c51672e",
            "name": "NVIDIA H200",
            "memory_mib": 143771,
            "used_mib": 0,
            "driver": "580.159.04",
        }
    ]


def test_what_is_no_gpu_is_passed_over() -> None:
    assert _gpu.parse_nvidia_smi("No devices were found\n") == []
