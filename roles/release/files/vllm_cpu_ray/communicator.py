# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collectives between CPU ranks: shared memory inside a host, the network between hosts."""

from __future__ import annotations

import os
import socket

import torch.distributed
from vllm.distributed.device_communicators.cpu_communicator import CpuCommunicator


class CpuNetCommunicator(CpuCommunicator):
    """Uses shared memory only where all ranks of the group are on one host.

    vLLM decides by the name of the group, which is the same on all hosts.
    """

    def _all_group_ranks_share_shm_group_name(self) -> bool:
        hosts: list[str | None] = [None] * self.world_size
        own = os.environ.get("VLLM_HOST_IP") or socket.gethostname()
        torch.distributed.all_gather_object(hosts, own, group=self.device_group)
        return len(set(hosts)) == 1 and super()._all_group_ranks_share_shm_group_name()
