# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Digests of trusted releases and models, as text."""

from __future__ import annotations

import json

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._tree import FORMAT
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._trusted import (
    ENTRIES_MAXIMUM,
    Digests,
    noted,
    parse,
    render,
)

ONE, TWO = Digests("1" * 64, "2" * 64, "h1"), Digests("3" * 64)


def test_what_is_written_is_read() -> None:
    known = {"release a": ONE, "model b": TWO}
    assert parse(render(known)) == known


@pytest.mark.parametrize(
    "text",
    ["", "[]", "7", "{", "[" * 100_000, '{"a": 1}', '{"a": {"tree": 1, "manifest": "", "host": "", "format": 1}}'],
    ids=["empty", "list", "number", "cut", "deep", "no-entry", "no-text"],
)
def test_what_is_none_counts_as_not_known(text: str) -> None:
    assert parse(text) == {}


def test_an_entry_that_is_none_leaves_the_others() -> None:
    data = {**json.loads(render({"a": ONE})), "b": {"tree": "x"}}
    assert parse(json.dumps(data)) == {"a": ONE}


@pytest.mark.parametrize(
    ("digests", "usable"),
    [(ONE, True), (Digests(""), False), (Digests("1" * 64, format=FORMAT + 1), False), (Digests("x" * 64), False)],
)
def test_a_digest_of_another_format_is_of_no_use(digests: Digests, usable: bool) -> None:
    assert digests.usable is usable


def test_the_oldest_go() -> None:
    known: dict[str, Digests] = {}
    for number in range(ENTRIES_MAXIMUM + 3):
        known = noted(known, str(number), ONE)
    known = noted(known, "3", TWO)
    assert len(known) == ENTRIES_MAXIMUM
    assert next(iter(known)) == "4"
    assert known["3"] == TWO
