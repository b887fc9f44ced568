# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs import _hub, _hub_pin
from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs._hub_interface import Wish
from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs._hub_pin import Pin

COMMIT = "0123456789abcdef0123456789abcdef01234567"
WISH = _hub.wish("huggingface", "Qwen/Qwen3-32B")
MODELSCOPE = _hub.wish("modelscope", "Qwen/Qwen3-32B")
MIRROR = _hub.wish("mirror", "https://mirror.example/models/Qwen3%2032B/")


@pytest.mark.parametrize(
    ("wish", "pin", "commit"),
    [
        pytest.param(WISH, None, "", id="a branch for the first time"),
        pytest.param(WISH, Pin("abc", "/m"), "abc", id="a branch that is pinned"),
        pytest.param(replace(WISH, revision=COMMIT), None, COMMIT, id="a commit"),
        pytest.param(replace(WISH, revision="v1"), None, "", id="a tag"),
        pytest.param(MODELSCOPE, None, "", id="ModelScope"),
        pytest.param(MIRROR, Pin("abc", "/m"), "abc", id="a mirror"),
    ],
)
def test_known_commit(wish: Wish, pin: Pin | None, commit: str) -> None:
    assert _hub_pin.known_commit(wish, pin) == commit


def test_a_pin_survives_writing_and_reading() -> None:
    pin = Pin(COMMIT, "/m/größe")
    assert _hub_pin.parse_pin(_hub_pin.render_pin(pin)) == pin


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"commit": "a"}'])
def test_no_pin(text: str) -> None:
    assert _hub_pin.parse_pin(text) is None


def test_each_wish_and_path_has_its_own_pin() -> None:
    wishes = [
        WISH,
        MODELSCOPE,
        replace(WISH, revision="v1"),
        replace(WISH, endpoint="https://mirror.example"),
        replace(WISH, model="Qwen/Qwen3-8B"),
    ]
    names = {_hub_pin.pin_name(wish, path) for wish in wishes for path in ("", "/m")}
    assert len(names) == 10
    assert _hub_pin.pin_name(replace(WISH, revision="main"), "") == _hub_pin.pin_name(WISH, "")


@pytest.mark.parametrize(
    ("wish", "path", "name"),
    [
        (WISH, "", "33f37e403af35e44c5039529efb69c16"),
        (replace(WISH, revision="v1", endpoint="https://e.example/"), "/m", "ea79bef044013a09eb792f11c9a995b6"),
        (MODELSCOPE, "", "8ec3bd24187bef76e77f1ac7d7f7f3d9"),
        (MIRROR, "", "c8da143a5a831bd8f0316a33b1033fe4"),
    ],
)
def test_pins_of_earlier_versions_are_found(wish: Wish, path: str, name: str) -> None:
    assert _hub_pin.pin_name(wish, path) == f"hub-{name}.json"
