# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs import _hub, _hub_client
from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs._hub_interface import ClientProgram, Way, Wish
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._manifest import sentence

COMMIT = "0123456789abcdef0123456789abcdef01234567"
WISH = _hub.wish("huggingface", "Qwen/Qwen3-32B")
MODELSCOPE = _hub.wish("modelscope", "Qwen/Qwen3-32B")


def program(wish: Wish) -> ClientProgram:
    assert wish.hub.client
    return wish.hub.client


def test_the_token_is_in_the_environment_alone() -> None:
    command = _hub_client.argv(WISH, program(WISH), "/r/bin/python", COMMIT, "/m/.part", ["original/*", "*.pth"])
    assert command == [
        *("/r/bin/python", "-c", _hub_client.RUN_CLIENT, "huggingface_hub.cli.hf", "download", "Qwen/Qwen3-32B"),
        *("--revision", COMMIT, "--local-dir", "/m/.part", "--max-workers", "4"),
        *("--exclude", "original/*", "--exclude", "*.pth"),
    ]
    environment = _hub_client.environment(WISH, program(WISH), Way("hf_x"), "/m/.part/.home")
    assert environment["HF_TOKEN"] == "hf_x"
    assert environment["HF_HOME"] == "/m/.part/.home/hf_home"
    assert environment["HF_ENDPOINT"] == "https://huggingface.co"


def test_without_a_token_none_of_the_host_is_used() -> None:
    assert _hub_client.environment(WISH, program(WISH), Way(), "/h")["HF_TOKEN"] == ""
    assert _hub_client.environment(WISH, program(WISH), Way(), "/h")["HF_HUB_DISABLE_IMPLICIT_TOKEN"] == "1"
    assert _hub_client.environment(MODELSCOPE, program(MODELSCOPE), Way(), "/h")["MODELSCOPE_API_TOKEN"] == ""


def test_the_client_takes_the_way_that_is_given() -> None:
    environment = _hub_client.environment(WISH, program(WISH), Way("", "http://proxy:3128", "/etc/own.pem"), "/h")
    assert {name: environment[name] for name in ("https_proxy", "HTTPS_PROXY")} == {
        "https_proxy": "http://proxy:3128",
        "HTTPS_PROXY": "http://proxy:3128",
    }
    assert (environment["SSL_CERT_FILE"], environment["REQUESTS_CA_BUNDLE"]) == ("/etc/own.pem", "/etc/own.pem")
    # Otherwise it has what the host is configured with.
    assert (
        not {"https_proxy", "HTTPS_PROXY", "SSL_CERT_FILE"}
        & _hub_client.environment(WISH, program(WISH), Way(), "/h").keys()
    )


@pytest.mark.parametrize(
    ("wish", "name", "words"),
    [
        (WISH, "hf_gated", "refuses Qwen/Qwen3-32B at main (HTTP 401) without a token"),
        (WISH, "hf_private", "has no Qwen/Qwen3-32B at main"),
        (WISH, "hf_revision", "has no Qwen/Qwen3-32B at main"),
        (WISH, "hf_forbidden", "refuses Qwen/Qwen3-32B at main"),
        (WISH, "hf_server_error", "Server error '503 Service Unavailable' for url 'http://cdn.example/lfs/"),
        (MODELSCOPE, "ms_gated", "refuses Qwen/Qwen3-32B at master (HTTP 401) without a token"),
        (MODELSCOPE, "ms_private", "has no Qwen/Qwen3-32B at master"),
        (MODELSCOPE, "ms_revision", "No files to download for a/ok@nope"),
        (MODELSCOPE, "ms_server_error", "model.safetensors: [E1002] [503] Internal Error"),
        (MODELSCOPE, "ms_wrong", "model.safetensors: [E2020] Hash mismatch for model.safetensors"),
    ],
)
def test_what_clients_say(fixtures: Path, wish: Wish, name: str, words: str) -> None:
    output = (fixtures / "hub" / f"{name}.log").read_text()
    text = sentence(_hub_client.client_problem(wish, program(wish), "/p", output, Way()))
    assert words in text
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("output", "words"),
    [
        pytest.param(
            "ImportError: Error while finding module specification for 'huggingface_hub.cli.hf' (ModuleNotFoundError: "
            "No module named 'huggingface_hub')\n",
            "/p has no huggingface_hub",
            id="no client",
        ),
        pytest.param("No module named 'httpx2'\n", "failed: No module named 'httpx2'", id="half a client"),
        pytest.param(
            "a\n\nb\nc http://me:pw@proxy\nbad hf_x\n",
            "failed: b / c *** / bad ***.",
            id="the last lines, without secrets",
        ),
        pytest.param("", "it said nothing", id="silence"),
    ],
)
def test_clients_that_fail(output: str, words: str) -> None:
    text = sentence(_hub_client.client_problem(WISH, program(WISH), "/p", output, Way("hf_x", "http://me:pw@proxy")))
    assert words in text
    assert "hf_x" not in text
    assert "pw" not in text
