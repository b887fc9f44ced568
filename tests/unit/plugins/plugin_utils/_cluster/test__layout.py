# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes and places of an engine."""

from __future__ import annotations

import pytest

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _layout
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._layout import Layout


@pytest.mark.parametrize(
    ("offer", "tp", "pp", "wanted"),
    [
        pytest.param({"a": 1}, None, None, (1, 1), id="one-gpu"),
        pytest.param({"a": 8}, None, None, (8, 1), id="one-host"),
        pytest.param({"a": 1, "b": 1, "c": 1}, None, None, (1, 3), id="three-one-gpu-hosts"),
        pytest.param({"a": 4, "b": 4}, None, None, (4, 2), id="two-hosts"),
        pytest.param({"a": 4, "b": 2}, None, None, (2, 3), id="mixed-hosts-use-all"),
        pytest.param({"a": 2, "b": 4, "c": 0}, None, None, (2, 3), id="mixed-and-one-without"),
        pytest.param({"a": 3, "b": 2}, None, None, (2, 2), id="what-makes-no-stage-is-left"),
        pytest.param({"a": 1, "b": 1, "c": 1}, 2, None, (2, 1), id="tp-2-on-three"),
        pytest.param({"a": 2, "b": 2}, 2, None, (2, 2), id="tp-given"),
        pytest.param({"a": 2, "b": 2}, None, 2, (2, 2), id="pp-given"),
        pytest.param({"a": 1, "b": 1, "c": 1}, None, 2, (1, 2), id="pp-2-on-three"),
        pytest.param({"a": 8}, 2, 2, (2, 2), id="both-given"),
        pytest.param({"a": 1}, 4, None, (4, 1), id="tp-too-large-is-kept-to-be-refused"),
        pytest.param({"a": 1}, None, 4, (1, 4), id="pp-too-large-is-kept-to-be-refused"),
        pytest.param({"a": 0}, None, None, (1, 1), id="nothing"),
    ],
)
def test_sizes(offer: dict[str, int], tp: int | None, pp: int | None, wanted: tuple[int, int]) -> None:
    assert _layout.sizes(offer, tp, pp) == wanted


@pytest.mark.parametrize(
    ("offer", "tp", "pp", "gpus", "executor"),
    [
        pytest.param({"a": 8, "b": 8}, 4, 2, {"a": 8}, "mp", id="fits-one-host"),
        pytest.param({"a": 4, "b": 4}, 4, 2, {"a": 4, "b": 4}, "ray", id="a-stage-a-host"),
        pytest.param({"a": 1, "b": 1, "c": 1}, 2, 1, {"a": 1, "b": 1}, "ray", id="tp-over-hosts"),
        pytest.param({"a": 3, "b": 3}, 2, 2, {"a": 2, "b": 2}, "ray", id="a-stage-stays-on-a-host"),
        pytest.param({"a": 3, "b": 3}, 2, 3, {"a": 3, "b": 3}, "ray", id="unless-it-would-not-fit"),
        pytest.param({"a": 1, "b": 4}, 2, 2, {"b": 4}, "mp", id="the-first-host-is-too-small"),
        pytest.param({"a": 4, "b": 2}, 2, 3, {"a": 4, "b": 2}, "ray", id="mixed-hosts"),
    ],
)
def test_place(offer: dict[str, int], tp: int, pp: int, gpus: dict[str, int], executor: str) -> None:
    layout = _layout.place(offer, tp, pp)
    assert layout == Layout(tp, pp, gpus)
    assert layout.executor == executor


def test_more_than_there_is() -> None:
    with pytest.raises(_layout.LayoutError) as error:
        _layout.place({"a": 2, "b": 1}, 2, 2)
    assert str(error.value) == "TP=2 x PP=2 needs 4 GPUs and 3 are available (a 2, b 1)"


OLD = Layout(1, 2, {"a": 1, "b": 1})


@pytest.mark.parametrize(
    ("offer", "serve_host", "tp", "pp", "why"),
    [
        pytest.param({"a": 1, "b": 1}, "a", None, None, None, id="the-same"),
        pytest.param({"a": 1, "b": 1, "c": 8}, "a", None, None, None, id="more-hosts-change-nothing"),
        pytest.param({"a": 1, "b": 1}, "a", 1, 2, None, id="the-sizes-that-serve"),
        pytest.param({"a": 1, "b": 1}, "a", 2, None, "tensor-parallel-size is set to 2", id="tp"),
        pytest.param({"a": 1, "b": 1}, "a", None, 1, "pipeline-parallel-size is set to 1", id="pp"),
        pytest.param({"a": 1, "b": 1, "c": 1}, "c", None, None, "the serve host is c now", id="serve-host"),
        pytest.param({"a": 1}, "a", None, None, "b is no longer in the inventory", id="host-removed"),
        pytest.param({"a": 1, "b": 0}, "a", None, None, "b offers 0 of 1 GPUs", id="gpus-gone"),
    ],
)
def test_still_fits(offer: dict[str, int], serve_host: str, tp: int | None, pp: int | None, why: str | None) -> None:
    assert _layout.still_fits(OLD, offer, serve_host, tp, pp) == why
