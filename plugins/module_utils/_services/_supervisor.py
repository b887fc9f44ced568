# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The output of supervisorctl. PRIVATE to the collection."""

from __future__ import annotations

from ansible_collections.vllm_ray.cluster.plugins.module_utils._services._manager import Running


def parse_supervisorctl_status(text: str) -> dict[str, Running]:
    """Parse `supervisorctl status` to {program: Running}. Programs that supervisor knows start by themselves."""
    result = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) < 2 or words[0].endswith(":") or not words[1].isupper():
            continue
        pid = int(words[3].rstrip(",")) if words[1] == "RUNNING" and len(words) > 3 and words[2] == "pid" else 0
        active = words[1] in ("RUNNING", "STARTING", "STOPPING")
        result[words[0]] = Running(active=active, enabled=True, exists=True, pid=pid, state=words[1].lower())
    return result
