# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tasks registered, and which of it is an answer."""

from __future__ import annotations

from typing import Any

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import answer, answers, probes


def test_answers_of_tasks_that_came_to_nothing_are_none() -> None:
    assert answer([None, {"failed": True}]) is None
    assert answer([{"skipped": True}, {"peers": {}}]) == {"peers": {}}
    assert answer([{"unreachable": True}]) is None


def test_each_host_has_its_own() -> None:
    hostvars: Any = {
        "a": {"gathered": {"skipped": True}, "started": {"peers": {}}},
        "b": {"gathered": {"peers": {"a": 1}}},
        "c": {},
    }
    found = answers(hostvars, hostvars, ["gathered", "started"])
    assert found == {"a": {"peers": {}}, "b": {"peers": {"a": 1}}, "c": None}


SKIPPED: Any = {"skipped": True}
RECORD: Any = {"host": {}, "last_server": "b"}


def test_hosts_outside_of_limit_are_known_by_the_probes_of_others() -> None:
    hostvars: Any = {"a": {}, "b": {}, "c": {"look": {"host": {}}}}
    down: Any = {"unreached": True, "msg": "timed out"}
    found = probes(hostvars, ["a", "b", "c"], "look", RECORD, down)
    assert found == {"a": RECORD, "b": {**down, "unreachable": True}, "c": {"host": {}}}
    # A task that must not fail says so by what it lacks.
    broken: Any = {"failed": False, "msg": "no Python"}
    assert probes(hostvars, ["a", "b"], "look", RECORD, broken)["b"] == {"failed": True, "msg": "no Python"}
    # Nobody else's probe is that of a host that the record does not name, and a skipped task made none.
    assert probes(hostvars, ["a", "c"], "look", SKIPPED, down) == {"a": None, "c": {"host": {}}}
    hostvars["a"]["look"] = RECORD
    assert probes(hostvars, ["a", "b"], "look", None, SKIPPED) == {"a": RECORD, "b": None}
    assert probes({}, [], "look", RECORD) == {}
