# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs import _hub
from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs._hub import Pin, Way, Wish

COMMIT = "0123456789abcdef0123456789abcdef01234567"
WISH = Wish("huggingface", "Qwen/Qwen3-32B")
MODELSCOPE = Wish("modelscope", "Qwen/Qwen3-32B")
MIRROR = Wish("mirror", "https://mirror.example/models/Qwen3%2032B/")


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


def test_each_commit_has_its_directory() -> None:
    assert _hub.directory_of(WISH, "/m", COMMIT) == f"/m/Qwen--Qwen3-32B/{COMMIT}"
    assert _hub.directory_of(MODELSCOPE, "/m", "feature/a") == "/m/Qwen--Qwen3-32B/feature--a"
    assert _hub.directory_of(MIRROR, "/m", COMMIT) == f"/m/models--Qwen3 32B/{COMMIT}"


@pytest.mark.parametrize(
    ("wish", "commit"),
    [
        pytest.param(Wish("mirror", "https://a.example/%2e%2e"), COMMIT, id="a mirror's escaped way up"),
        pytest.param(Wish("mirror", "https://a.example/"), COMMIT, id="a mirror without a name"),
        pytest.param(Wish("mirror", "https://a.example/.vllm-ray-sync"), COMMIT, id="a name of our own"),
        pytest.param(Wish("mirror", "https://a.example/a%0ab"), COMMIT, id="a line break"),
        pytest.param(Wish("mirror", "https://a.example/" + "x" * 201), COMMIT, id="too long"),
        pytest.param(MODELSCOPE, "..", id="a revision that leads up"),
        pytest.param(MODELSCOPE, "", id="no commit"),
        pytest.param(replace(MODELSCOPE, model=".."), COMMIT, id="an id that leads up"),
    ],
)
def test_no_directory_is_outside_of_the_root(wish: Wish, commit: str) -> None:
    with pytest.raises(ValueError, match="can't be the name of a directory"):
        _hub.directory_of(wish, "/m", commit)


def test_a_mirror_does_not_see_the_token_of_a_hub() -> None:
    given = {"token": "hf_x", "proxy": None, "ca_certificate": "/c.pem"}
    assert _hub.way_of({**given, "hub": "huggingface"}) == Way("hf_x", "", "/c.pem")
    assert _hub.way_of({**given, "hub": "mirror"}) == Way("", "", "/c.pem")


def test_what_a_name_means() -> None:
    assert _hub.hub_of("Qwen/Qwen3-32B") == "huggingface"
    assert _hub.hub_of("https://mirror.example/m") == "mirror"
