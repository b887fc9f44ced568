# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask vLLM's own code which sizes it takes, and what they weigh. Run by a CPU release's Python; prints JSON.

  <release>/bin/python ask_vllm.py FOLDER      FOLDER/<model>/config.json for each model

Nothing is loaded: a stage's modules are made without memory (torch's meta device), as one rank of a group that is
only claimed to exist, on a GPU that is only claimed, too. So all checks of vLLM's configuration and layers pass, and
the parameters show their bytes.
"""

from __future__ import annotations

import copy
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

os.environ.update(HF_HUB_OFFLINE="1", VLLM_LOGGING_LEVEL="ERROR", VLLM_CPU_KVCACHE_SPACE="1", CUDA_VISIBLE_DEVICES="")
os.environ["VLLM_USE_V2_MODEL_RUNNER"] = "1"

import torch
from vllm.config import DeviceConfig, ModelConfig, ParallelConfig, VllmConfig, set_current_vllm_config
from vllm.distributed import parallel_state
from vllm.distributed.utils import get_pp_indices
from vllm.model_executor.layers import quantization
from vllm.model_executor.layers.attention_layer_base import AttentionLayerBase
from vllm.model_executor.model_loader.utils import initialize_model
from vllm.model_executor.models import registry
from vllm.platforms import current_platform
from vllm.platforms.interface import DeviceCapability, PlatformEnum
from vllm.v1.core import kv_cache_utils

# Where vLLM chooses kernels for quantised layers and experts.
CHOOSERS = (
    "vllm.model_executor.layers.quantization",
    "vllm.model_executor.layers.fused_moe",
    "vllm.model_executor.kernels",
)
SIZES = range(1, 17)
# Layouts and bytes on each GPU for which vLLM is asked what KV cache it makes of them.
CACHES, CACHE = ((1, 1), (1, 3), (2, 2)), 256 * 1024**3
# Compute capabilities.
GPUS = {"H100": (9, 0), "A100": (8, 0)}
# Layers of a stage that is made, at least: DeepSeek V3 has three before the first with experts.
LAYERS = 4


def group(size: int, rank: int = 0) -> Any:
    """Return what stands for a group of ranks: its size and our place are all that a model's modules ask for."""
    return SimpleNamespace(
        world_size=size,
        rank_in_group=rank,
        rank=rank,
        local_rank=0,
        is_first_rank=rank == 0,
        is_last_rank=rank == size - 1,
        ranks=list(range(size)),
        unique_name=f"group-{size}",
        device_group=SimpleNamespace(size=lambda: size, rank=lambda: rank),
        cpu_group=None,
        device_communicator=None,
    )


class Gpu(type(current_platform)):  # type: ignore[misc]
    """A CPU that says to be a GPU of this capability."""

    _enum = PlatformEnum.CUDA
    supported_quantization: list[str] = []
    capability = (9, 0)

    @classmethod
    def get_device_capability(cls, device_id: int = 0) -> DeviceCapability:
        return DeviceCapability(*cls.capability)

    @classmethod
    def supports_fp8(cls) -> bool:
        return cls.capability >= (8, 9)


GPU = Gpu()


def pretend(capability: tuple[int, int]) -> None:
    """Pretend a GPU to the code that chooses kernels."""
    Gpu.capability = capability
    for name, module in list(sys.modules.items()):
        if name.startswith(CHOOSERS) and hasattr(module, "current_platform"):
            vars(module)["current_platform"] = GPU


def be(tp: int, pp: int, rank: int) -> None:
    """Let this process be the first rank of a stage."""
    one = group(1)
    parallel_state._TP, parallel_state._PP, parallel_state._EP = group(tp), group(pp, rank), group(tp)
    parallel_state._DP = parallel_state._DCP = parallel_state._PCP = parallel_state._ETP = one
    parallel_state._WORLD = group(tp * pp, rank * tp)
    parallel_state._NODE_COUNT = 1


def parallel(tp: int, pp: int) -> ParallelConfig:
    # Which executor would run it is not asked here; this one wants no GPUs to be there.
    return ParallelConfig(tensor_parallel_size=tp, pipeline_parallel_size=pp, distributed_executor_backend="mp")


def refusal(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:500]


def make(model: ModelConfig, tp: int, pp: int, rank: int) -> tuple[VllmConfig, int]:
    """Make a stage's modules; return its configuration, which knows them, and the bytes of its parameters."""
    be(tp, pp, rank)
    config = VllmConfig(model_config=model, parallel_config=parallel(tp, pp), device_config=DeviceConfig("cpu"))
    with set_current_vllm_config(config), torch.device("meta"):
        torch.set_default_dtype(model.dtype)
        try:
            made = initialize_model(config)
        finally:
            torch.set_default_dtype(torch.float32)
    return config, sum(parameter.numel() * parameter.element_size() for parameter in made.parameters())


