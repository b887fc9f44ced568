# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._transfers import _progress
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._transfers._progress import GIB, MIB, Far

BEFORE = Far(10 * GIB, 100.0, {"a": (10 * GIB, "has it"), "b": (GIB, "receives"), "c": (0, "receives")})
NOW = Far(10 * GIB, 110.0, {"a": (10 * GIB, "has it"), "b": (2 * GIB, "receives"), "c": (0, "receives")})


def test_a_line_has_percent_rate_and_time_left_of_each_host() -> None:
    assert _progress.line("model", NOW, BEFORE) == ("model, 10.0 GiB | a has it | b 20 % 102.4 MiB/s 1:20 left | c 0 %")


def test_the_first_line_has_no_rates() -> None:
    assert _progress.line("model", NOW, None) == "model, 10.0 GiB | a has it | b 20 % | c 0 %"


def test_it_says_who_downloads_fails_or_is_silent() -> None:
    far = Far(MIB, 1.0, {"a": (MIB // 2, "downloads"), "b": (5, "failed"), "c": (0, "away")})
    assert _progress.line("m", far, None) == "m, 1 MiB | a downloads 50 % | b failed | c does not answer"


def test_it_is_over_when_nobody_goes_on() -> None:
    assert not NOW.over
    assert Far(1, 0.0, {"a": (1, "has it"), "b": (0, "failed")}).over
    assert not Far(1, 0.0, {"a": (1, "downloads")}).over


def test_lines_come_less_often_after_a_minute() -> None:
    assert _progress.due(10, 10)
    assert not _progress.due(70, 10)
    assert _progress.due(90, 30)


def test_times_are_read_as_on_a_clock() -> None:
    assert [_progress.clock(seconds) for seconds in (0, 59.6, 61, 3725)] == ["0:00", "1:00", "1:01", "1:02:05"]


def test_an_empty_tree_has_no_percent_of_nothing() -> None:
    assert _progress.line("m", Far(0, 0.0, {"a": (0, "receives")}), None) == "m, 0 MiB | a 0 %"
