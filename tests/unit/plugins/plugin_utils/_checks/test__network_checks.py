# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reachability matrix of real hosts with planted faults."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks import _network_checks


@pytest.fixture
def folder(fixtures: Path) -> Path:
    return fixtures / "network"


def read(folder: Path, name: str) -> dict[str, Any]:
    answers: dict[str, Any] = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    return answers


def signs(answers: dict[str, Any]) -> list[str]:
    """Return the rows of the matrix without their headings."""
    return ["".join(line.split()[2:]) for line in _network_checks.matrix_lines(answers)[1 : len(answers) + 1]]


FAULTS = {
    "healthy": ("-... .-.. ..-. ...-", []),
    "taken": ("-... .-.. ..-. ...-", []),
    "dropped": (
        "-... x-.. ..-. ...-",
        [
            (
                "h1",
                "firewall",
                "error",
                "h2 -> h1: every port blocked (packets are dropped), while the way back is open",
            ),
        ],
    ),
    "out_dropped": (
        "-... x-xx ..-. ...-",
        [("h2", "firewall", "error", "h2 -> h1, h3, h4: every port blocked (packets are dropped), while the way back")],
    ),
    "rejected": (
        "-r.. r-.. rr-. rr.-",
        [
            ("h2", "firewall", "error", "h1, h3, h4 -> h2: port 8076 refused although it listens"),
            ("h1", "firewall", "error", "h2, h3, h4 -> h1: port 6379 refused although it listens"),
        ],
    ),
    "denied": (
        "-xxx x-xx xx-x xxx-",
        [
            ("h2", "firewall", "error", "h1, h3, h4 -> h2: every port blocked (packets are dropped)"),
            ("h3", "firewall", "error", "h1, h2, h4 -> h3: every port blocked (packets are dropped)"),
            ("h4", "firewall", "error", "h1, h2, h3 -> h4: every port blocked (packets are dropped)"),
            ("h1", "firewall", "error", "h2, h3, h4 -> h1: every port blocked (packets are dropped)"),
        ],
    ),
    "mtu": ("-... .-.. ..-. ...-", [("h3", "mtu", "warning", "MTU 1400 on eth1")]),
    "large_lost": (
        "-M.. M-MM .M-. .M.-",
        [("h2", "mtu", "error", "packets of more than 1450 bytes are lost on the way to and from h1, h3, h4")],
    ),
    "stalled": (
        "-S.. .-SS ..-. ...-",
        [("h2", "bandwidth", "error", "connections succeed, but a transfer stalls to h3, h4 and from h1")],
    ),
    "wrong_nic": (
        "-... .-.. ..-. N..-",
        [("h4", "route", "error", "packets to h1 leave by wlan0 with the source address 10.78.0.4")],
    ),
    # What h2 sends arrives, and the answers do not come back: that is no fault of h2's.
    "blackhole": ("-... .-.x ..-. .R.-", [("h4", "route", "error", "no route to h2")]),
    "nat": (
        "-... T-TT ..-. ...-",
        [("h2", "route", "error", "its packets reach h1 from 10.77.0.22, h3 from 10.77.0.22, h4 from 10.77.0.22")],
    ),
    "cut": ("-.L. .-L. LL-L ..L-", [("h3", "link", "error", "no answer on the link to and from h1, h2, h4")]),
    "slow": ("-.s. .-s. ss-s ..s-", [("h3", "bandwidth", "warning", "at most 0.1")]),
    "absent": (
        "-..? .-.? ..-? ???-",
        [("h4", "reachability", "warning", "did not take part in the test of the network")],
    ),
    "late": (
        "-??? ?-?? ??-? ???-",
        [("-", "reachability", "warning", "6 pairs of hosts were not tested, such as h1 and h2: Ansible ran them")],
    ),
    "ipv6": (
        "-r.. .-.. .r-. .r.-",
        [
            ("h3", "mtu", "warning", "MTU 1400 on eth1"),
            ("h2", "firewall", "error", "h1, h3, h4 -> h2: port 8076 refused although it listens (a reject), while"),
        ],
    ),
    # The router reports it to h1; packets of h2 are lost before the router.
    "router": ("-M M-", [("h1", "mtu", "error", "packets of more than 1400 bytes are lost on the way to and from h2")]),
}


def test_every_capture_is_judged(folder: Path) -> None:
    assert {path.stem for path in folder.glob("*.json")} == set(FAULTS)


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_and_nothing_else_is_found(folder: Path, name: str) -> None:
    matrix, wanted = FAULTS[name]
    answers = read(folder, name)
    problems = _network_checks.network_problems(answers, managed=False)
    assert signs(answers) == matrix.split()
    assert [(p.host, p.check, p.severity) for p in problems] == [
        (host, check, how) for host, check, how, _found in wanted
    ]
    for problem, (*_rest, found) in zip(problems, wanted):
        assert problem.found.startswith(found)
        assert problem.wanted
        assert problem.fix


