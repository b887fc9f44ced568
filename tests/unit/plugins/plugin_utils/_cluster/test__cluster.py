# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of hosts, by their probes and the record of the last run. Consequences are tested with the plan."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _settings
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._cluster import Cluster, cluster_of
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._host import Host
from ansible_collections.vllm_ray.cluster.tests.unit.looks import look

RECORD = {
    "hosts": {"h2": {"address": "192.0.2.12", "nic": "eno2", "mtu": 1500, "gpus": 4}},
    "engine": {"tp": 4, "pp": 1, "gpus": {"h2": 4}, "serve_host": "h2"},
}


def make(serving: bool, second: Any, **given: Any) -> Cluster:
    """Return a cluster of a head with a record, and a worker. given: settings without their prefix."""
    values = {"vllm_ray_model": "/srv/demo", **{f"vllm_ray_{name}": value for name, value in given.items()}}
    settings = _settings.check("-", values).values
    first = look(1, 2, host_record=RECORD, engine_serving=serving)
    absent = None if second else "timed out"
    return cluster_of(
        hosts := [Host("h1", ("head",), settings, first), Host("h2", (), settings, second, absent)], hosts[0]
    )


@pytest.mark.parametrize(
    ("serving", "given", "serve_host"),
    [
        pytest.param(False, {}, "h1", id="nothing-serves"),
        pytest.param(True, {}, "h2", id="what-serves-does-not-move"),
        pytest.param(True, {"restart": True}, "h1", id="with-consent-it-moves"),
        pytest.param(False, {"serve_host": "h2"}, "h2", id="as-wished"),
        pytest.param(False, {"serve_host": "h9"}, "h1", id="a-host-that-is-not-there"),
    ],
)
def test_where_the_engine_is_served(serving: bool, given: dict[str, Any], serve_host: str) -> None:
    assert make(serving, look(2), **given).serve_host == serve_host


def test_a_host_that_does_not_answer_is_known_by_the_record() -> None:
    cluster = make(True, None)
    assert cluster.addresses["h2"].nic == "eno2"
    assert cluster.offer() == {"h1": 2, "h2": 4}


def test_what_a_serving_engine_needs() -> None:
    assert make(True, look(2)).in_use == {"h1", "h2"}
    assert make(False, look(2)).in_use == set()
