#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: collective_check
short_description: Run an all-reduce over the ranks of a plan
description:
  - Runs an all-reduce of C(torch.distributed) over exactly the hosts and GPUs of a plan, with the Python of the
    release.
  - Reports whether the sum is correct, the bandwidth for each size, and the transports that NCCL selected.
  - Run it on all hosts at the same time, each with its own ranks. C(forks) must not be smaller than the number of
    hosts, because a host that does not join within O(seconds) is reported as missing.
  - GPUs that an engine uses cannot take part. Skip the check while an engine serves.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
options:
  release:
    description: Directory of the environment with torch.
    type: path
    required: true
  backend:
    description: V(nccl) for GPUs, V(gloo) for CPU hosts.
    type: str
    choices: [nccl, gloo]
    default: nccl
  ranks:
    description: Ranks of this host.
    type: list
    elements: dict
    required: true
    suboptions:
      rank:
        description: Number of the rank, starting at 0.
        type: int
        required: true
      device:
        description: Index of its GPU among the visible GPUs.
        type: int
        default: 0
  world:
    description: Total number of ranks on all hosts.
    type: int
    required: true
  master:
    description: Address of the host with rank 0.
    type: str
    required: true
  port:
    description: Port on which rank 0 listens for the other ranks while the check runs.
    type: int
    required: true
  seconds:
    description: Timeout of each step, in seconds.
    type: int
    default: 30
  environment:
    description:
      - Environment variables of the ranks. They should equal those of the host's Ray node that concern NCCL, Gloo, CUDA
        or torch.
      - Do not put secrets here, because the journal of the host records the variables.
    type: dict
    default: {}
  user:
    description: User that runs the ranks if the module runs as root. C(nobody) is used if the user does not exist yet.
      By default, the user who runs the module.
    type: str
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Run the check over two hosts with one GPU each
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
  description: Result of each rank of this host, by its number.
  returned: always
  type: dict
  contains:
    step:
      description: Last step that it reached, one of C(start), C(import), C(meet), C(connect), C(reduce), C(done).
      type: str
      returned: always
    missing:
      description: Ranks that did not join.
      type: list
      elements: int
      returned: always
    gbytes_per_second:
      description: Bus bandwidth in GB/s as defined by nccl-tests, by size in bytes.
      type: dict
      returned: always
      sample: {"1048576": 3.1, "67108864": 4.3}
    transports:
      description: Transports named in NCCL's log.
      type: list
      elements: str
      returned: always
      sample: [NET/Socket, P2P/CUMEM]
    wrong:
      description: The sum, if it is wrong.
      type: float
      returned: always
    error:
      description: The first error of the rank.
      type: str
      returned: always
"""

import json

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._account_io import run_as
from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine._collective import (
    MEMLOCK,
    SCRIPT,
    host_task,
    outcomes,
)
from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine._runtime import runtime_of

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
    argv = runtime_of(given["release"]).argv(["python", "-c", SCRIPT, json.dumps(host_task(given))])
    rc, out, err = run_as(module, given["user"] or "", argv, environment, before=MEMLOCK)
    if rc:
        module.fail_json(msg=f"The check did not run: {(err or out).strip()[-400:]}")
    module.exit_json(changed=False, ranks=outcomes(f"{out}\n{err}", given))


if __name__ == "__main__":
    main()
