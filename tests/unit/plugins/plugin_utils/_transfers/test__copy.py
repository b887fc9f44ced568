# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._manifest import Entry
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._transfers import _copy

MIB = 1024**2


@pytest.mark.parametrize(
    ("done", "total", "seconds", "text"),
    [
        pytest.param(0, 100 * MIB, 0, "0 % of 100.0 MiB", id="start"),
        pytest.param(25 * MIB, 100 * MIB, 2, "25 % of 100.0 MiB, 13 MB/s, 0:06 left", id="a quarter"),
        pytest.param(0, 0, 1, "100 % of 0.0 MiB, 0 MB/s", id="nothing"),
    ],
)
def test_progress(done: int, total: int, seconds: float, text: str) -> None:
    assert _copy.progress(done, total, seconds) == text


@pytest.mark.parametrize(
    ("files", "remove", "replaced", "dry", "text"),
    [
        pytest.param([], [], [], False, "nothing to copy", id="nothing"),
        pytest.param(["a", "b"], [], [], False, "copy 2 files (a, b): 2.0 MiB", id="new"),
        pytest.param(["a", "b"], [], ["b"], True, "would copy 1 file (a); would replace b: 2.0 MiB", id="dry"),
        pytest.param([], ["x"], [], False, "remove x: 0.0 MiB", id="remove"),
    ],
)
def test_summary(files: list[str], remove: list[str], replaced: list[str], dry: bool, text: str) -> None:
    assert _copy.summary([Entry(name, MIB, name) for name in files], remove, replaced, dry) == text


def test_listing_is_sorted() -> None:
    lines = _copy.listing([Entry("b", 2, "f" * 64), Entry("a", 1, "0" * 64)])
    assert lines == "0000000000000000              1 a\nffffffffffffffff              2 b\n"


def test_where_bytes_came_from() -> None:
    assert _copy.origins({}) == ""
    assert _copy.origins({"h3": 1, "h1": 16383}) == "; 16384 bytes came from h1, h3"
