# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was checked and what is wrong: for people, as JSON and as JUnit. PRIVATE to the collection."""

from __future__ import annotations

import textwrap
import typing as t
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import asdict, dataclass

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._plain import plain

if t.TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    Problems = Sequence[Mapping[str, str]]

SEVERITIES = ("error", "warning", "info")
# Columns of a terminal that nobody has made wider.
WIDTH = 120


@dataclass(frozen=True)
class Check:
    """One kind of check. stage: host, network or release; state: done, off, or why it has not been made."""

    name: str
    stage: str
    state: str = "done"


def worst(problems: Problems) -> str:
    """Return the worst severity, V(none) where there is no problem."""
    found = {problem["severity"] for problem in problems}
    return next((severity for severity in SEVERITIES if severity in found), "none")


def without(problems: Problems, checks: Collection[str]) -> list[Mapping[str, str]]:
    """Leave out the problems of checks that the user switched off."""
    return [problem for problem in problems if problem["check"] not in checks]


def fails(problems: Problems, strict: bool) -> list[Mapping[str, str]]:
    """Return the problems that stop a run."""
    stopping = SEVERITIES[: 2 if strict else 1]
    return [problem for problem in problems if problem["severity"] in stopping]


def count(problems: Problems) -> str:
    """Return how many problems there are, such as `2 errors, 1 warning`."""
    numbers = Counter(problem["severity"] for problem in problems)
    plural = {"error": "errors", "warning": "warnings", "info": "notes"}
    single = {**{severity: severity for severity in SEVERITIES}, "info": "note"}
    parts = [
        f"{numbers[severity]} {(single if numbers[severity] == 1 else plural)[severity]}"
        for severity in SEVERITIES
        if numbers[severity]
    ]
    return ", ".join(parts) or "no problem"


def problem_lines(problems: Problems, width: int = WIDTH) -> list[str]:
    """Return a table of problems, errors first: what was found, what is expected, what fixes it."""
    printable = [{name: plain(text) for name, text in problem.items()} for problem in problems]
    ordered = sorted(printable, key=lambda problem: SEVERITIES.index(problem["severity"]))
    columns = [[p["severity"].upper() for p in ordered], [p["host"] for p in ordered], [p["check"] for p in ordered]]
    widths = [max(map(len, column), default=0) for column in columns]
    lines = []
    for problem, *cells in zip(ordered, *columns):
        head = "  " + "  ".join(cell.ljust(size) for cell, size in zip(cells, widths)) + "  "
        margin = " " * len(head)
        for label, text in (("", problem["found"]), ("expected: ", problem["wanted"]), ("fix: ", problem["fix"])):
            wrapped = textwrap.wrap(
                f"{label}{text}",
                max(40, width - len(head)),
                subsequent_indent=" " * len(label),
                break_long_words=False,
                break_on_hyphens=False,
            )
            lines += [f"{head if not label and not row else margin}{line}" for row, line in enumerate(wrapped)]
    return lines


def check_lines(checks: Sequence[Check], width: int = WIDTH) -> list[str]:
    """Return which checks were made, which were left out and why."""
    groups: dict[str, list[str]] = {}
    for check in checks:
        groups.setdefault("checked" if check.state == "done" else plain(check.state), []).append(check.name)
    lines = []
    for state, names in groups.items():
        lines += textwrap.wrap(f"{state}: {', '.join(names)}", width - 2, initial_indent="  ", subsequent_indent="    ")
    return lines


def document(problems: Problems, checks: Sequence[Check], strict: bool, **facts: object) -> dict[str, object]:
    """Return the report for programs. facts: what else it holds, such as hosts and the matrices."""
    return {
        "worst": worst(problems),
        "passed": not fails(problems, strict),
        "problems": [dict(problem) for problem in problems],
        "checks": [asdict(check) for check in checks],
        **facts,
    }


def junit(problems: Problems, checks: Sequence[Check], strict: bool, name: str = "preflight") -> str:
    """Return the report as JUnit: a suite per stage, a case per check; one with problems of its own fails."""
    root = ET.Element("testsuites", name=name)
    for stage in dict.fromkeys(check.stage for check in checks):
        here = [check for check in checks if check.stage == stage]
        suite = ET.SubElement(root, "testsuite", name=stage, tests=str(len(here)))
        failed = 0
        for check in here:
            case = ET.SubElement(suite, "testcase", classname=f"{name}.{stage}", name=check.name)
            own = [problem for problem in problems if problem["check"] == check.name]
            stopping = fails(own, strict)
            if check.state != "done":
                ET.SubElement(case, "skipped", message=plain(check.state))
            elif stopping:
                failed += 1
                text = "\n".join(
                    plain(f"{p['host']}: {p['found']}; expected: {p['wanted']}; fix: {p['fix']}") for p in stopping
                )
                ET.SubElement(case, "failure", message=f"{count(stopping)}").text = text
            rest = [problem for problem in own if problem not in stopping]
            if rest:
                ET.SubElement(case, "system-out").text = "\n".join(problem_lines(rest))
        suite.set("failures", str(failed))
        suite.set("skipped", str(sum(check.state != "done" for check in here)))
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"
