# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Combines the results of all checks. PRIVATE to the collection."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base import _report
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks import _host_checks, _parity
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._plans import _stages

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Answers = Mapping[str, Mapping[str, t.Any] | None]

# Names of checks by the stage that has what they need. A problem carries the name of its check.
STAGES = {
    "host": (
        "ssh", "sudo", "python", "machine", "reach", "inventory", "variable", "option", "env", "protection", "path",
        "systemd", "os", "address", "route", "nic", "rdma", "memlock", "hostname", "clock", "mtu", "port", "firewall",
        "tls", "ray", "account", "bundle", "leftovers", "driver", "gpu", "gpu_memory", "shared_memory", "disk", "model",
        "layout", "parity", "record", "rotation", "changes",
    ),
    "network": ("reachability", "link", "bandwidth"),
    "release": ("release", "package", "parser", "collective"),
}  # fmt: skip
# Checks of a look that the test between hosts makes again, and better.
RETESTED = ("mtu", "route")


@dataclass(frozen=True)
class Found:
    """Problems, checks, the parity matrix, what changed in it since the last good run, and lines that show it all."""

    problems: list[Mapping[str, str]]
    checks: list[_report.Check]
    parity: Mapping[str, Mapping[str, str]]
    changes: list[str]
    lines: list[str]


def gather(
    names: Sequence[str],
    ssh: Mapping[str, t.Any],
    plan: Mapping[str, t.Any],
    looks: Answers,
    networks: Answers,
    releases: Answers,
    parser: _stages.Stage,
    collective: _stages.Stage,
    settings: Mapping[str, t.Any],
) -> Found:
    """Put together what was found. ssh, plan: results of ssh_info and plan; the others by host, None where a host gave
    no answer; parser, collective: as they were judged; settings: of the cluster.
    """
    unreached = {problem["host"] for problem in ssh.get("problems", [])}
    there = {name: look for name, look in looks.items() if look}
    ready = {name: release for name, release in releases.items() if release and release.get("versions")}
    matrix, worked = _parity.matrix(there, ready), plan.get("worked") or {}
    changes = _parity.since(worked, matrix, names, list(there)) if worked else []
    # A row that moves by itself: a good run does not record it.
    matrix = {**matrix, "time": _host_checks.clock_row(there)}
    managed = settings.get("vllm_ray_firewall") == "manage" and settings.get("vllm_ray_scope") == "system"
    tested = {name: networks.get(name) for name in there}
    network = _stages.network(tested, managed)
    # Each fault is reported once, by the check that knows most: the first contact for silent hosts, the test
    # between hosts for packets and routes, the release's own parser for options.
    better = {(host, "reach") for host in unreached}
    better |= {(host, "option") for host in names if parser.state == "done"}
    better |= {
        (name, check) for check in RETESTED for name, answer in tested.items() if network.state == "done" and answer
    }
    looked = [p for p in plan["problems"] if (p["host"], p["check"]) not in better]
    # Before the first deploy there is no release of ours, and nothing is wrong with that.
    given = releases if settings.get("vllm_ray_release_path") else ready
    lacks = [
        {"host": name, **entry} for name, release in given.items() for entry in (release or {}).get("problems", [])
    ]
    problems = [*ssh.get("problems", []), *looked, *lacks, *network.problems, *parser.problems, *collective.problems]
    told = {(problem["host"], problem["check"]) for problem in problems}
    problems += [problem.as_dict() for problem in (*_parity.problems(matrix, told), *_parity.changed(changes))]
    off = settings.get("vllm_ray_checks_off") or []
    states = dict.fromkeys(STAGES["network"], network.state)
    states["release"] = states["package"] = "done" if ready or lacks else "not yet, there is no release"
    states["parser"] = parser.state
    states["collective"] = collective.state
    states["changes"] = "done" if worked else "not yet, no run has succeeded"
    checks = [
        _report.Check(name, stage, "off" if name in off else states.get(name, "done"))
        for stage, listed in STAGES.items()
        for name in listed
    ]
    shown = [name for name in names if name in there]
    lines = ["", "Hosts (* differs from most):", *_parity.lines(matrix, shown, _report.WIDTH)]
    if worked:
        lines += [
            "",
            "Since the last good run:",
            *(f"  {line}" for line in changes or ["none of these values changed"]),
        ]
    for part in (network.lines, collective.lines):
        lines += ["", *part] if part else []
    return Found(_report.without(problems, off), checks, matrix, changes, lines)


def screen(found: Found, width: int) -> str:
    """Return what a run of all checks shows."""
    title = f"PREFLIGHT: {_report.count(found.problems)}"
    table = _report.problem_lines(found.problems, width)
    lines = ["", *found.lines, "", title, *table, *_report.check_lines(found.checks, width)]
    return "\n".join(lines)
