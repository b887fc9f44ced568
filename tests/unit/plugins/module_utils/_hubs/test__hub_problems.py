# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._http_io import may_have_secret
from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs import _hub, _hub_problems
from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs._hub_interface import Way, Wish
from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs._hub_pin import Pin
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._manifest import sentence

WISH = _hub.wish("huggingface", "Qwen/Qwen3-32B")
MODELSCOPE = _hub.wish("modelscope", "Qwen/Qwen3-32B")
MIRROR = _hub.wish("mirror", "https://mirror.example/models/Qwen3%2032B/")


@pytest.mark.parametrize(
    ("wish", "status", "has_token", "words"),
    [
        pytest.param(WISH, 401, False, "HTTP 401) without a token", id="gated"),
        pytest.param(WISH, 403, True, "HTTP 403) with the given token", id="the wrong token"),
        pytest.param(WISH, 403, True, "terms on https://huggingface.co/Qwen/Qwen3-32B, wait", id="its page"),
        pytest.param(MODELSCOPE, 403, True, "on https://modelscope.cn/models/Qwen/Qwen3-32B,", id="another page"),
        pytest.param(WISH, 404, False, "has no Qwen/Qwen3-32B at main", id="unknown"),
        pytest.param(WISH, 0, False, "no usable answer about Qwen/Qwen3-32B at main: timed out", id="unreachable"),
        pytest.param(MIRROR, 404, False, "Qwen3%2032B has no SHA256SUMS", id="no mirror"),
        pytest.param(MIRROR, 403, False, "reading the mirror without a password", id="a mirror with a password"),
    ],
)
def test_refusals(wish: Wish, status: int, has_token: bool, words: str) -> None:
    assert words in sentence(_hub_problems.refusal(wish, status, "timed out", has_token))


def test_wrong_bytes_are_named() -> None:
    text = sentence(_hub_problems.wrong_problem(WISH, ["d", "c", "b", "a"]))
    assert "a, b, c and 1 more of Qwen/Qwen3-32B" in text


def test_a_mirror_that_changed() -> None:
    assert f"is now {'1' * 12}. Expected: that of {'2' * 12}." in sentence(
        _hub_problems.moved_problem(MIRROR, "1" * 40, "2" * 40)
    )


def test_a_directory_with_another_commit() -> None:
    assert "/m holds commit abc. Expected: commit def." in sentence(
        _hub_problems.held_problem("/m", Pin("abc", "/m"), "def")
    )
    assert "/m holds files of an unknown commit." in sentence(_hub_problems.held_problem("/m", None, "def"))


@pytest.mark.parametrize(
    ("endpoint", "token", "refused"),
    [
        ("", "hf_secret", False),
        ("https://hub.example", "hf_secret", False),
        ("http://hub.example", "", False),
        ("http://127.0.0.1:8080", "hf_secret", False),
        ("http://[::1]:8080", "hf_secret", False),
        ("http://hub.example", "hf_secret", True),
        ("http://127.0.0.1.example", "hf_secret", True),
        ("HTTP://hub.example", "hf_secret", True),
        ("ftp://hub.example", "hf_secret", True),
    ],
)
def test_a_token_is_sent_by_https_alone(endpoint: str, token: str, refused: bool) -> None:
    wish = _hub.wish("huggingface", "acme/tiny", endpoint=endpoint)
    problems = _hub_problems.way_problems(wish, Way(token), may_have_secret)
    assert bool(problems) is refused
    assert all("vllm_ray_hf_endpoint" in one["fix"] and "hf_secret" not in str(one) for one in problems)
