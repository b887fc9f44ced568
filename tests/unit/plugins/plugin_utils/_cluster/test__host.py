# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows from a host's settings and look alone."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._accelerator import ACCELERATORS
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _host, _settings

GPUS: Any = {"host": {"gpus": [{"index": 0}, {"index": 1}, {"index": 2}]}}


def host(look: Any = None, **given: Any) -> _host.Host:
    values = {f"vllm_ray_{name}": value for name, value in given.items()}
    settings = _settings.check("-", {"vllm_ray_model": "/srv/demo", **values}).values
    return _host.Host("gpu01", ("head",), settings, look)


def test_units_carry_the_name_of_the_cluster() -> None:
    assert _host.unit_names("a") == ("vllm-ray-node@a", "vllm-ray-serve@a-main")


def test_where_the_release_is() -> None:
    there = {"host": {"release": "cpu-1", "home": "/home/me"}}
    assert _host.release_path(host(there)) == "/opt/vllm-ray/releases/cpu-1"
    assert _host.release_path(host(there, scope="user")) == "/home/me/.vllm-ray/releases/cpu-1"
    assert _host.release_path(host(there, release_path="/opt/mine")) == "/opt/mine"
    # Nothing is there yet, or it is unknown.
    for look in (None, {"host": {"release": "", "home": "/root"}}):
        assert _host.release_path(host(look)) == "/etc/vllm-ray/default/current"


@pytest.mark.parametrize("name", ["max-model-len", "--max-model-len", "max_model_len"])
def test_options_are_named_as_long_flags(name: str) -> None:
    assert _host.serve_args(host(serve_args={name: 1}).settings) == {"max-model-len": 1}


@pytest.mark.parametrize(
    ("given", "port"),
    [({}, 8000), ({"api_port": 8001}, 8001), ({"api_port": 8001, "serve_args": {"port": 8002}}, 8002)],
)
def test_the_port_of_the_api(given: dict[str, Any], port: int) -> None:
    assert _host.api_port(host(**given).settings) == port


def test_ports_name_their_variable() -> None:
    settings = host(gcs_port=7000).settings
    worker, head, serves = (_host.ports(settings, *flags) for flags in ((False, False), (True, False), (False, True)))
    assert 7000 not in worker
    assert head[7000] == "vllm_ray_gcs_port"
    assert serves[8000] == "vllm_ray_api_port"
    assert worker[52365] == "vllm_ray_dashboard_agent_port"


def test_metrics_of_vllm_are_on_the_port_of_the_api() -> None:
    settings = host().settings
    assert _host.metrics_ports(settings, False, False) == [6384]
    assert _host.metrics_ports(settings, True, True) == [6384, 44217, 44227, 8000]


@pytest.mark.parametrize(
    ("kind", "given", "known", "indices"),
    [
        pytest.param("cpu", {}, 0, [0], id="a CPU host counts as one GPU"),
        pytest.param("cuda", {}, 0, [0, 1, 2], id="all"),
        pytest.param("cuda", {"gpus": [2, 0]}, 9, [0, 2], id="some"),
    ],
)
def test_gpus(kind: str, given: dict[str, Any], known: int, indices: list[int]) -> None:
    assert _host.gpu_indices(host(GPUS, **given), ACCELERATORS[kind], known) == indices


@pytest.mark.parametrize(
    ("look", "wish", "kind"),
    [(GPUS, "auto", "cuda"), ({"host": {"gpus": []}}, "auto", "cpu"), (GPUS, "cpu", "cpu"), (None, "auto", "cpu")],
)
def test_the_accelerator(look: dict[str, Any] | None, wish: str, kind: str) -> None:
    assert _host.accelerator_of(host(look, accelerator=wish)).name == kind


def test_the_state_of_the_engines_service() -> None:
    look = {"usage": {"services": {"vllm-ray-serve@default-main": "active"}}}
    assert (_host.serve_state(host(look)), _host.serve_state(host())) == ("active", None)


@pytest.mark.parametrize(
    ("bound", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8265"),
        ("0.0.0.0", "http://127.0.0.1:8265"),
        ("192.0.2.11", "http://192.0.2.11:8265"),
        ("fd42::b", "http://[fd42::b]:8265"),
    ],
)
def test_the_dashboard_is_asked_where_it_listens(bound: str, url: str) -> None:
    assert _host.dashboard_url(host(None, dashboard_host=bound).settings) == url
