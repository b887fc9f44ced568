# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All checks: found in every file that declares some, in one order, each name once."""

from __future__ import annotations

import re
from pathlib import Path

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks import _registry
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks._check import Need, Target
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _settings
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._cluster import cluster_of
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._host import Host
from ansible_collections.vllm_ray.cluster.tests.unit.looks import look

FOLDER = Path(_registry.__file__).parent


def host(seen: bool = True) -> Host:
    settings = _settings.check("gpu01", {"vllm_ray_model": "/srv/demo", "vllm_ray_state_root": f"/{'x' * 40}"}).values
    probe = look(1, host_pid1="tini", network_hostname_address="127.0.1.1")
    return Host("gpu01", ("head",), settings, probe if seen else None)


def test_every_declared_check_is_registered() -> None:
    counts = {path.stem: len(re.findall(r"(?m)^@check\(", path.read_text("utf-8"))) for path in FOLDER.glob("*.py")}
    files = {module.__name__.rpartition(".")[2] for module in _registry.MODULES}
    assert files == {name for name, count in counts.items() if count}
    assert len(_registry.CHECKS) == sum(counts.values()) > 30


def test_names_are_listed_in_the_order_of_the_checks() -> None:
    names = list(_registry.names())
    assert names.index("address") < names.index("hostname") < names.index("clock")
    assert _registry.names()["link"] is Need.NETWORK
    # The first declaration of a name counts: the probe shows the firewall before the network is tested.
    assert _registry.names()["firewall"] is Need.PROBE


def test_the_checks_of_a_host_run_in_order() -> None:
    assert [p.check for p in _registry.host_problems(Target(host()))] == ["systemd", "hostname", "path"]


def test_settings_are_checked_without_a_probe() -> None:
    assert [p.check for p in _registry.host_problems(Target(host(seen=False)))] == ["path"]


def test_the_checks_of_all_hosts_run() -> None:
    late = host()
    assert late.look
    late.look["host"]["time"] += 90
    assert [p.check for p in _registry.cluster_problems(cluster_of([late], late))] == ["clock"]


def test_every_name_of_a_problem_is_registered() -> None:
    """Users could not switch off a check that is not listed, and JUnit would not count it."""
    used = set()
    for path in sorted(FOLDER.parent.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        used |= set(re.findall(r"Problem\(\s*[\w.\"\'-]+,\s*\"(\w+)\",", text))
        used |= set(re.findall(r"\badd\(\"(\w+)\", \"(?:error|warning|info)\"", text))
    assert len(used) > 10
    assert used <= set(_registry.names())
