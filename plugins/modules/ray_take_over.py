#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ray_take_over
short_description: Stop a Ray that this collection did not start
description:
  - Stops the given Ray processes with SIGTERM, and with SIGKILL after ten seconds. Their workers stop with them.
  - Skips a process id that now belongs to another program.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  processes:
    description: Processes as RV(vllm_ray.cluster.host_info#module:usage) lists them in C(foreign_ray).
    type: list
    elements: dict
    required: true
    suboptions:
      pid:
        description: Process id.
        type: int
        required: true
      process:
        description: Name of the process in that list, such as V(raylet) or V(ray-dashboard).
        type: str
        required: true
      user:
        description: User that runs it.
        type: str
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Stop a Ray that was started by hand
  vllm_ray.cluster.ray_take_over:
    processes:
      - {pid: 4711, process: raylet}
"""

RETURN = r"""
stopped:
  description: Ids of the stopped processes, or of those to stop in check mode.
  returned: always
  type: list
  elements: int
  sample: [4711]
"""

import os
import signal
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._safe_io import read_kernel
from ansible_collections.vllm_ray.cluster.plugins.module_utils._net._listeners import known_as

if t.TYPE_CHECKING:

    class Seen(t.TypedDict):
        """An entry of the option processes."""

        pid: int
        process: str
        user: str | None


SECONDS = 10
PROCESS = {
    "pid": {"type": "int", "required": True},
    "process": {"type": "str", "required": True},
    "user": {"type": "str"},
}


def is_alive(pid: int, name: str) -> bool:
    """Return whether a process still runs, is no zombie, and is the one that was seen."""
    own, _paren, state = (read_kernel(f"/proc/{pid}/stat") or "").partition("(")[2].rpartition(") ")
    command = (read_kernel(f"/proc/{pid}/cmdline") or "").replace("\0", " ")
    return known_as(own, command) == name and not state.startswith("Z")


def stop(processes: list[Seen]) -> None:
    """End processes, gently first."""
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        for entry in processes:
            if is_alive(entry["pid"], entry["process"]):
                os.kill(entry["pid"], signal_number)
        end = time.monotonic() + SECONDS
        while time.monotonic() < end and any(is_alive(entry["pid"], entry["process"]) for entry in processes):
            time.sleep(0.2)


def main() -> None:
    module = AnsibleModule(
        {"processes": {"type": "list", "elements": "dict", "required": True, "options": PROCESS}},
        supports_check_mode=True,
    )
    alive = [entry for entry in module.params["processes"] if is_alive(entry["pid"], entry["process"])]
    if not module.check_mode:
        stop(alive)
    module.exit_json(changed=bool(alive), stopped=[entry["pid"] for entry in alive])


if __name__ == "__main__":
    main()
