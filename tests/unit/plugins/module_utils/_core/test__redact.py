# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets that must not be seen by others, wherever they stand."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _redact

SECRET = "Zq7-planted_secret"
# Written in pieces, so that no scanner takes it for one that was left here by mistake.
HF = "hf_" + "AbCdEfGhIjKlMnOpQrStUvWxYz01234567"
EDGES = ["-----BEGIN OPENSSH PRIVATE " + "KEY-----", "-----END OPENSSH PRIVATE " + "KEY-----"]
BODY = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ\nAAAAAAAAABAAAAMwAAAAtzc2gtZW"


def plain(text: str) -> str:
    """Return a text as a redactor leaves it that knows no values: by names and forms alone."""
    return _redact.Redactor([]).text(text)


@pytest.mark.parametrize(
    "text",
    [
        f"HF_TOKEN={SECRET}",
        f"export AWS_SECRET_ACCESS_KEY={SECRET}",
        f"db_password: {SECRET}",
        f"VLLM_API_KEY = '{SECRET}'",
        f"non-default args: {{'api_key': ['{SECRET}', '{SECRET}2'], 'port': 8000}}",
        f'"api-key": [\n    "{SECRET}",\n    "{SECRET}"\n  ]',
        f'{{"token": "a\\"{SECRET}", "x": 1}}',
        json.dumps(json.dumps({"token": SECRET})),
        f'password="{SECRET} and the quote never ends',
        f"vllm serve --api-key {SECRET} --port 8000",
        f"['vllm', 'serve', '--api-key', '{SECRET}']",
        f"--ssl-keyfile-password={SECRET}",
        f"curl -H 'Authorization: Bearer {SECRET}' http://192.0.2.11",
        f"{{'Authorization': 'Bearer {SECRET}'}}",
        f"authorization: Basic {SECRET}",
        f"it sent bearer {SECRET} to them",
        f"https://me:{SECRET}@192.0.2.1:3128/simple",
        f"https://{SECRET}@192.0.2.1/simple",
        f"http://me:with@{SECRET}@192.0.2.1:3128",
        f"http://me:with/{SECRET}@192.0.2.1:3128",
    ],
)
def test_a_secret_is_known_by_its_name_or_form(text: str) -> None:
    assert SECRET not in plain(text)
    assert _redact.MARK in plain(text)


@pytest.mark.parametrize(
    "text",
    [
        "INFO Chunked prefill is enabled with max_num_batched_tokens=8192.",
        "non-default args: {'hf_overrides': {}, 'api_key': None, 'tokenizer': '/srv/demo', 'prompt_token_ids': [1, 2]}",
        "RAY_AUTH_MODE=token",
        "RAY_AUTH_TOKEN_PATH=/etc/vllm-ray/default/ray.token\nNCCL_DEBUG=INFO",
        "Authentication token is missing or incorrect.",
        "AuthenticationError: RPC error: InvalidAuthToken: Authentication token is missing or incorrect.",
        "GPU KV cache size: 1,986,400 tokens",
        "NCCL INFO Channel 00/0 : 0[0] -> 1[0] [send] via NET/Socket/0",
        "HF_TOKEN=\nNEXT=line",
        "tiktoken==0.13.0",
        "http://192.0.2.11:8000/v1/chat/completions",
        "NotImplementedError: key not found",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert plain(text) == text


def test_a_value_that_is_known_goes_wherever_it_stands() -> None:
    value = 'p@ss "word"/1'
    redactor = _redact.Redactor([f"{value}\n", "abc"])
    for text in (f"a {value} b", f"x{json.dumps(value)}y", "http://me/p%40ss%20%22word%22%2F1"):
        assert "word" not in redactor.text(text)
    assert redactor.text("abc is too short to go from all texts") == "abc is too short to go from all texts"


def test_the_longest_value_goes_first() -> None:
    assert _redact.Redactor(["secret", "secret-and-more"]).text("secret-and-more") == _redact.MARK


def test_tokens_of_hugging_face() -> None:
    assert plain(f"401 for {HF}, see hf_transformers") == f"401 for {_redact.MARK}, see hf_transformers"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        pytest.param(f"a\n{EDGES[0]}\n{BODY}\n{EDGES[1]}\nb", f"a\n{_redact.MARK}\nb", id="whole"),
        pytest.param(json.dumps(f"{EDGES[0]}\n{BODY}\n{EDGES[1]}\n"), f'"{_redact.MARK}\\n"', id="in-json"),
        pytest.param(f"{BODY}\n{EDGES[1]}\nb", f"{_redact.MARK}\nb", id="beginning-cut-off"),
        pytest.param(f"a\n{EDGES[0]}\n{BODY}", f"a\n{_redact.MARK}", id="end-cut-off"),
    ],
)
def test_private_keys(text: str, left: str) -> None:
    assert plain(text) == left


