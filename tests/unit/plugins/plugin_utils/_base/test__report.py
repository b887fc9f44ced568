# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of checks in its three forms."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base import _report


def problem(
    host: str, check: str, severity: str, found: str, wanted: str = "another", fix: str = "mend it"
) -> dict[str, str]:
    return {"host": host, "check": check, "severity": severity, "found": found, "wanted": wanted, "fix": fix}


PORT = problem("gpu02", "port", "error", "port 6379 is held by redis-server (pid 812, user redis)", "free", "stop it")
MTU = problem("gpu10", "mtu", "warning", "MTU 1400", "9000 as on the others", "ip link set eth1 mtu 9000")
NOTE = problem("-", "firewall", "info", "port 6380 is closed", "open", "site.yml opens it")
CHECKS = [
    _report.Check("port", "host"),
    _report.Check("mtu", "network"),
    _report.Check("disk", "host", "off"),
    _report.Check("collective", "release", "not yet: there is no release"),
]


@pytest.mark.parametrize(
    ("problems", "worst", "text"),
    [
        ([], "none", "no problem"),
        ([NOTE], "info", "1 note"),
        ([NOTE, MTU, MTU], "warning", "2 warnings, 1 note"),
        ([MTU, PORT], "error", "1 error, 1 warning"),
    ],
)
def test_the_worst_and_the_count(problems: list[dict[str, str]], worst: str, text: str) -> None:
    assert _report.worst(problems) == worst
    assert _report.count(problems) == text


def test_warnings_stop_a_strict_run_alone() -> None:
    assert _report.fails([NOTE, MTU, PORT], strict=False) == [PORT]
    assert _report.fails([NOTE, MTU, PORT], strict=True) == [MTU, PORT]


def test_a_check_that_is_off_says_nothing() -> None:
    assert _report.without([PORT, MTU], ["mtu"]) == [PORT]


def test_the_table_has_errors_first_and_wraps() -> None:
    assert _report.problem_lines([MTU, PORT], width=64) == [
        "  ERROR    gpu02  port  port 6379 is held by redis-server (pid",
        "                        812, user redis)",
        "                        expected: free",
        "                        fix: stop it",
        "  WARNING  gpu10  mtu   MTU 1400",
        "                        expected: 9000 as on the others",
        "                        fix: ip link set eth1 mtu 9000",
    ]
    assert _report.problem_lines([]) == []


def test_what_was_checked() -> None:
    assert _report.check_lines(CHECKS) == [
        "  checked: port, mtu",
        "  off: disk",
        "  not yet: there is no release: collective",
    ]


def test_the_document_says_whether_the_run_passes() -> None:
    report = _report.document([MTU], CHECKS, strict=False, hosts={"gpu10": {}})
    assert (report["worst"], report["passed"], report["hosts"]) == ("warning", True, {"gpu10": {}})
    assert not _report.document([MTU], CHECKS, strict=True)["passed"]


def test_junit_has_a_case_per_check() -> None:
    root = ET.fromstring(_report.junit([PORT, MTU], CHECKS, strict=False).encode())
    suites = {suite.get("name"): suite for suite in root}
    assert [(s.get("name"), s.get("tests"), s.get("failures"), s.get("skipped")) for s in root] == [
        ("host", "2", "1", "1"),
        ("network", "1", "0", "0"),
        ("release", "1", "0", "1"),
    ]
    failure = suites["host"].find("testcase/failure")
    assert failure is not None
    assert (
        failure.text == "gpu02: port 6379 is held by redis-server (pid 812, user redis); expected: free; fix: stop it"
    )
    assert "MTU 1400" in (suites["network"].findtext("testcase/system-out") or "")


def test_what_others_named_is_printable_in_every_form() -> None:
    bad = problem("gpu01", "port", "error", "port 1 is held by \x1b[2J\r\u202ex\n  ERROR  gpu02", "a\x07", "\x1bc")
    check = [_report.Check("port", "host"), _report.Check("mtu", "host", "\x1bc")]
    lines = [*_report.problem_lines([bad]), *_report.check_lines(check)]
    assert all(line.isprintable() for line in lines)
    assert [line.split()[0] for line in lines if line.split()[0] == "ERROR"] == ["ERROR"]
    document = ET.fromstring(_report.junit([bad], check, strict=False))
    assert len(document.findall(".//failure")) == 1
