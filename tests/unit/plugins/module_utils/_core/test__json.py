# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _json


def nested(levels: int) -> str:
    return '{"a": [' * (levels // 2) + "]}" * (levels // 2)


def test_what_is_wanted_is_returned() -> None:
    assert _json.parse('{"a": [1, -2.5, null, "b"]}', dict) == {"a": [1, -2.5, None, "b"]}
    assert _json.parse(b"[[]]", list) == [[]]
    assert json.dumps(_json.parse(nested(_json.DEEPEST), dict)) == nested(_json.DEEPEST)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param(nested(_json.DEEPEST + 2), "it is nested too deeply", id="two-levels-too-many"),
        pytest.param("[" * 10**5, "it is nested too deeply", id="deep"),
        pytest.param("[" * 10**5 + "]" * 10**5, "it is nested too deeply", id="deep-and-closed"),
        pytest.param(b"\xff\xfe\xff", "it is not UTF-8 text", id="bytes"),
        pytest.param("secret", "it is not JSON: Expecting value: line 1 column 1 (char 0)", id="text"),
        pytest.param("", "it is not JSON: Expecting value: line 1 column 1 (char 0)", id="nothing"),
        pytest.param("1", "it is not a JSON object", id="number"),
        pytest.param("[]", "it is not a JSON object", id="list"),
        pytest.param(f'{{"a": {"9" * 41}}}', "it is not JSON: an integer has too many digits", id="digits"),
    ],
)
def test_what_is_not_is_refused_without_its_text(text: str | bytes, why: str) -> None:
    with pytest.raises(ValueError) as error:
        _json.parse(text, dict)
    assert str(error.value) == why
