# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs import _hub, _hub_interface
from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs._hub_interface import Way, Wish

COMMIT = "0123456789abcdef0123456789abcdef01234567"
WISH = _hub.wish("huggingface", "Qwen/Qwen3-32B")
MODELSCOPE = _hub.wish("modelscope", "Qwen/Qwen3-32B")
MIRROR = _hub.wish("mirror", "https://mirror.example/models/Qwen3%2032B/")


def test_each_commit_has_its_directory() -> None:
    assert _hub_interface.directory_of(WISH, "/m", COMMIT) == f"/m/Qwen--Qwen3-32B/{COMMIT}"
    assert _hub_interface.directory_of(MODELSCOPE, "/m", "feature/a") == "/m/Qwen--Qwen3-32B/feature--a"
    assert _hub_interface.directory_of(MIRROR, "/m", COMMIT) == f"/m/models--Qwen3 32B/{COMMIT}"


@pytest.mark.parametrize(
    ("wish", "commit"),
    [
        pytest.param(_hub.wish("mirror", "https://a.example/%2e%2e"), COMMIT, id="a mirror's escaped way up"),
        pytest.param(_hub.wish("mirror", "https://a.example/"), COMMIT, id="a mirror without a name"),
        pytest.param(_hub.wish("mirror", "https://a.example/.vllm-ray-sync"), COMMIT, id="a name of our own"),
        pytest.param(_hub.wish("mirror", "https://a.example/a%0ab"), COMMIT, id="a line break"),
        pytest.param(_hub.wish("mirror", "https://a.example/" + "x" * 201), COMMIT, id="too long"),
        pytest.param(MODELSCOPE, "..", id="a revision that leads up"),
        pytest.param(MODELSCOPE, "", id="no commit"),
        pytest.param(replace(MODELSCOPE, model=".."), COMMIT, id="an id that leads up"),
    ],
)
def test_no_directory_is_outside_of_the_root(wish: Wish, commit: str) -> None:
    with pytest.raises(ValueError, match="can't be the name of a directory"):
        _hub_interface.directory_of(wish, "/m", commit)


def test_a_text_without_the_secrets_of_a_way() -> None:
    way = Way("hf_x", "http://me:pw@proxy", "/c.pem")
    assert way.without_secrets("hf_x by http://me:pw@proxy and /c.pem") == "*** by *** and /c.pem"
