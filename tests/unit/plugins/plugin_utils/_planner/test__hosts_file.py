# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that are not there: by hand, and from a report."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _settings
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner import _hosts_file
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._hardware import Gpu, Link
from ansible_collections.vllm_ray.cluster.tests.unit.looks import look

ENTRY = {"name": "gpu", "gpus": 8, "gpu": "H100 80GB", "memory_gib": 80}


def settings(**given: Any) -> dict[str, Any]:
    return _settings.check("-", {"vllm_ray_model": "/m", **given}).values


def test_the_short_form() -> None:
    data = {"hosts": [{**ENTRY, "count": 2, "inside": "nvlink"}], "link": {"gbit": 400, "rdma": True}}
    found = _hosts_file.parse(data, settings())
    assert [host.name for host in found.hosts] == ["gpu-1", "gpu-2"]
    assert found.hosts[0].gpus == (Gpu("H100 80GB", 81920),) * 8
    assert (found.hosts[0].link_inside, found.link, found.note) == ("nvlink", Link(400, rdma=True), "")


def test_a_link_that_is_not_told() -> None:
    found = _hosts_file.parse({"hosts": [ENTRY]}, settings())
    assert (found.link, found.note) == (Link(10), "no link is given: assumed 10 Gbit/s")
    assert found.hosts[0].name == "gpu"


def test_a_report_of_preflight() -> None:
    found = _hosts_file.parse({"hosts": {"a": look(1, 2), "b": look(2, 2)}, "worst": "info"}, settings())
    assert [(host.name, len(host.gpus)) for host in found.hosts] == [("a", 2), ("b", 2)]
    assert found.link == Link(25)


def test_a_report_of_gpus_without_memory_of_their_own() -> None:
    report = {"hosts": {"spark": look(1, 1)}}
    report["hosts"]["spark"]["host"]["gpus"][0].update(memory_mib=0, reserved_mib=None)
    with pytest.raises(
        _hosts_file.HostsError, match="GPUs of spark report no memory size: write the hosts file by hand"
    ):
        _hosts_file.parse(report, settings())


def test_the_serve_host_comes_first() -> None:
    data = {"hosts": [ENTRY, {**ENTRY, "name": "big"}]}
    found = _hosts_file.parse(data, settings(vllm_ray_serve_host="big"))
    assert [host.name for host in found.hosts] == ["big", "gpu"]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (None, "it has no hosts"),
        ({"hosts": []}, "it has no hosts"),
        ({"hosts": [{**ENTRY, "memory": 80}]}, "memory. Supported parameters include"),
        ({"hosts": [{"name": "gpu", "gpus": 8}]}, "missing required arguments: gpu, memory_gib"),
        ({"hosts": [ENTRY, ENTRY]}, "two hosts have the same name"),
        ({"hosts": [{**ENTRY, "count": 0}]}, "count of gpu is 0, and must be at least 1"),
        ({"hosts": [{**ENTRY, "gpus": -1}]}, "gpus of gpu is -1, and must be at least 0"),
        ({"hosts": [{**ENTRY, "memory_gib": 0}]}, "memory_gib of gpu is 0, and must be at least 1"),
        ({"hosts": [ENTRY], "link": {"gbit": 0}}, "gbit of the link is 0, and must be at least 0.1"),
        ({"hosts": {"a": {"gpus": 8}}}, "it is not a report of preflight.yml: KeyError"),
    ],
)
def test_what_is_no_file_of_hosts(data: Any, why: str) -> None:
    with pytest.raises(_hosts_file.HostsError, match=why):
        _hosts_file.parse(data, settings())


def test_a_serve_host_that_is_not_there() -> None:
    with pytest.raises(_hosts_file.HostsError, match="vllm_ray_serve_host is big"):
        _hosts_file.parse({"hosts": [ENTRY]}, settings(vllm_ray_serve_host="big"))
