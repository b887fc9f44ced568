# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets vLLM's Ray executor work on hosts without GPUs. It is part of releases for the CPU only."""

from __future__ import annotations


def register() -> str:
    """Return the platform that vLLM shall use: the entry point in the group vllm.platform_plugins."""
    return "vllm_cpu_ray.platform.CpuRayPlatform"
