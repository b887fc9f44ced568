# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a host's settings results may show."""

from __future__ import annotations

from typing import Any

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._accelerator import CPU, CUDA
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _private, _settings


def settings(**given: Any) -> dict[str, Any]:
    variables = {"vllm_ray_model": "/srv/demo", **{f"vllm_ray_{name}": value for name, value in given.items()}}
    return _settings.check("gpu01", variables).values


def test_every_setting_is_on_one_side() -> None:
    values = settings()
    public, private = _private.public(values), _private.private(values, CUDA)
    assert set(public).isdisjoint(private)
    assert set(public) | set(private) == {*_settings.specification(), "env", "args", "paths"}
    assert {"vllm_ray_env", "vllm_ray_proxy", "vllm_ray_hf_token", "vllm_ray_serve_args"} <= set(private)


def test_the_environment_that_a_user_gives() -> None:
    given = settings(env={"A": 1, "VLLM_CPU_KVCACHE_SPACE": "2"}, nccl_debug="INFO")
    assert _private.environment(given, CUDA) == {"A": "1", "VLLM_CPU_KVCACHE_SPACE": "2", "NCCL_DEBUG": "INFO"}
    assert _private.environment(given, CPU)["VLLM_CPU_KVCACHE_SPACE"] == "2"
    assert _private.environment(settings(), CPU) == CPU.environment


def test_of_the_environment_results_have_what_steers_nccl() -> None:
    given = settings(env={"AWS_SECRET_ACCESS_KEY": "s3cret", "MY_SETTING": "s3cret", "NCCL_IB_DISABLE": 1})
    assert _private.public_environment(given, CUDA) == {"NCCL_IB_DISABLE": "1"}


def test_the_options_of_the_engine() -> None:
    given = settings(serve_args={"--max_model_len": 512})
    assert _private.private(given, CUDA)["args"] == {"max-model-len": 512}
    assert _private.private(given, CPU)["args"] == {"enforce-eager": True, "max-model-len": 512}
    assert _private.private(settings(serve_args={"enforce-eager": False}), CPU)["args"] == {"enforce-eager": False}
