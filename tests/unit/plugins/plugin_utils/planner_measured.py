# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests/bench/planner measured on four H200s as two hosts of two: docs/performance.md describes how."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner import _memory
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._hardware import ClusterHost, Link
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._wishes import Wishes
from ansible_collections.vllm_ray.cluster.tests.unit.models import model
from ansible_collections.vllm_ray.cluster.tests.unit.plugins.plugin_utils.planner_models import H200, cluster

HOSTS = cluster((H200, 2), (H200, 2), inside="nvlink")
LINK = Link(50)
LENGTH = 8192


@dataclass(frozen=True)
class Measured:
    """An engine and its figures: weights in GiB of one GPU of a stage, tokens of KV cache, tokens/s at _speed.LOAD.

    stage: the one whose weights are in the log (Ray shows similar lines once). off: largest error of the estimate of
    tokens/s.
    compiled: kernels were compiled in the measured time, so the rate says little.
    """

    model: str
    eager: bool
    tp: int
    pp: int
    hosts: int
    weights: float
    kv_tokens: int
    rate: float
    off: float
    stage: int = 0
    compiled: bool = False

    def __str__(self) -> str:
        mode = "eager" if self.eager else "graphs"
        return f"{self.model}-{mode}-{self.layout[0]}x{self.layout[1]}@{self.layout[2]}"

    @property
    def layout(self) -> tuple[int, int, int]:
        return self.tp, self.pp, self.hosts

    @property
    def set(self) -> tuple[str, bool]:
        """What one run of the benchmark compared."""
        return self.model, self.eager

    @property
    def wishes(self) -> Wishes:
        return Wishes(tp=self.tp, pp=self.pp, eager=self.eager, max_model_len=LENGTH)

    @property
    def layers(self) -> tuple[int, ...]:
        return _memory.even_partition(model(self.model).layers, self.pp)

    def cluster(self) -> list[ClusterHost]:
        """Return the hosts that it ran on, with the GPUs that it used."""
        each = self.tp * self.pp // self.hosts
        return [replace(host, gpus=host.gpus[:each]) for host in HOSTS[: self.hosts]]


ROWS = [
    # What the constants of _speed were fitted to.
    Measured("llama-3.1-8b", False, 1, 1, 1, 15.0, 919_824, 5590, off=0.03),
    Measured("llama-3.1-8b", False, 2, 1, 1, 7.54, 1_961_184, 9133, off=0.03),
    Measured("llama-3.1-8b", False, 1, 2, 2, 7.53, 1_964_816, 8443, off=0.03),
    Measured("llama-3.1-8b", False, 1, 4, 2, 3.30, 4_036_128, 7202, off=0.03, stage=1),
    Measured("llama-3.1-8b", False, 2, 2, 2, 3.80, 4_045_024, 8372, off=0.03),
    Measured("llama-3.1-8b", True, 1, 1, 1, 15.0, 921_696, 4887.9, off=0.07),
    Measured("llama-3.1-8b", True, 2, 1, 1, 7.54, 1_961_216, 5223.4, off=0.07),
    Measured("llama-3.1-8b", True, 1, 2, 2, 7.53, 1_968_560, 4490.3, off=0.07),
    Measured("llama-3.1-8b", True, 2, 2, 2, 3.80, 4_045_088, 2969.9, off=0.35),
    # What they foresaw.
    Measured("llama-3.3-70b", False, 2, 1, 1, 65.74, 400_896, 1380.4, off=0.09),
    Measured("llama-3.3-70b", False, 1, 2, 2, 65.74, 397_184, 1147.4, off=0.09),
    Measured("llama-3.3-70b", False, 1, 4, 2, 31.91, 1_212_160, 1392.6, off=0.09, stage=1),
    Measured("llama-3.3-70b", False, 2, 2, 2, 32.89, 1_233_808, 2006.9, off=0.09),
    Measured("mixtral-8x7b", False, 1, 1, 1, 87.0, 319_248, 2352.1, off=0.03),
    Measured("mixtral-8x7b", False, 2, 1, 1, 43.51, 1_358_112, 3783.4, off=0.15),
    Measured("mixtral-8x7b", False, 1, 2, 2, 43.75, 1_349_360, 2399.3, off=0.3, compiled=True),
    Measured("mixtral-8x7b", False, 2, 2, 2, 21.88, 3_420_848, 3142.8, off=0.8, compiled=True),
]
# Those of which all rates are the engine's own.
SETS = sorted({row.set for row in ROWS} - {row.set for row in ROWS if row.compiled})
