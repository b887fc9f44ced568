# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of `vllm serve`."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine import _serve_config

OPTIONS = "OPTIONS " + json.dumps(["--max-model-len", "--port", "--tensor-parallel-size"])


@pytest.mark.parametrize(
    ("stdout", "stderr", "text"),
    [
        pytest.param(
            OPTIONS,
            "usage: vllm [-h]\nvllm: error: unrecognized arguments: --tensor-parallel 2",
            "unrecognized arguments: --tensor-parallel 2 (did you mean tensor-parallel-size for tensor-parallel?)",
            id="nearest",
        ),
        pytest.param(
            OPTIONS,
            "vllm serve: error: argument --port: invalid int value: 'x'",
            "argument --port: invalid int value: 'x'",
            id="value",
        ),
        pytest.param(OPTIONS, "vllm: error: unrecognized arguments: --zzz", "unrecognized arguments: --zzz", id="none"),
        pytest.param("", "Traceback\nImportError: libnuma.so.1\n", "ImportError: libnuma.so.1", id="no-parser"),
        pytest.param("", "", "the parser gave no reason", id="silent"),
    ],
)
def test_what_the_parser_says(stdout: str, stderr: str, text: str) -> None:
    assert _serve_config.explain(stdout, stderr) == text


def test_what_vllm_said(fixtures: Path) -> None:
    stderr = (fixtures / "vllm" / "bad_option.log").read_text(encoding="utf-8")
    assert _serve_config.explain(OPTIONS, stderr) == (
        "unrecognized arguments: --max-model-length 512 (did you mean max-model-len for max-model-length?)"
    )


def test_unknown_names_in_the_environment() -> None:
    stdout = "ENVIRONMENT " + json.dumps(["VLLM_LOGGING_LEVEL", "VLLM_PP_LAYER_PARTITION"]) + "\n" + OPTIONS
    names = ["VLLM_LOGING_LEVEL", "VLLM_PP_LAYER_PARTITION", "NCCL_DEBUG"]
    assert _serve_config.unknown_environment(stdout, names) == (
        "unknown: VLLM_LOGING_LEVEL did you mean VLLM_LOGGING_LEVEL for VLLM_LOGING_LEVEL?"
    )
    assert _serve_config.unknown_environment(stdout, names[1:]) == ""
    # A release that did not say what it knows is not held against the user.
    assert _serve_config.unknown_environment("", names) == ""


def test_what_a_release_refused(fixtures: Path) -> None:
    out, err = ((fixtures / "vllm" / f"parser_refuses.{end}").read_text(encoding="utf-8") for end in ("out", "err"))
    options = "unrecognized arguments: --swap-space --max-model-length 512"
    refused = _serve_config.refusals(2, out, err, ["VLLM_LOGING_LEVEL", "VLLM_HOST_IP", "NCCL_DEBUG"], {})
    assert refused.keys() == {"options", "environment"}
    assert refused["options"].startswith(options)
    assert "did you mean max-model-len for max-model-length?" in refused["options"]
    assert refused["environment"].startswith("unknown: VLLM_LOGING_LEVEL ")
    assert f"vllm_ray_serve_args: {options}" in _serve_config.sentences(refused, "/r")
    # With options that it takes it ends with 0, and says nothing on stderr.
    assert _serve_config.refusals(0, out, "", ["VLLM_HOST_IP"], {"port": 1}) == {}


KNOWN = ["--port", "--trust-remote-code", "--no-trust-remote-code", "--speculative-config", "--stop", "--middleware"]
DASH = "has a value that begins with a dash, which is an option itself"


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ({"trust-remote-code": True, "port": -1, "stop": ["a", "-5", ""]}, ""),
        ({"trust_remote_code": True, "no-trust-remote-code": True}, ""),
        ({"speculative-config.trust_remote_code": True, "speculative_config.a": {"b": 1}}, ""),
        ({"trust-remote": True}, "trust-remote is not the full name of an option, write trust-remote-code"),
        ({"trust_rem": True}, "trust_rem is not the full name of an option, write trust-remote-code"),
        (
            {"spec.trust_remote_code": 1},
            "spec.trust_remote_code is not the full name of an option, write speculative-config",
        ),
        ({"middlew": ["a.B"]}, "middlew is not the full name of an option, write middleware"),
        ({"s": 1}, "s is not the full name of an option, write speculative-config or stop"),
        (
            {"middleware=secret": True},
            "middleware=secret is not the full name of an option, write middleware",
        ),
        ({"tp": 1}, "tp is not the full name of an option"),
        ({"stop": ["a", "--trust-remote-code"]}, f"stop {DASH}"),
        ({"stop": "--trust-remote-code"}, f"stop {DASH}"),
        ({"port": "-tp"}, f"port {DASH}"),
    ],
)
def test_options_that_the_parser_takes_for_others(config: dict[str, object], found: str) -> None:
    assert _serve_config.disguised(KNOWN, config) == found
    refused = _serve_config.refusals(0, "OPTIONS " + json.dumps(KNOWN), "", [], config)
    assert refused == ({"options": found} if found else {})


def test_a_vllm_that_cant_be_loaded_refuses_no_options(fixtures: Path) -> None:
    stderr = (fixtures / "vllm" / "parser_absent.err").read_text(encoding="utf-8")
    refused = _serve_config.refusals(1, "", stderr, ["VLLM_LOGING_LEVEL"], {"por": 1})
    assert refused == {"release": "ModuleNotFoundError: No module named 'vllm'"}
    assert _serve_config.sentences(refused, "/r").endswith("The vLLM in /r can't be loaded.")


def test_a_check_is_known_by_release_and_options_in_any_order() -> None:
    first = _serve_config.digest("/r", {"a": 1, "b": 2})
    assert first == _serve_config.digest("/r", {"b": 2, "a": 1})
    assert first != _serve_config.digest("/r", {"a": 1, "b": 3})
    assert first != _serve_config.digest("/s", {"a": 1, "b": 2})
    assert first != _serve_config.digest("/r", {"a": 1, "b": 2}, ["VLLM_X"])


def test_refusals_repeat_no_secret_and_name_the_option() -> None:
    config = {
        "max-model-len": "many",
        "kv-transfer-config": {"kv_connector": "s3cret-connector"},
        "additional-config": '{"note": "s3cret-note"}',
        "store-password": "s3cret-password",
        "hf-overrides": '{"note": no json s3cret-text}',
    }
    why = (
        "argument --max-model-len: invalid value 'many'; argument --kv-transfer-config: Value {'kv_connector': "
        "'s3cret-connector'} cannot be converted; unrecognized: --store-password s3cret-password s3cret-note; "
        'argument --hf-overrides: Value {"note": no json s3cret-text} cannot be converted'
    )
    said = _serve_config.without_secrets({"options": why}, config)["options"]
    assert "s3cret" not in said
    for word in ("--max-model-len: invalid value 'many'", "--kv-transfer-config", "--store-password", "--hf-overrides"):
        assert word in said


def test_the_script_is_python() -> None:
    ast.parse(_serve_config.SCRIPT)
