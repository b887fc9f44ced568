# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record in the form of this release, and in that of earlier ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _record
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._layout import Layout
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._record import KnownEngine, KnownHost, Record


@pytest.fixture
def old(fixtures: Path) -> Any:
    """Return what a release without versions wrote."""
    return lambda name: json.loads((fixtures / "record" / name).read_text(encoding="utf-8"))


def test_a_record_of_earlier_releases_is_read_in_full(old: Any) -> None:
    found = _record.read(old("unversioned.json"))
    assert found.hosts == {f"gpu0{n}": KnownHost(f"192.0.2.1{n}", f"eno{n}", 1500, 2) for n in (1, 2, 3)}
    assert found.layout == Layout(2, 3, {"gpu01": 2, "gpu02": 2, "gpu03": 2})
    assert found.serve_host == "gpu02"
    assert found.engine and found.engine.wish == "/srv/demo"
    assert found.engine.endpoint["url"] == "http://192.0.2.12:8000"


def test_so_are_its_layers(old: Any) -> None:
    found = _record.read(old("unversioned_layers.json"))
    assert found.layout == Layout(1, 2, {"gpu01": 1, "gpu02": 1}, {"gpu01": (61,), "gpu02": (3,)})


@pytest.mark.parametrize("name", ["unversioned.json", "unversioned_layers.json"])
def test_only_the_version_is_added(old: Any, name: str) -> None:
    written = _record.read(old(name)).as_dict()
    assert json.loads(json.dumps(written)) == {"version": 1, **old(name)}
    assert _record.read(json.loads(json.dumps(written))) == _record.read(old(name))


def test_an_engine_without_layers_is_recorded_without() -> None:
    assert "layers" not in KnownEngine(Layout(1, 1, {"a": 1}), "a").as_dict()


@pytest.mark.parametrize("content", [None, {}, {"hosts": {}}, {"version": 1, "hosts": {}, "engine": None}])
def test_without_an_engine_there_is_no_layout(content: dict[str, object] | None) -> None:
    found = _record.read(content)
    assert (found, found.layout, found.serve_host) == (Record(), None, "")


def test_a_newer_record_is_refused() -> None:
    with pytest.raises(_record.Unreadable, match="has version 2, which a newer version of this collection wrote") as e:
        _record.read({"version": 2, "clusters": []})
    assert e.value.wanted == "a record of version 1, or of earlier releases, which wrote none"
    assert e.value.fix == "run the version of this collection that wrote it, or a newer one"


@pytest.mark.parametrize(
    "content",
    [
        {"version": "1"},
        {"version": -1},
        {"hosts": []},
        {"hosts": {"a": {"address": "192.0.2.11"}}},
        {"hosts": {"a": {"address": "192.0.2.11", "nic": "eno1", "mtu": float("inf")}}},
        {"engine": {"tp": 1, "pp": 1}},
        {"engine": {"tp": "one", "pp": 1, "gpus": {}}},
        {"engine": [1]},
    ],
)
def test_what_is_no_record_is_refused(content: dict[str, Any]) -> None:
    with pytest.raises(_record.Unreadable, match="is not a record of a cluster: ") as error:
        _record.read(content)
    assert "remove it: site.yml writes it again" in error.value.fix
    assert _record.serve_host_in(content) == ""


def test_the_serve_host_in_a_record(old: Any) -> None:
    assert _record.serve_host_in(old("unversioned.json")) == "gpu02"
    assert _record.serve_host_in(None) == ""
