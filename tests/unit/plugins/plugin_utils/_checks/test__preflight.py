# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all checks found, put together; the network's answers are captured ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks import _parity, _preflight
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._plans._stages import Stage
from ansible_collections.vllm_ray.cluster.tests.unit.looks import look

SETTINGS: dict[str, Any] = {"vllm_ray_firewall": "manage", "vllm_ray_scope": "system", "vllm_ray_checks_off": []}
REACH = {"host": "gpu02", "check": "reach", "severity": "error", "found": "unreachable", "wanted": "x", "fix": "y"}
CONTACT = {**REACH, "check": "ssh", "found": "the port is closed"}
ONE = {"gpu01": look(1)}
NO_LAYOUT = Stage([], [], "not yet, there is no layout")
LEFT_OUT = Stage([], [], "left out, the engine serves")
RELEASE = {"python": {"version": "3.11.2"}, "versions": {"vllm": "0.32.0"}}


def gather(
    looks: Any,
    networks: Any = None,
    releases: Any = None,
    ssh: Any = (),
    plan: Any = (),
    parser: Stage = NO_LAYOUT,
    collective: Stage = LEFT_OUT,
    worked: Any = None,
    **more: Any,
) -> Any:
    return _preflight.gather(
        list(looks),
        {"problems": list(ssh)},
        {"problems": list(plan), "worked": worked},
        looks,
        networks or {},
        releases or {},
        parser,
        collective,
        {**SETTINGS, **more},
    )


def states(found: Any) -> dict[str, str]:
    return {check.name: check.state for check in found.checks}


def test_one_healthy_host_before_anything_is_deployed() -> None:
    found = gather(ONE)
    assert found.problems == []
    assert (states(found)["disk"], states(found)["link"]) == ("done", "not yet, it needs two hosts that answer")
    assert states(found)["release"] == "not yet, there is no release"
    assert states(found)["changes"] == "not yet, no run has succeeded"
    assert states(found)["collective"] == "left out, the engine serves"


@pytest.mark.parametrize(
    ("versions", "path", "told"),
    [({"vllm": "0.32.0"}, "", True), ({}, "", False), ({}, "/srv/env", True)],
    ids=["a release", "none yet", "one of the user's own"],
)
def test_what_a_release_lacks_is_told(versions: dict[str, str], path: str, told: bool) -> None:
    lack = {"check": "package", "severity": "error", "found": "missing: gcc", "wanted": "it", "fix": "install it"}
    release = {**RELEASE, "versions": versions, "problems": [lack]}
    found = gather(ONE, releases={"gpu01": release}, vllm_ray_release_path=path)
    assert found.problems == ([{"host": "gpu01", **lack}] if told else [])
    assert (states(found)["package"] == "done") is told


def test_the_first_contact_tells_more_than_that_a_host_was_not_reached() -> None:
    found = gather({**ONE, "gpu02": None}, ssh=[CONTACT], plan=[REACH])
    assert [problem["found"] for problem in found.problems] == ["the port is closed"]
    # A host that only the look could not reach keeps its problem.
    assert gather({**ONE, "gpu02": None}, plan=[REACH]).problems == [REACH]


def test_a_check_that_is_off_is_named_as_off() -> None:
    found = gather(ONE, plan=[REACH], vllm_ray_checks_off=["reach"])
    assert found.problems == []
    assert states(found)["reach"] == "off"


def test_the_odd_release_is_a_problem() -> None:
    other = {**RELEASE, "versions": {"vllm": "0.31.0"}}
    looks = {"gpu01": look(1), "gpu02": look(2), "gpu03": look(3)}
    found = gather(looks, releases={"gpu01": RELEASE, "gpu02": other, "gpu03": RELEASE})
    assert [(p["host"], p["check"], p["found"]) for p in found.problems] == [("gpu02", "parity", "vllm 0.31.0")]
    assert states(found)["release"] == "done"


def test_what_the_hosts_found_between_them(fixtures: Path) -> None:
    answers = json.loads((fixtures / "network" / "mtu.json").read_text(encoding="utf-8"))
    looks = {name: look(number) for number, name in enumerate(answers, 1)}
    found = gather(looks, networks=answers)
    assert {problem["check"] for problem in found.problems} & {"reachability", "link", "bandwidth", "mtu"}
    assert states(found)["link"] == "done"
    assert "PREFLIGHT: " in _preflight.screen(found, 120)


def test_a_fault_that_several_checks_see_is_told_once(fixtures: Path) -> None:
    answers = json.loads((fixtures / "network" / "mtu.json").read_text(encoding="utf-8"))
    looks = {name: look(number) for number, name in enumerate(answers, 1)}
    for name, answer in answers.items():
        looks[name]["network"]["cluster_nic"]["mtu"] = answer["mtu"]
    odd = next(p["host"] for p in gather(looks, networks=answers).problems if p["check"] == "mtu")
    seen = {**REACH, "host": odd, "check": "mtu", "found": "as the look has it"}
    found = gather(looks, networks=answers, plan=[seen]).problems
    assert [(p["host"], p["found"]) for p in found] == [(odd, "MTU 1400 on eth1")]
    # Without a test of the network, what the look has is all there is.
    assert seen in gather(looks, plan=[seen]).problems


def test_of_options_the_release_has_the_last_word() -> None:
    guess = {**REACH, "host": "gpu01", "check": "option", "severity": "warning"}
    refused = {**guess, "check": "parser", "severity": "error"}
    assert gather(ONE, plan=[guess]).problems == [guess]
    found = gather(ONE, plan=[guess], parser=Stage([refused], []))
    assert (found.problems, states(found)["parser"]) == ([refused], "done")
    # An older release of the user's own may take what newer ones do not.
    assert gather(ONE, plan=[guess], parser=Stage([], [])).problems == []


def test_what_the_ranks_did_together() -> None:
    wrong = {**REACH, "check": "collective"}
    found = gather(ONE, collective=Stage([wrong], ["  all-reduce over 2 ranks"]))
    assert (found.problems, states(found)["collective"]) == ([wrong], "done")
    assert "  all-reduce over 2 ranks" in found.lines


def test_what_changed_since_it_worked() -> None:
    kernels = {"gpu01": "6.1.0-49-amd64"}
    found = gather(ONE, worked={**_parity.matrix(ONE, {}), "kernel": kernels})
    line = "kernel: 6.1.0-49-amd64 -> 6.1.0-50-amd64 on gpu01"
    assert [(p["check"], p["severity"], p["found"]) for p in found.problems] == [("changes", "info", line)]
    assert found.changes == [line]
    assert found.lines[-3:] == ["", "Since the last good run:", f"  {line}"]
    assert states(found)["changes"] == "done"


def test_the_clocks_are_a_row_that_no_good_run_records() -> None:
    late = look(2, host_time=look(2)["host"]["time"] + 90)
    found = gather({**ONE, "gpu02": late}, worked=_parity.matrix({**ONE, "gpu02": look(2)}, {}))
    assert found.parity["time"] == {"gpu01": "0 s", "gpu02": "+90 s"}
    assert found.changes == []
    assert any(line.split() == ["time", "0", "s", "+90", "s*"] for line in found.lines)


def test_what_is_as_it_was_is_said_too() -> None:
    found = gather(ONE, worked=_parity.matrix(ONE, {}))
    assert (found.problems, found.changes) == ([], [])
    assert found.lines[-1] == "  none of these values changed"
