# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings that take protection away, and models that bring code."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._problem import Problem
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks import _danger, _registry

# Variables by which code is loaded.
LOADING = (
    *("RAY_RUNTIME_ENV_HOOK", "RAY_START_HOOK", "VLLM_PLUGINS", "VLLM_LOGGING_CONFIG_PATH", "PYTHONHOME"),
    *("PYTHONUSERBASE", "PYTHONSTARTUP", "NCCL_NET_PLUGIN", "NCCL_TUNER_PLUGIN"),
)


def severities(problems: list[Problem]) -> list[str]:
    assert {problem.check for problem in problems} <= {_danger.CHECK}
    return [problem.severity for problem in problems]


def test_the_check_is_one_of_preflight() -> None:
    assert _registry.names()[_danger.CHECK].stage == "host"


@pytest.mark.parametrize(
    ("name", "value", "severity"),
    [
        ("RAY_AUTH_MODE", "disabled", "error"),
        ("RAY_AUTH_MODE", "", "error"),
        # Ray knows no such mode, and takes it for disabled.
        ("RAY_AUTH_MODE", " token ", "error"),
        ("RAY_AUTH_TOKEN", "planted", "error"),
        ("RAY_AUTH_TOKEN_PATH", "/planted", "error"),
        ("VLLM_API_KEY", "planted", "error"),
        ("HF_TOKEN", "planted", "error"),
        ("VLLM_SERVER_DEV_MODE", "1", "error"),
        ("VLLM_SERVER_DEV_MODE", True, "error"),
        ("VLLM_USE_RUST_FRONTEND", 1, "error"),
        ("VLLM_ALLOW_INSECURE_SERIALIZATION", "1", "error"),
        ("VLLM_ALLOW_RUNTIME_LORA_UPDATING", "true", "warning"),
        ("VLLM_MEDIA_URL_ALLOW_REDIRECTS", "1", "warning"),
        ("VLLM_DEBUG_LOG_API_SERVER_RESPONSE", "1", "warning"),
        ("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1", "warning"),
        ("LD_PRELOAD", "/planted.so", "warning"),
        ("LD_LIBRARY_PATH", "/planted", "warning"),
        ("PATH", "/planted", "warning"),
        ("PYTHONPATH", "/planted", "warning"),
        ("VLLM_NCCL_SO_PATH", "/planted.so", "warning"),
        *((name, "planted", "warning") for name in LOADING),
        ("CUSTOM_FASTAPI_MIDDLEWARE_THROTTLE", "planted:f", "warning"),
        ("SAGEMAKER_MODEL_PATH", "/planted", "warning"),
        ("AWS_SECRET_ACCESS_KEY", "planted", "warning"),
        ("MY_SECRET", "planted", "warning"),
        ("MY_TOKEN", "planted", "warning"),
        ("MY_PASSWORD", "planted", "warning"),
    ],
)
def test_environment_that_is_dangerous(name: str, value: Any, severity: str) -> None:
    problems = _danger.environment("gpu01", {name: value})
    assert severities(problems) == [severity]
    assert problems[0].found.startswith(f"vllm_ray_env: {name} ")
    # A value may be secret.
    assert "planted" not in str(problems)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RAY_AUTH_MODE", "token"),
        ("RAY_AUTH_MODE", "Token"),
        ("VLLM_PLUGINS", ""),
        ("VLLM_SERVER_DEV_MODE", "0"),
        ("VLLM_SERVER_DEV_MODE", False),
        ("VLLM_MEDIA_URL_ALLOW_REDIRECTS", 0),
        ("MY_PASSWORD", ""),
        ("PYTHONPATH", ""),
        ("NCCL_DEBUG", "INFO"),
        ("VLLM_LOGGING_LEVEL", "DEBUG"),
        ("TOKENIZERS_PARALLELISM", "1"),
        ("MONKEY", "1"),
    ],
)
def test_environment_that_is_not(name: str, value: Any) -> None:
    assert _danger.environment("gpu01", {name: value}) == []


