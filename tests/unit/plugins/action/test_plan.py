# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the plan hands to the hosts."""

from __future__ import annotations

from typing import Any

from ansible_collections.vllm_ray.cluster.plugins.action.plan import planned_hosts
from ansible_collections.vllm_ray.cluster.tests.unit import plans

VARIABLES: Any = {"hostvars": {"gpu01": {}, "gpu02": {}}, "ansible_play_hosts_all": ["gpu01", "gpu02"]}


def handed_out(*names: str) -> list[object]:
    hosts: dict[str, dict[str, object]] = {name: {} for name in names}
    peers = {"gpu01": "192.0.2.11", "gpu02": "192.0.2.12"}
    whole = plans.plan({"engine": {"endpoint": {}}, "hosts": hosts, "peers": peers}).whole
    assert whole is not None
    return [host["name"] for host in planned_hosts(whole, {}, VARIABLES, {})]


def test_without_the_head_nothing_is_handed_out() -> None:
    assert handed_out("gpu01", "gpu02") == ["gpu01", "gpu02"]
    assert handed_out("gpu02") == []
