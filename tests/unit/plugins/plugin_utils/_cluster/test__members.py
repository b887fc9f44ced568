# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts form the cluster."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _members

OWN = {"vllm_ray_head_group": "boss", "vllm_ray_worker_group": "hands"}


@pytest.mark.parametrize(
    ("builder", "wanted"),
    [
        pytest.param(None, "h", id="the head"),
        pytest.param("w2", "w2", id="a host that builds"),
        pytest.param("controller", "h", id="the controller builds"),
        pytest.param("elsewhere", "h", id="a builder that is no host of the cluster"),
    ],
)
def test_who_asks_a_hub(builder: str | None, wanted: str) -> None:
    assert _members.downloader(["h", "w1", "w2"], builder) == wanted


@pytest.mark.parametrize(
    ("groups", "variables", "wanted"),
    [
        pytest.param(
            {"all": ["w1", "h", "w2", "x"], "workers": ["w1", "w2"], "head": ["h"]},
            {},
            {"h": ("head",), "w1": ("workers",), "w2": ("workers",)},
            id="the-head-comes-first",
        ),
        pytest.param({"all": ["h"], "head": ["h"]}, {}, {"h": ("head",)}, id="one-host"),
        pytest.param(
            {"all": ["h"], "head": ["h"], "workers": ["h"]}, {}, {"h": ("head", "workers")}, id="a-host-in-both"
        ),
        pytest.param(
            {"all": ["a", "b"], "boss": ["b"], "hands": ["a"]}, OWN, {"b": ("head",), "a": ("workers",)}, id="own-names"
        ),
        pytest.param({"all": ["a"], "servers": ["a"]}, {}, {}, id="neither-group"),
    ],
)
def test_members(groups: dict[str, list[str]], variables: dict[str, Any], wanted: dict[str, tuple[str, ...]]) -> None:
    hostvars = dict.fromkeys(groups["all"], variables)
    found = _members.members(hostvars, groups)
    assert list(found.items()) == list(wanted.items())


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ({}, "gpu01"),
        ({"ansible_host": "198.51.100.11"}, "198.51.100.11"),
        ({"ansible_host": "198.51.100.11", "vllm_ray_address": "192.0.2.11"}, "192.0.2.11"),
    ],
)
def test_address_of(variables: dict[str, Any], address: str) -> None:
    assert _members.address_of("gpu01", {"gpu01": variables}) == address