def read(folder: Path) -> ModelConfig | str:
    """Return the configuration that vLLM makes of a model's, or why it refuses it."""
    try:
        return ModelConfig(str(folder), skip_tokenizer_init=True, enforce_eager=True)
    except Exception as error:
        return refusal(error)


def loadable(model: ModelConfig, method: str) -> bool:
    """Whether vLLM takes a --quantization for a model."""
    asked = copy.copy(model)
    asked.quantization = method
    try:
        asked._verify_quantization()
    except ValueError:
        return False
    return True


def ask_tp(model: ModelConfig, tp: int, stages: int) -> dict[str, Any]:
    """Return what vLLM says to a TP size, and the bytes of the first and the last stage of one rank."""
    try:
        model.verify_with_parallel_config(parallel(tp, 1))
        return {"refused": "", "bytes": [make(model, tp, stages, rank)[1] for rank in (0, stages - 1)]}
    except Exception as error:
        return {"refused": refusal(error)}


def ask_cache(model: ModelConfig, tp: int, pp: int) -> dict[str, Any]:
    """Return the KV cache that vLLM would make of CACHE bytes on each GPU of an engine."""
    try:
        specs = []
        for rank in range(pp):
            config, _bytes = make(model, tp, pp, rank)
            # What it takes on a GPU; on a CPU blocks are larger, and one step waits for the other.
            config.scheduler_config.async_scheduling = True
            config.cache_config.block_size = 64 if model.use_mla else 16
            config.cache_config.kv_cache_layout = "LBNHC"
            layers = config.compilation_config.static_forward_context.items()
            keeping = {name: layer for name, layer in layers if isinstance(layer, AttentionLayerBase)}
            specs.append({name: layer.get_kv_cache_spec(config) for name, layer in keeping.items()})
        caches = kv_cache_utils.get_kv_cache_configs(config, specs, [CACHE] * pp)
        shared = kv_cache_utils.generate_scheduler_kv_cache_config(caches)
        tokens, concurrency = kv_cache_utils.get_kv_cache_capacity(config, shared)
        step = config.scheduler_config.max_num_batched_tokens
        return {"refused": "", "tokens": tokens, "concurrency": concurrency, "step": step}
    except Exception as error:
        return {"refused": refusal(error)}


def ask_pp(model: ModelConfig, pp: int) -> dict[str, Any]:
    """Return what vLLM says to a PP size, and the layers of each stage."""
    layers = model.get_total_num_hidden_layers()
    try:
        model.verify_with_parallel_config(parallel(1, pp))
        ranges = [get_pp_indices(layers, rank, pp) for rank in range(pp)]
        return {"refused": "", "layers": [end - start for start, end in ranges]}
    except Exception as error:
        return {"refused": refusal(error)}


def ask(model: ModelConfig | str) -> dict[str, Any]:
    """Return what vLLM says to a model: to its configuration, and to each size on each kind of GPU."""
    if isinstance(model, str):
        return {"refused": model}
    stages = max(2, model.get_total_num_hidden_layers() // LAYERS)
    found: dict[str, Any] = {"refused": "", "stages": stages, "tp": {}}
    for kind, capability in GPUS.items():
        pretend(capability)
        # Without quantisation GPUs don't matter.
        if model.quantization or not found["tp"]:
            found["tp"][kind] = {tp: ask_tp(model, tp, stages) for tp in SIZES}
    pretend(GPUS["H100"])
    found["caches"] = {f"{tp},{pp}": ask_cache(model, tp, pp) for tp, pp in CACHES}
    found["pp"] = {pp: ask_pp(model, pp) for pp in SIZES}
    found["methods"] = [method for method in quantization.QUANTIZATION_METHODS if loadable(model, method)]
    return found


def main(folder: Path) -> None:
    # It would look at each model's class in a process of its own, which takes seconds.
    registry._run_in_subprocess = lambda function: function()
    configs = {path.parent.name: read(path.parent) for path in sorted(folder.glob("*/config.json"))}
    models = {name: ask(config) for name, config in configs.items()}
    methods = sorted(quantization.QUANTIZATION_METHODS)
    deprecated = sorted(quantization.DEPRECATED_QUANTIZATION_METHODS)
    print(json.dumps({"models": models, "methods": methods, "deprecated": deprecated, "cache": CACHE}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
