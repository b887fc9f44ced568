#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: collective_check
short_description: Let the ranks of a plan add up a tensor
description:
  - Runs an all-reduce of C(torch.distributed) over exactly the hosts and GPUs of a plan, in the release, and tells
    whether the sum is right, the bandwidth per size and the transports that NCCL chose.
  - Every host runs it at the same time, each with its own ranks. One that does not come is named by the others within
    O(seconds), so as many hosts as there are must run at once (C(forks)).
  - GPUs that an engine holds can't take part; leave the check out while it serves.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
options:
  release:
    description: Directory of the environment that holds torch.
    type: path
    required: true
  backend:
    description: V(nccl) for GPUs, V(gloo) for CPU hosts.
    type: str
    choices: [nccl, gloo]
    default: nccl
  ranks:
    description: The ranks of this host, each with C(rank) and C(device), the index among the visible GPUs.
    type: list
    elements: dict
    required: true
    suboptions:
      rank:
        description: Number of the rank, from 0.
        type: int
        required: true
      device:
        description: Index of its GPU.
        type: int
        default: 0
  world:
    description: Number of all ranks.
    type: int
    required: true
  master:
    description: Address of the host with rank 0.
    type: str
    required: true
  port:
    description: Port on which rank 0 lets the others meet, while the check runs.
    type: int
    required: true
  seconds:
    description: Seconds that each step may take.
    type: int
    default: 30
  environment:
    description:
      - Environment of the ranks, as the Ray node of the host has it, as far as it matters to NCCL, Gloo, CUDA or torch.
      - The host's journal keeps it, so it is no place for secrets.
    type: dict
    default: {}
  user:
    description: User that the ranks run as where the module is root, or C(nobody) as long as there is no such user.
    type: str
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Add up over two hosts with one GPU each
  vllm_ray.cluster.collective_check:
    release: /opt/vllm-ray/releases/cuda-vllm0.32.0-py3.12.3-0f3b6c1d2a4e
    ranks:
      - {rank: 1, device: 0}
    world: 2
    master: 192.0.2.11
    port: 6390
"""

RETURN = r"""
ranks:
  description: What came of each rank of this host, by its number.
  returned: always
  type: dict
  contains:
    step:
      description: Where it ended, one of C(start), C(import), C(meet), C(connect), C(reduce), C(done).
      type: str
      returned: always
    missing:
      description: Ranks that did not come.
      type: list
      elements: int
      returned: always
    gbytes_per_second:
      description: Bus bandwidth by size in bytes, as nccl-tests define it.
      type: dict
      returned: always
      sample: {"1048576": 3.1, "67108864": 4.3}
    transports:
      description: Transports that NCCL's log names.
      type: list
      elements: str
      returned: always
      sample: [NET/Socket, P2P/CUMEM]
    wrong:
      description: What came out where the sum is wrong.
      type: float
      returned: always
    error:
      description: The first error of the rank.
      type: str
      returned: always
"""

import json

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils._account_io import run_as
from ansible_collections.vllm_ray.cluster.plugins.module_utils._collective import (
    MEMLOCK,
    SCRIPT,
    host_task,
    outcomes,
)

ARGUMENTS = {
    "release": {"type": "path", "required": True},
    "backend": {"type": "str", "choices": ["nccl", "gloo"], "default": "nccl"},
    "ranks": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {"rank": {"type": "int", "required": True}, "device": {"type": "int", "default": 0}},
    },
    "world": {"type": "int", "required": True},
    "master": {"type": "str", "required": True},
    "port": {"type": "int", "required": True},
    "seconds": {"type": "int", "default": 30},
    "environment": {"type": "dict", "default": {}},
    "user": {"type": "str"},
}


def main() -> None:
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    given = module.params
    environment = {
        **{name: str(value) for name, value in given["environment"].items()},
        "NCCL_DEBUG": "INFO",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
    }
    argv = [f"{given['release']}/bin/python", "-c", SCRIPT, json.dumps(host_task(given))]
    rc, out, err = run_as(module, given["user"] or "", argv, environment, before=MEMLOCK)
    if rc:
        module.fail_json(msg=f"The check did not run: {(err or out).strip()[-400:]}")
    module.exit_json(changed=False, ranks=outcomes(f"{out}\n{err}", given))


if __name__ == "__main__":
    main()
