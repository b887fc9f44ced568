# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._models._revisions import (
    Revision,
    old,
    parse_uses,
    render_uses,
    served,
)

ROOT = "/models/a--b"
FOUR = [Revision(f"{ROOT}/{name}", True, at) for name, at in (("c1", 1), ("c2", 2), ("c3", 3), ("c4", 4))]


@pytest.mark.parametrize(
    ("used", "keep", "gone"),
    [
        pytest.param(["c4"], 1, ["c2", "c1"], id="the newest of those that nobody uses stays"),
        pytest.param(["c4"], 0, ["c3", "c2", "c1"], id="only what is used"),
        pytest.param(["c4"], 3, [], id="as many as wanted"),
        pytest.param(["c4", "c1"], 1, ["c2"], id="the oldest is used"),
        pytest.param(["c4", "c2/sub/model.gguf"], 0, ["c3", "c1"], id="a file in it is used"),
        pytest.param(["c"], 0, ["c4", "c3", "c2", "c1"], id="a name that begins alike is another one"),
    ],
)
def test_what_may_go(used: list[str], keep: int, gone: list[str]) -> None:
    assert old(FOUR, [f"{ROOT}/{name}" for name in used], keep) == [f"{ROOT}/{name}" for name in gone]


def test_what_somebody_else_made_stays() -> None:
    assert old([revision._replace(made=False) for revision in FOUR], [], 0) == []


def test_notes_of_what_is_used() -> None:
    assert parse_uses(render_uses(["/b", "/a", "/b"])) == ["/a", "/b"]
    assert parse_uses("") == parse_uses("[]") == parse_uses('{"models": 1}') == []


def test_the_model_of_an_engine() -> None:
    assert served('{"model": "/models/a--b/c1", "port": 8000}') == ["/models/a--b/c1"]
    assert served("model: by hand") == served("[]") == []