def test_two_keys_leave_what_is_between_them() -> None:
    key = f"{EDGES[0]}\n{BODY}\n{EDGES[1]}"
    assert plain(f"{key}\nbetween\n{key}") == f"{_redact.MARK}\nbetween\n{_redact.MARK}"


def test_of_an_environment_only_what_is_known_stays() -> None:
    variables = {"VLLM_HOST_IP": "192.0.2.1", "MY_SETTING": SECRET, "HF_TOKEN": SECRET, "EMPTY": "", "PATH": "/bin"}
    assert _redact.Redactor([]).environment(variables) == {
        **variables,
        "MY_SETTING": _redact.MARK,
        "HF_TOKEN": _redact.MARK,
    }
    assert _redact.secrets_of_environment(variables) == [SECRET, SECRET]


def test_secrets_in_options_that_are_text_in_json() -> None:
    assert _redact.secrets_of({"kv-transfer-config": json.dumps({"extra": {"auth_token": SECRET}})}) == [SECRET]
    assert _redact.secrets_of({"a": "{not json", "b": "[" * 100_000}) == []


def test_data_keeps_its_form() -> None:
    tree: dict[str, Any] = {
        "api-key": [SECRET],
        "nested": [{"HF_TOKEN": SECRET, "port": 8000, "url": f"http://me:{SECRET}@192.0.2.1"}],
        "key": {"a": SECRET},
        "empty_token": "",
        "no_key": None,
        "max-num-batched-tokens": 8192,
        "vllm_ray_key_file": "~/a.key",
        "kv_bytes_per_token": [2048],
    }
    found: Any = _redact.Redactor([]).tree(tree)
    assert SECRET not in json.dumps(found)
    assert found["nested"][0]["port"] == 8000
    assert (found["empty_token"], found["no_key"], found["max-num-batched-tokens"]) == ("", None, 8192)
    assert (found["vllm_ray_key_file"], found["kv_bytes_per_token"]) == ("~/a.key", [2048])


def test_secrets_of_an_environment_and_of_options() -> None:
    text = f"# a comment\nHF_TOKEN='{SECRET} with a space'\nA=1\nQUOTED='it'\"'\"'s'\n"
    variables = _redact.parse_environment(text)
    assert variables == {"HF_TOKEN": f"{SECRET} with a space", "A": "1", "QUOTED": "it's"}
    assert _redact.secrets_of(variables) == [f"{SECRET} with a space"]
    assert _redact.secrets_of({"a": [{"api-key": ["one", "two"]}], "b": {"password": 7}, "c_key": ""}) == [
        "one",
        "two",
        "7",
    ]


def test_an_environment_with_an_open_quote_is_refused() -> None:
    with pytest.raises(ValueError, match="quotation"):
        _redact.parse_environment("A='1\nB=2")


@pytest.mark.parametrize(
    "piece", ["a://", "a://a:", "@a://a:", "--", "--akey", "--key ", "key=[", 'key="', "bearer ", "x"]
)
def test_time_grows_with_the_length_and_not_with_its_square(piece: str) -> None:
    """Services write what is searched. 200 kB took 5 minutes."""
    begin = time.process_time()
    _redact.Redactor([]).text(piece * (200_000 // len(piece)))
    assert time.process_time() - begin < 5


@pytest.mark.parametrize(
    ("text", "without"),
    [
        ("http://u:pass/word@h/x", "http://[redacted]@h/x"),
        ("http://token@h/x?a@b", "http://[redacted]@h/x?a@b"),
        ("http://a.b/c,http://u:secret@h", "http://a.b/c,http://[redacted]@h"),
        ("see http://a.b/c and write to ann@example.org", "see http://a.b/c and write to ann@example.org"),
        ("'https://u:secret@h/simple', 'x'", "'https://[redacted]@h/simple', 'x'"),
    ],
)
def test_accounts_go_from_addresses(text: str, without: str) -> None:
    assert _redact.Redactor([]).text(text) == without