@pytest.mark.parametrize(
    ("name", "value", "severity"),
    [
        ("api-key", "planted", "error"),
        ("hf-token", "planted", "error"),
        ("grpc", True, "error"),
        ("grpc-port", 50051, "error"),
        ("trust-remote-code", True, "warning"),
        ("trust-request-chat-template", True, "warning"),
        ("middleware", "mine.Class", "warning"),
        ("middleware", ["mine.Class"], "warning"),
        ("worker-extension-cls", "mine.Class", "warning"),
        ("tool-parser-plugin", "/planted.py", "warning"),
        ("allowed-local-media-path", "/", "warning"),
        ("allow-credentials", True, "warning"),
        ("enable-prompt-embeds", True, "warning"),
        ("load-format", "pt", "warning"),
        ("allowed-media-domains", [], "warning"),
        ("allowed-media-domains", None, "warning"),
        ("allowed-media-domains", ["*"], "warning"),
        ("allowed-media-domains", ["*.example.org", "a.example"], "warning"),
        ("allowed-media-domains", "169.254.169.254", "warning"),
        ("allowed-media-domains", ["a.example", "[::1]"], "warning"),
        *(
            ("allowed-media-domains", [name], "warning")
            for name in (
                *("localhost", "LocalHost.", "a.localhost", "metadata.google.internal", "printer.local.", "127.1"),
                *("2130706433", "0x7f000001", "0177.0.0.1", "169.254.169.254.", "::1", "a.example,localhost"),
            )
        ),
        ("speculative-config", {"model": "/m", "trust_remote_code": True}, "warning"),
        ("speculative-config", '{"trust_remote_code": true}', "warning"),
        ("speculative-config.trust_remote_code", True, "warning"),
        ("speculative-config", {"method": "custom_class", "model": "planted.Class"}, "warning"),
        ("kv-transfer-config", {"kv_connector_module_path": "planted"}, "warning"),
        ("kv-transfer-config", {"kv_connector_extra_config": {"tiers": [{"module_path": "planted"}]}}, "warning"),
        ("kv-transfer-config.kv_connector_extra_config.spec_module_path", "planted", "warning"),
        ("structured-outputs-config", {"reasoning_parser_plugin": "/planted.py"}, "warning"),
        ("compilation-config", {"backend": "planted.compile"}, "warning"),
    ],
)
def test_options_that_are_dangerous(name: str, value: Any, severity: str) -> None:
    problems = _danger.options("gpu01", {name: value})
    assert severities(problems) == [severity]
    assert "planted" not in str(problems)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("grpc", False),
        ("trust-remote-code", False),
        ("worker-cls", "auto"),
        ("load-format", "auto"),
        ("load-format", "runai_streamer"),
        ("allowed-media-domains", ["images.example.org", "a.example"]),
        ("allowed-media-domains", "images.example.org"),
        ("allowed-media-domains", ["none.invalid"]),
        ("model", "/srv/demo"),
        ("reasoning-parser", "qwen3"),
        ("max-num-batched-tokens", 8192),
        ("hf-overrides", {"eos_token": "a", "key": 1}),
        ("speculative-config", {"trust_remote_code": False, "method": "ngram", "model": "/srv/a.b"}),
        ("speculative-config.num_speculative_tokens", 3),
        ("structured-outputs-config", {"backend": "xgrammar", "reasoning_parser_plugin": ""}),
        ("compilation-config", {"backend": "inductor"}),
        ("allowed-media-domains", ["images.example.org.", "local.example.org", "1and1.example"]),
    ],
)
def test_options_that_are_not(name: str, value: Any) -> None:
    assert _danger.options("gpu01", {name: value}) == []


@pytest.mark.parametrize(
    "value",
    [
        {"kv_connector_extra_config": {"access_key": "planted"}},
        '{"store_password": "planted"}',
        [{"client-secret": "planted"}],
    ],
)
def test_a_secret_inside_of_an_option_is_warned_of_as_vllm_logs_it(value: object) -> None:
    problems = _danger.options("gpu01", {"kv-transfer-config": value})
    assert severities(problems) == ["warning"]
    assert problems[0].found == "vllm_ray_serve_args: kv-transfer-config contains a secret, and vLLM logs its options"
    assert "planted" not in str(problems)


@pytest.mark.parametrize(
    ("given", "dangers"),
    [
        (["--dashboard-host=0.0.0.0"], 1),
        (["--dashboard-host", "0.0.0.0"], 1),
        (["--verbose", "--dashboard-host", "::"], 1),
        (['--system-config={"AUTH_MODE":"disabled"}'], 1),
        # Ray reads JSON.
        (["--system-config", '{"\\u0041UTH_MODE":"disabled"}'], 1),
        (["--ray-debugger-external"], 1),
        (["--verbose", "--ray-debugger-external", "--dashboard-host=::"], 2),
        (["--dashboard-host=127.0.0.1"], 0),
        (["--dashboard-host", "localhost"], 0),
        (["--dashboard-port=1", "--labels=a=--dashboard-host"], 0),
        ([], 0),
    ],
)
def test_arguments_of_ray_start(given: list[str], dangers: int) -> None:
    assert severities(_danger.start_arguments("gpu01", given)) == ["error"] * dangers


def test_a_models_code_is_a_warning_where_it_runs() -> None:
    code = [f"modeling_{letter}.py" for letter in "abcdefg"]
    (runs,) = _danger.model(code, [], {"trust-remote-code": True})
    (lies,) = _danger.model(code, [], {"trust-remote-code": False})
    assert (runs.severity, lies.severity) == ("warning", "info")
    assert "modeling_a.py, modeling_b.py, modeling_c.py, modeling_d.py, modeling_e.py and 2 more" in runs.found
    assert "trust-remote-code is not set" in lies.found


def test_pickled_weights_are_a_warning() -> None:
    (problem,) = _danger.model([], ["pytorch_model.bin"], {})
    assert (problem.severity, problem.check) == ("warning", "protection")
    assert "pytorch_model.bin" in problem.found


def test_a_model_that_brings_nothing() -> None:
    assert _danger.model([], [], {"trust-remote-code": True}) == []


def test_every_row_says_what_to_do() -> None:
    rows = [*_danger.ENVIRONMENT.values(), *_danger.OPTIONS.values(), *_danger.START_ARGUMENTS.values()]
    assert all(row.why and row.fix and row.severity in ("error", "warning") for row in rows)
    assert all(re.compile(pattern) for pattern in _danger.ENVIRONMENT)
