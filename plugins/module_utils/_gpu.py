# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GPUs of a host. PRIVATE to the collection."""

from __future__ import annotations

QUERY = ("index", "uuid", "name", "memory.total", "memory.used", "driver_version")
ARGV = ["nvidia-smi", f"--query-gpu={','.join(QUERY)}", "--format=csv,noheader,nounits"]


def parse_nvidia_smi(text: str) -> list[dict[str, object]]:
    """Parse the output of ARGV: index, uuid, name, memory and used memory in MiB, driver version."""
    gpus = []
    for line in text.splitlines():
        values = [value.strip() for value in line.split(",")]
        if len(values) == len(QUERY) and values[0].isdigit():
            gpus.append(
                {
                    "index": int(values[0]),
                    "uuid": values[1],
                    "name": values[2],
                    "memory_mib": int(values[3]) if values[3].isdigit() else 0,
                    "used_mib": int(values[4]) if values[4].isdigit() else 0,
                    "driver": values[5],
                }
            )
    return gpus
