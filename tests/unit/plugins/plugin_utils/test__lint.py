# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said about options and environment before there is a release."""

from __future__ import annotations

import pytest

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils import _lint


def test_an_option_that_is_gone_names_its_successor() -> None:
    problems = _lint.options("gpu01", {"swap-space": 4, "max-model-len": 4096})
    assert [(p.host, p.severity, p.found, p.fix) for p in problems] == [
        (
            "gpu01",
            "warning",
            "vllm_ray_serve_args: swap-space is gone from vLLM",
            "remove it, or set kv-offloading-size",
        )
    ]


def test_a_secret_among_the_options_is_refused_and_not_shown() -> None:
    problems = _lint.options("gpu01", {"api-key": "sk-planted", "hf-token": "hf_planted"})
    assert [(p.severity, p.found) for p in problems] == [
        ("error", "vllm_ray_serve_args: api-key is a secret"),
        ("error", "vllm_ray_serve_args: hf-token is a secret"),
    ]
    assert "planted" not in str(problems)


@pytest.mark.parametrize(
    "value",
    [
        {"kv_connector_extra_config": {"access_key": "s3cret"}},
        '{"store_password": "s3cret"}',
        [{"client-secret": "s3cret"}],
    ],
)
def test_a_secret_inside_of_an_option_is_warned_of_as_vllm_logs_it(value: object) -> None:
    (problem,) = _lint.options("gpu01", {"kv-transfer-config": value})
    assert (problem.severity, problem.found) == ("warning", "vllm_ray_serve_args: kv-transfer-config has a secret")
    assert "s3cret" not in str(problem)


def test_names_that_only_sound_secret() -> None:
    assert _lint.options("gpu01", {"hf-overrides": {"eos_token": "a", "key": 1}, "max-num-batched-tokens": 8192}) == []


def test_what_a_release_refuses_has_its_mend() -> None:
    reasons = {
        "options": "unrecognized arguments: --swap-space --max-model-length 512 (did you mean max-model-len?)",
        "environment": "unknown: VLLM_USE_V1 did you mean VLLM_USE_V2 for VLLM_USE_V1?",
    }
    options, environment = _lint.refused("gpu01", "/r", reasons)
    assert (options.check, options.severity, options.found) == (
        "parser",
        "error",
        f"vllm_ray_serve_args: {reasons['options']}",
    )
    assert options.fix == "swap-space: remove it, or set kv-offloading-size"
    assert environment.fix == "VLLM_USE_V1: remove it: there is no other engine"
    (other,) = _lint.refused("gpu01", "/r", {"options": "argument --port: invalid int value: 'x'"})
    assert (other.wanted, other.fix) == ("what the vLLM in /r takes", "correct vllm_ray_serve_args")
    (broken,) = _lint.refused("gpu01", "/r", {"release": "ImportError: libnuma.so.1"})
    assert (broken.check, broken.fix) == ("release", "let site.yml build the release, or mend vllm_ray_release_path")


@pytest.mark.parametrize(
    ("name", "value", "severity", "fix"),
    [
        ("VLLM_ATTENTION_BACKEND", "FLASH_ATTN", "warning", "set attention-backend in vllm_ray_serve_args"),
        ("RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES", "1", "warning", "leave it to vLLM"),
        ("VLLM_HOST_IP", "192.0.2.1", "error", "set vllm_ray_address"),
        ("NCCL_SOCKET_IFNAME", "eth0", "warning", "set vllm_ray_nic, for hosts where it differs"),
        ("CUDA_VISIBLE_DEVICES", "0", "error", "set vllm_ray_gpus"),
        ("HF_TOKEN", "x", "error", "set vllm_ray_hf_token"),
        ("NCCL_IB_DISABLE", "1", "info", "remove it unless there is none"),
    ],
)
def test_names_that_do_harm(name: str, value: str, severity: str, fix: str) -> None:
    problems = _lint.environment("gpu01", {name: value})
    assert [(p.severity, p.fix) for p in problems] == [(severity, fix)]
    # A secret's value stands in no message.
    assert name in problems[0].found
    assert value == "1" or value not in problems[0].found.replace(name, "")


@pytest.mark.parametrize("name", ["NCCL_DEBUG", "VLLM_LOGGING_LEVEL", "HF_HOME", "NCCL_IB_HCA"])
def test_names_that_do_not(name: str) -> None:
    assert _lint.environment("gpu01", {name: "1"}) == []


def test_what_switches_nothing_off_does_no_harm() -> None:
    assert _lint.environment("gpu01", {"NCCL_IB_DISABLE": "0"}) == []
