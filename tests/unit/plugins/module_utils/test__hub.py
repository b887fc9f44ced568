# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils import _hub
from ansible_collections.vllm_ray.cluster.plugins.module_utils._hub import Pin, Way, Wish
from ansible_collections.vllm_ray.cluster.plugins.module_utils._manifest import sentence

COMMIT = "0123456789abcdef0123456789abcdef01234567"
WISH = Wish("huggingface", "Qwen/Qwen3-32B")
MODELSCOPE = Wish("modelscope", "Qwen/Qwen3-32B")


@pytest.mark.parametrize(
    ("wish", "pin", "commit"),
    [
        pytest.param(WISH, None, "", id="a branch for the first time"),
        pytest.param(WISH, Pin("abc", "/m"), "abc", id="a branch that is pinned"),
        pytest.param(replace(WISH, revision=COMMIT), None, COMMIT, id="a commit"),
        pytest.param(replace(WISH, revision="v1"), None, "", id="a tag"),
        pytest.param(MODELSCOPE, None, "master", id="a hub that isn't asked"),
    ],
)
def test_known_commit(wish: Wish, pin: Pin | None, commit: str) -> None:
    assert _hub.known_commit(wish, pin) == commit


def test_a_pin_survives_writing_and_reading() -> None:
    pin = Pin(COMMIT, "/m/größe")
    assert _hub.parse_pin(_hub.render_pin(pin)) == pin


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"commit": "a"}'])
def test_no_pin(text: str) -> None:
    assert _hub.parse_pin(text) is None


def test_each_wish_and_path_has_its_own_pin() -> None:
    wishes = [
        WISH,
        MODELSCOPE,
        replace(WISH, revision="v1"),
        replace(WISH, endpoint="https://mirror.example"),
        replace(WISH, model="Qwen/Qwen3-8B"),
    ]
    names = {_hub.pin_name(wish, path) for wish in wishes for path in ("", "/m")}
    assert len(names) == 10
    assert _hub.pin_name(replace(WISH, revision="main"), "") == _hub.pin_name(WISH, "")


@pytest.mark.parametrize(
    ("wish", "url"),
    [
        (WISH, "https://huggingface.co/Qwen/Qwen3-32B/resolve/main/config.json"),
        (
            replace(WISH, revision="refs/pr/1"),
            "https://huggingface.co/Qwen/Qwen3-32B/resolve/refs%2Fpr%2F1/config.json",
        ),
        (
            MODELSCOPE,
            "https://modelscope.cn/api/v1/models/Qwen/Qwen3-32B/repo?Revision=master&FilePath=config.json",
        ),
    ],
)
def test_file_url(wish: Wish, url: str) -> None:
    assert _hub.file_url(wish, "config.json") == url


def test_a_revision_with_a_slash_is_one_part_of_the_url() -> None:
    wish = replace(WISH, revision="refs/pr/1", endpoint="https://mirror.example/")
    assert _hub.api_url(wish) == "https://mirror.example/api/models/Qwen/Qwen3-32B/revision/refs%2Fpr%2F1?blobs=true"


def test_a_revision_has_a_commit_and_a_size() -> None:
    answer = {"sha": COMMIT, "siblings": [{"rfilename": "a", "size": 2}, {"rfilename": "b", "size": None}]}
    assert _hub.parse_revision(answer) == (COMMIT, 2)


@pytest.mark.parametrize("answer", [{}, [], None, {"sha": None}, {"sha": "../../etc"}])
def test_an_answer_without_a_commit(answer: object) -> None:
    with pytest.raises(ValueError, match="no commit"):
        _hub.parse_revision(answer)


def test_each_commit_has_its_directory() -> None:
    assert _hub.directory_of(WISH, "/m", COMMIT) == f"/m/Qwen--Qwen3-32B/{COMMIT}"
    assert _hub.directory_of(MODELSCOPE, "/m", "feature/a") == "/m/Qwen--Qwen3-32B/feature--a"


