# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a terminal would obey is shown instead."""

from __future__ import annotations

import sys

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._plain import plain, plain_lines


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("raylet", "raylet"),
        ("größe 日本 ✓", "größe 日本 ✓"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("ours\rtheirs", "ours\\rtheirs"),
        ("gpj\u202egnp", "gpj\\u202egnp"),
        ("a\u2066b\u200bc\u2028d", "a\\u2066b\\u200bc\\u2028d"),
        ("a\tb", "a b"),
        ("a\nerror: b", "a error: b"),
        ("\udc1b", "\\udc1b"),
    ],
)
def test_a_line_is_printable(text: str, wanted: str) -> None:
    assert plain(text) == wanted


def test_no_character_is_left_that_does_something() -> None:
    every = "".join(map(chr, range(sys.maxunicode + 1)))
    assert plain(every).isprintable()
    assert plain_lines(every).replace("\n", "").isprintable()


def test_lines_stay_lines() -> None:
    assert plain_lines("a\n\x1bb\n\n") == "a\n\\x1bb\n\n"
