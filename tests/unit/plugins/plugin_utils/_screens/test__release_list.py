# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which releases hosts have, as text, and to which of them a cluster goes back."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._screens import _release_list

NEW, OLD = "cpu-vllm0.32.0-py3.11.2-aaaa", "cpu-vllm0.31.0-py3.11.2-bbbb"


def release(id_: str, **changes: Any) -> Any:
    """Return what releases_info says of one."""
    return {
        "id": id_,
        "versions": {"vllm": "0.32.0", "ray": "2.60.0"},
        "python": {"version": "3.11.2"},
        "manifest": "5f2c3b0e1a2b3c4d",
        "bytes": 3_912_000_000,
        "since": 1795300000,
        "damaged": [],
        "current_of": [],
        "previous_of": [],
        "named_by": [],
        "processes": 0,
        **changes,
    }


def listed() -> dict[str, Any]:
    """Return a cluster that went from OLD to NEW, with a host that came later and one that does not answer."""
    new = release(NEW, current_of=["default"], named_by=["default"], processes=9)
    old = release(OLD, previous_of=["default"], since=1795200000)
    return {"h1": [new, old], "h2": [{**new, "since": 1795300060}, old], "h3": [new], "h4": None}


def screen(hosts: dict[str, Any]) -> str:
    return _release_list.screen(_release_list.summary("default", hosts))


def test_each_release_with_its_hosts() -> None:
    assert screen(listed()).splitlines() == [
        "",
        "Releases of the hosts of the cluster default",
        f"  {NEW}: vllm 0.32.0, ray 2.60.0, Python 3.11.2, 3.9 GB, since 2026-11-21 22:26 UTC, manifest 5f2c3b0e1a2b",
        "      h1  since 2026-11-21 22:26 UTC  current of default",
        "      h2  since 2026-11-21 22:27 UTC  current of default",
        "      h3  since 2026-11-21 22:26 UTC  current of default",
        f"  {OLD}: vllm 0.32.0, ray 2.60.0, Python 3.11.2, 3.9 GB, since 2026-11-20 18:40 UTC, manifest 5f2c3b0e1a2b",
        "      h1  since 2026-11-20 18:40 UTC  previous of default",
        "      h2  since 2026-11-20 18:40 UTC  previous of default",
        "      h3  not installed",
        "  h4 did not answer",
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "not in use"),
        ({"processes": 2}, "used by 2 processes"),
        ({"named_by": ["a", "b"], "current_of": ["a"], "processes": 5}, "current of a; named by files of b"),
    ],
)
def test_who_stands_on_it(changes: dict[str, Any], words: str) -> None:
    assert _release_list.uses(release(NEW, **changes)) == words


def test_hosts_without_any() -> None:
    assert screen({"h1": [], "h2": [release(NEW)]}).splitlines()[-2:] == [
        "      h2  since 2026-11-21 22:26 UTC  not in use",
        "  none on h1",
    ]


def test_what_is_wrong_names_host_and_value() -> None:
    hosts = listed()
    assert _release_list.problems("default", hosts) == []
    hosts["h2"] = [
        release(NEW, manifest="another", damaged=["bin/ray differs: content"]),
        release(OLD, current_of=["default"]),
    ]
    found = {(problem.host, problem.found): problem.wanted for problem in _release_list.problems("default", hosts)}
    assert found == {
        ("h2", f"1 files of {NEW} differ, first: bin/ray differs: content"): "the files of its manifest",
        ("h2", f"{NEW} has the manifest another"): "5f2c3b0e1a2b3c4d, as on other hosts",
        ("h2", f"current points to {OLD}"): f"{NEW}, as on other hosts",
    }
    assert "manifests differ" in screen(hosts)
    assert "vllm_ray_release_verify=full" in screen(hosts)


def test_a_cluster_goes_back_to_what_was_before_or_is_named() -> None:
    hosts = listed()
    assert _release_list.back_to("default", "h1", hosts, "") == (OLD, "")
    assert _release_list.back_to("default", "h1", hosts, NEW) == (NEW, "")
    for head, given, cluster in (("h3", "", "default"), ("h1", "cpu-0", "default"), ("h1", "", "other")):
        id_, why = _release_list.back_to(cluster, head, hosts, given)
        assert id_ == ""
        assert f"Available: {OLD}, {NEW}. Select one with -e vllm_ray_release_id=ID" in why


def test_the_turn_is_told() -> None:
    assert _release_list.turn("default", listed(), OLD).splitlines() == [
        "",
        f"The cluster default goes back to {OLD}",
        f"  from {NEW} on h1, h2, h3",
        "  and h3 copy it from other hosts",
    ]
    assert "which it already uses" in _release_list.turn("default", listed(), NEW)
