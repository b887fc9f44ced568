# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast a layout will be: an estimate from memory bandwidth, arithmetic and links. PRIVATE to the collection.

A step takes as long as the GPU or as Python, whichever is longer. The GPU reads a stage's weights and the KV cache of
its requests once, or computes, whichever takes longer, and each layer waits for two all-reduces of its TP group. Python
agrees with the other stages of a pipeline on each step, and in eager mode starts each kernel of each layer; CUDA graphs
start all at once. A pipeline is as fast as its slowest stage. Nothing else is in it, so it orders layouts and shows
what bounds them. docs/performance.md has what the constants were fitted to, and what they foresaw.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner import _memory

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._models._model_config import Model
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._candidates import Candidate
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._hardware import ClusterHost, Link, Wire
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._wishes import Wishes

# What kernels reach of a data sheet's bandwidth and FLOP/s.
BANDWIDTH_SHARE, FLOPS_SHARE = 0.7, 0.6
# Seconds that the GPU needs between the kernels of a layer of a CUDA graph, and besides all layers: sampling.
GRAPH_LAYER, STEP = 8e-6, 0.5e-3
# Seconds of Python for a layer in eager mode: it starts every kernel, while the GPU works on those before. With TP two
# all-reduces more, which Python prepares (custom_all_reduce.py).
EAGER_LAYER, EAGER_LAYER_TP = 420e-6, 530e-6
# Seconds of Python for a step of a pipeline: engine and ranks agree on each one by messages, with TP a stage's ranks,
# too. That is what four ranks over TCP took, 1x4 and 2x2, with next to nothing to compute.
PIPELINE_STEP, PIPELINE_STEP_TP = 3.4e-3, 5.6e-3
# How far an estimate may be off, as a share. Of the layouts that were measured, the worst is a third too fast (eager
# mode with TP and PP: why is not known), and none of the others by more than 0.14, but for two of Mixtral, measured
# while kernels were compiled. Layouts nearer than CLOSE to each other are taken as equally fast.
ERROR = 0.4
CLOSE = 0.1


@dataclass(frozen=True)
class Load:
    """What is asked of the engine: requests at once, tokens in and out of each."""

    requests: int = 128
    prompt: int = 1024
    output: int = 256

    @property
    def tokens(self) -> int:
        """Tokens of KV cache that all of it fills."""
        return self.requests * (self.prompt + self.output)

    def __str__(self) -> str:
        return f"{self.requests} requests at once, {self.prompt} tokens in, {self.output} out"


LOAD = Load()


def tokens_per_second(
    model: Model,
    candidate: Candidate,
    hosts: Mapping[str, ClusterHost],
    link: Link,
    wishes: Wishes,
    room: int,
    load: Load = LOAD,
) -> float:
    """Return an estimate of the output tokens per second. room: tokens of the KV cache."""
    tokens, sequences = _memory.batch(model, wishes, candidate.stages[0].gpus[0])
    running = max(1, min(load.requests, sequences, room // (load.prompt + load.output)))
    cached = _memory.cache_bytes(model, candidate.tp, wishes)
    seconds = [
        Seconds(model, candidate, hosts, link, wishes.eager, rank, part, sum(cached[part.start : part.end]))
        for rank, part in enumerate(_memory.parts(candidate.layers))
    ]

    def pace(size: int, context: int) -> tuple[float, float]:
        """Seconds of a step in the slowest stage, and through all of them."""
        steps = [stage.step(size, context) for stage in seconds]
        return max(steps), sum(steps) + sum(stage.hop(size) for stage in seconds[:-1])

    # As many steps are under way as there are stages, each with its share of the requests.
    micro = -(-running // candidate.pp)
    slowest, through = pace(micro, load.prompt + load.output // 2)
    decode = load.output * max(candidate.pp * slowest, through)
    wanted = running * load.prompt
    size = min(tokens, wanted)
    slowest, through = pace(size, 0)
    prefill = max(wanted / size - 1, 0) * max(slowest, max(stage.hop(size) for stage in seconds)) + through
    return running * load.output / (decode + prefill)


class Seconds:
    """The times of one stage. cache_bytes: of a token in the KV cache of its layers."""

    def __init__(
        self,
        model: Model,
        candidate: Candidate,
        hosts: Mapping[str, ClusterHost],
        link: Link,
        eager: bool,
        rank: int,
        part: _memory.Part,
        cache_bytes: float,
    ) -> None:
        self.model, self.tp, self.cache_bytes = model, candidate.tp, cache_bytes
        stage = candidate.stages[rank]
        self.layers = part.layers
        self.layer_bytes = sum(model.layer_bytes[part.start : part.end]) / self.tp
        self.head_bytes = (model.head_bytes or model.embedding_bytes) / self.tp if part.last else 0.0
        self.bandwidth, self.flops = stage.speed
        self.python = 0.0
        if candidate.pp > 1:
            self.python += PIPELINE_STEP_TP if self.tp > 1 else PIPELINE_STEP
        if eager:
            self.python += self.layers * (EAGER_LAYER_TP if self.tp > 1 else EAGER_LAYER)
        self.inside: Wire = hosts[stage.hosts[0]].wire if len(stage.hosts) == 1 else link.wire
        following = candidate.stages[rank + 1].hosts if rank + 1 < candidate.pp else stage.hosts
        self.outside: Wire = hosts[stage.hosts[0]].wire if following == stage.hosts else link.wire

    def step(self, tokens: int, context: int) -> float:
        """Seconds of a step of `tokens` tokens, each with `context` tokens in the KV cache (0: a prompt's own)."""
        visited = self.model.experts_per_token / self.model.experts if self.model.experts else 1.0
        touched = 1 - (1 - visited) ** tokens if visited < 1 else 1.0
        read = self.layer_bytes * touched + self.head_bytes + tokens * context * self.cache_bytes
        compute = 2 * tokens * self.layer_bytes / (self.model.weight_bits / 8) * visited
        busy = max(read / (self.bandwidth * BANDWIDTH_SHARE), compute / (self.flops * FLOPS_SHARE))
        reduce = 2 * self.inside.all_reduce(tokens * self.model.hidden * 2, self.tp)
        return max(STEP + busy + self.layers * (reduce + GRAPH_LAYER), self.python)

    def hop(self, tokens: int) -> float:
        """Seconds until the next stage has hidden states and residual of `tokens` tokens."""
        return self.outside.send(tokens * self.model.hidden * 2 * 2)