def test_the_fix_of_a_dropped_packet_names_addresses_and_variable(folder: Path) -> None:
    (problem,) = _network_checks.network_problems(read(folder, "dropped"), managed=False)
    assert (
        "allow 10.77.0.2 on eth1 in the firewall of h1 or in one in front of it; vllm_ray_firewall=manage"
        in problem.fix
    )


def test_the_fix_of_an_mtu_can_be_pasted(folder: Path) -> None:
    (odd,) = _network_checks.network_problems(read(folder, "mtu"), managed=False)
    assert (odd.wanted, odd.fix.split(" (")[0]) == ("9000, as on h1, h2, h4", "ip link set dev eth1 mtu 9000")
    (lossy,) = _network_checks.network_problems(read(folder, "large_lost"), managed=False)
    assert lossy.fix.startswith("ip link set dev eth1 mtu 1450 on all hosts")


@pytest.mark.parametrize("name", ["denied", "dropped", "rejected", "out_dropped"])
def test_what_the_firewall_role_will_open_is_information(folder: Path, name: str) -> None:
    problems = _network_checks.network_problems(read(folder, name), managed=True)
    assert problems
    assert {(p.check, p.severity) for p in problems} == {("firewall", "info")}


@pytest.mark.parametrize("name", ["mtu", "wrong_nic", "blackhole", "cut", "absent"])
def test_what_it_will_not_open_stays_what_it_is(folder: Path, name: str) -> None:
    answers = read(folder, name)
    assert _network_checks.network_problems(answers, True) == _network_checks.network_problems(answers, False)


def test_a_way_that_a_router_tells_about_is_a_warning(folder: Path) -> None:
    answers = read(folder, "router")
    assert _network_checks.ways(answers)["h1", "h2"].reported
    # If the way back works, only the reported one is left.
    answers["h2"]["peers"]["h1"].update(largest_packet=9000, gbit_s=5)
    (problem,) = _network_checks.network_problems(answers, managed=False)
    assert problem.severity == "warning"
    assert "refused by a router on the way to h2" in problem.found


def test_why_a_host_took_no_part_is_told(folder: Path) -> None:
    answers = {**read(folder, "absent"), "h4": {"failed": True, "msg": "no Python"}}
    (problem,) = _network_checks.network_problems(answers, managed=False)
    assert problem.found == "did not take part in the test of the network: no Python"


def test_pairs_outside_a_sample_are_blank_and_counted(folder: Path) -> None:
    answers = read(folder, "healthy")
    del answers["h2"]["peers"]["h4"], answers["h4"]["peers"]["h2"]
    assert _network_checks.matrix_lines(answers)[2].split() == ["2", "h2", ".", "-", "."]
    (problem,) = _network_checks.network_problems(answers, managed=False)
    assert problem.severity == "info"
    assert problem.found == "a sample of 5 of 6 pairs of hosts was tested, among them all pairs with h1"


def test_lines(folder: Path) -> None:
    lines = _network_checks.matrix_lines(read(folder, "blackhole"))
    assert lines[:6] == [
        "         1 2 3 4",
        "  1  h1  - . . .",
        "  2  h2  . - . x",
        "  3  h3  . . - .",
        "  4  h4  . R . -",
        "  from row to column: . open (10), R no route (1), x blocked (dropped) (1)",
    ]
    assert lines[6].startswith("  one transfer: ")
    assert lines[7].startswith("  round trip: ")


def test_more_hosts_than_a_matrix_can_hold_are_counted(folder: Path) -> None:
    one = read(folder, "healthy")["h1"]
    many: Any = {f"h{number}": {**copy.deepcopy(one), "peers": {}} for number in range(40)}
    assert _network_checks.matrix_lines(many) == ["  from row to column: "]


def test_nobody_and_one_host_alone() -> None:
    assert _network_checks.network_problems({}, managed=False) == []
    assert _network_checks.network_problems({"h1": None}, managed=False)[0].host == "h1"


@pytest.mark.parametrize(
    ("pairs", "sides", "result"),
    [
        ([("a", "b"), ("c", "b")], ("in", "out"), [("b", "in")]),
        ([("a", "b"), ("a", "c")], ("in", "out"), [("a", "out")]),
        ([("a", "b")], ("in", "out"), [("b", "in")]),
        ([("a", "b"), ("b", "c")], ("",), [("b", "")]),
        ([("a", "b"), ("b", "c")], ("out",), [("a", "out"), ("b", "out")]),
        ([], ("in",), []),
    ],
)
def test_blame(pairs: list[tuple[str, str]], sides: tuple[str, ...], result: list[tuple[str, str]]) -> None:
    assert [(host, side) for host, side, _its in _network_checks.blame(pairs, sides)] == result


def test_a_wrong_answer_is_that_hosts_fault(folder: Path) -> None:
    answers = read(folder, "healthy")
    for name in ("h1", "h3"):
        answers[name]["peers"]["h2"]["wrong_answer"] = "'abc' instead of a rate in Gbit/s"
    (problem,) = _network_checks.network_problems(answers, managed=False)
    assert (problem.host, problem.check, problem.severity) == ("h2", "reachability", "error")
    assert (
        problem.found == "sent an answer to the network test that h1, h3 can't read: 'abc' instead of a rate in Gbit/s"
    )