def test_the_token_is_in_the_environment_alone() -> None:
    command = _hub.argv(WISH, "/r/bin/python", COMMIT, "/m/.part", ["original/*", "*.pth"])
    assert command == [
        *("/r/bin/python", "-m", "huggingface_hub.cli.hf", "download", "Qwen/Qwen3-32B"),
        *("--revision", COMMIT, "--local-dir", "/m/.part", "--exclude", "original/*", "--exclude", "*.pth"),
    ]
    environment = _hub.environment(WISH, Way("hf_x"), "/m/.part/.home")
    assert environment["HF_TOKEN"] == "hf_x"
    assert environment["HF_HOME"] == "/m/.part/.home/hf_home"
    assert environment["HF_ENDPOINT"] == "https://huggingface.co"


def test_without_a_token_none_of_the_host_is_used() -> None:
    assert _hub.environment(WISH, Way(), "/h")["HF_TOKEN"] == ""
    assert _hub.environment(WISH, Way(), "/h")["HF_HUB_DISABLE_IMPLICIT_TOKEN"] == "1"
    assert _hub.environment(MODELSCOPE, Way(), "/h")["MODELSCOPE_API_TOKEN"] == ""


def test_the_client_takes_the_way_that_is_given() -> None:
    environment = _hub.environment(WISH, Way("", "http://proxy:3128", "/etc/own.pem"), "/h")
    assert {name: environment[name] for name in ("https_proxy", "HTTPS_PROXY")} == {
        "https_proxy": "http://proxy:3128",
        "HTTPS_PROXY": "http://proxy:3128",
    }
    assert (environment["SSL_CERT_FILE"], environment["REQUESTS_CA_BUNDLE"]) == ("/etc/own.pem", "/etc/own.pem")
    # Otherwise it has what the host is configured with.
    assert not {"https_proxy", "HTTPS_PROXY", "SSL_CERT_FILE"} & _hub.environment(WISH, Way(), "/h").keys()


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        pytest.param(WISH, [], id="right"),
        pytest.param(replace(WISH, model="gpt2"), [], id="without an owner"),
        pytest.param(replace(WISH, model="../etc"), ["../etc is no id of a model"], id="a way up"),
        pytest.param(replace(WISH, model="a/b/c"), ["a/b/c is no id of a model"], id="too many parts"),
        pytest.param(replace(WISH, model="-x"), ["-x is no id of a model"], id="an option"),
        pytest.param(replace(WISH, revision="-x"), ["-x is no revision"], id="an option as revision"),
    ],
)
def test_wishes(wish: Wish, words: list[str]) -> None:
    problems = _hub.wish_problems(wish)
    assert len(problems) == len(words)
    assert all(word in sentence(problem) for word, problem in zip(words, problems))


@pytest.mark.parametrize(
    ("status", "has_token", "words"),
    [
        pytest.param(401, False, "HTTP 401) without a token", id="gated"),
        pytest.param(403, True, "HTTP 403) with the given token", id="the wrong token"),
        pytest.param(404, False, "has no Qwen/Qwen3-32B at main (HTTP 404)", id="unknown"),
        pytest.param(0, False, "gives no answer about Qwen/Qwen3-32B at main: timed out", id="unreachable"),
    ],
)
def test_refusals(status: int, has_token: bool, words: str) -> None:
    assert words in sentence(_hub.refusal(WISH, status, "timed out", has_token))


@pytest.mark.parametrize(
    ("output", "words"),
    [
        pytest.param("/p: No module named modelscope_hub\n", "/p has no huggingface_hub", id="no client"),
        pytest.param(
            "a\n\nb\nc http://me:pw@proxy\nbad hf_x\n",
            "failed: b / c *** / bad ***.",
            id="the last lines, without secrets",
        ),
        pytest.param("", "it said nothing", id="silence"),
    ],
)
def test_clients_that_fail(output: str, words: str) -> None:
    text = sentence(_hub.client_problem(WISH, "/p", output, Way("hf_x", "http://me:pw@proxy")))
    assert words in text
    assert "hf_x" not in text
    assert "pw" not in text


def test_a_directory_with_another_commit() -> None:
    assert "/m holds commit abc. Wanted: commit def." in sentence(_hub.held_problem("/m", Pin("abc", "/m"), "def"))
    assert "/m holds files of an unknown commit." in sentence(_hub.held_problem("/m", None, "def"))
