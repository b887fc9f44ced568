# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes that the user set."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner import _wishes
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._wishes import AUTO, WishError, Wishes
from ansible_collections.vllm_ray.cluster.tests.unit.models import model


def test_nothing_set() -> None:
    wishes = _wishes.read({}, {})
    assert wishes == Wishes()
    assert wishes.utilization == 0.92
    assert wishes.length(model("llama-3.1-8b")) == 131072


def test_everything_set() -> None:
    args = {
        "tensor-parallel-size": "4",
        "pipeline_parallel_size": 2,
        "max-model-len": "32k",
        "gpu-memory-utilization": 0.8,
        "kv-cache-dtype": "fp8",
        "enforce-eager": True,
        "max-num-seqs": 64,
        "max-num-batched-tokens": "8K",
        "quantization": "fp8",
        "enable-expert-parallel": True,
    }
    wishes = _wishes.read(args, {"VLLM_PP_LAYER_PARTITION": "20, 24"})
    assert wishes == Wishes(4, 2, 32000, 0.8, "fp8", True, 64, 8192, "fp8", True, (20, 24))


def test_options_that_the_plan_does_not_reckon_with() -> None:
    args = {"hf-overrides": '{"rope_parameters": {}}', "cpu_offload_gb": 20, "dtype": "auto", "offload-group-size": 0}
    assert _wishes.read(args, {}).unreckoned == ("hf-overrides", "cpu-offload-gb")
    assert _wishes.read({"dtype": "half"}, {}).unreckoned == ("dtype",)


@pytest.mark.parametrize(
    ("args", "env", "longer"),
    [
        ({}, {}, False),
        ({"hf-overrides": "{}"}, {}, True),
        ({}, {"VLLM_ALLOW_LONG_MAX_MODEL_LEN": 1}, True),
        ({}, {"VLLM_ALLOW_LONG_MAX_MODEL_LEN": "0"}, False),
        ({"cpu-offload-gb": 4}, {}, False),
    ],
)
def test_requests_may_be_longer_than_the_model_says(
    args: dict[str, object], env: dict[str, object], longer: bool
) -> None:
    assert _wishes.read(args, env).may_be_longer == longer


@pytest.mark.parametrize("value", ["auto", -1, "-1"])
def test_the_length_may_be_vllms_to_find(value: object) -> None:
    assert _wishes.read({"max-model-len": value}, {}).max_model_len == AUTO


@pytest.mark.parametrize(
    ("args", "env", "message"),
    [
        ({"tensor-parallel-size": "all"}, {}, "tensor-parallel-size is 'all', not a number"),
        ({"gpu-memory-utilization": 1.5}, {}, "gpu-memory-utilization is 1.5, not in (0, 1]"),
        ({}, {"VLLM_PP_LAYER_PARTITION": "a,b"}, "VLLM_PP_LAYER_PARTITION and gpu-memory-utilization must be numbers"),
    ],
)
def test_what_is_no_number(args: dict[str, object], env: dict[str, str], message: str) -> None:
    with pytest.raises(WishError) as error:
        _wishes.read(args, env)
    assert message in str(error.value)


def test_quantised_while_loading() -> None:
    plain = model("llama-3.1-8b")
    small = Wishes(quantization="fp8_per_tensor").loaded(plain)
    assert small == replace(Wishes(quantization="fp8").loaded(plain), quantization="fp8_per_tensor")
    assert small.weight_bits == 8
    # A byte of scale for 32 weights.
    assert Wishes(quantization="mxfp4").loaded(plain).layer_bytes[0] == int(plain.layer_bytes[0] * 4.25 / 16)
    assert small.layer_bytes[0] * 2 == plain.layer_bytes[0]
    assert small.embedding_bytes == plain.embedding_bytes
    # What is quantised already stays as it is.
    assert Wishes(quantization="fp8").loaded(model("deepseek-v3")) == model("deepseek-v3")


@pytest.mark.parametrize(("dtype", "width"), [("auto", 2), ("fp8", 1), ("fp8_e4m3", 1), ("nvfp4", 9 / 16)])
def test_width_of_the_kv_cache(dtype: str, width: float) -> None:
    assert Wishes(kv_dtype=dtype).kv_width(model("llama-3.1-8b")) == width


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("data-parallel-size", 8),
        ("data_parallel_size", "2"),
        ("data-parallel-size-local", 2),
        # Any rank switches another mode on.
        ("data-parallel-rank", 0),
        ("data-parallel-start-rank", "0"),
        ("data-parallel-address", "192.0.2.11"),
        ("data-parallel-rpc-port", 29550),
        ("data-parallel-backend", "ray"),
        ("data-parallel-external-lb", True),
        ("data-parallel-hybrid-lb", "true"),
        ("data-parallel-multi-port-external-lb", True),
        ("prefill-context-parallel-size", 2),
        ("enable-elastic-ep", True),
        ("nnodes", 2),
        ("node-rank", 1),
        ("headless", True),
        ("device-ids", "0,1"),
        # argparse takes it for data-parallel-size.
        ("data-parallel-siz", 2),
        ("nnod", 2),
    ],
)
def test_options_that_change_the_gpus_are_refused(name: str, value: object) -> None:
    with pytest.raises(WishError) as error:
        _wishes.read({name: value}, {})
    assert f"vllm_ray_serve_args: {name.replace('_', '-')} is {value!r}" in str(error.value)
    assert "not set" in error.value.wanted
    assert error.value.fix.startswith(("remove it", "set vllm_ray_gpus"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("data-parallel-size", 1), ("data-parallel-size", "1"), ("data-parallel-size", None)),
        *(("data-parallel-backend", "mp"), ("data-parallel-external-lb", False), ("nnodes", 1), ("node-rank", 0)),
        *(("headless", False), ("prefill-context-parallel-size", 1), ("enable-expert-parallel", True)),
        # They change what fits, not the number of GPUs.
        *(("decode-context-parallel-size", 2), ("api-server-count", 4), ("max-num-seqs", 8)),
    ],
)
def test_what_changes_no_gpus_is_taken(name: str, value: object) -> None:
    _wishes.read({name: value}, {})
