# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a support bundle consists of besides the parts of its hosts. PRIVATE to the collection."""

from __future__ import annotations

import json
import re
import typing as t
from dataclasses import replace

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _redact
from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _support
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base import _report
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks import _parity
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._screens import _screen, _status

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _look
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import Answer, Answers, Registered
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._plans._types import Plan

    Looks = Mapping[str, _look.Look | None]


# Names of logs of Ray and of units have no other characters.
MEMBER_PART = re.compile(r"[A-Za-z0-9_@+=,:%~-][A-Za-z0-9._@+=,:%~-]{0,199}")


def is_member_name(name: str) -> bool:
    """Return whether a file of a host's part may have a name: one that leads out of the bundle's folder may not."""
    parts = name.split("/")
    return len(parts) <= 8 and all(MEMBER_PART.fullmatch(part) for part in parts)


def folder_name(cluster: str, when: str) -> str:
    """Return the name of a bundle, and of the folder in it. when: such as 20261121T180501."""
    return f"vllm-ray-support-{cluster}-{when}"


def why_absent(answer: Answer | Registered | None) -> str:
    """Return why there is nothing of a host, from what one of its tasks returned."""
    if not answer:
        return "left out by --limit, or a task before it failed"
    message = str(answer.get("msg", "")).strip().splitlines() or ["no reason was given"]
    return f"unreachable: {message[-1]}" if answer.get("unreachable") else message[0]


def missing(names: Sequence[str], looks: Mapping[str, Registered | None], parts: Answers, plan: Answer) -> list[str]:
    """Return what a bundle lacks of each host, and of all. looks, parts, plan: what the tasks returned, whatever came
    of them.
    """
    lines = [] if "plan" in plan else [f"plan: {why_absent(plan)}"]
    for name in names:
        look: Registered = looks.get(name) or {}
        part = parts.get(name) or {}
        if not look.get("host"):
            lines.append(f"{name}: look: {why_absent(look)}")
        if not part.get("path"):
            lines.append(f"{name}: everything else: {why_absent(look if look.get('unreachable') else part)}")
        lines += [f"{name}: {line}" for line in part.get("missing", [])]
    return lines


def problems_text(plan: Plan, problems: Sequence[Mapping[str, str]], looks: Looks) -> str:
    """Return plan, problems and what hosts have in common, as text. looks: with details."""
    there = {name: look for name, look in looks.items() if look}
    releases = {name: look["details"]["release"] for name, look in there.items() if look.get("details")}
    matrix = _parity.matrix(there, releases)
    found = [*problems, *(problem.as_dict() for problem in _parity.problems(matrix))]
    lines = ["Hosts (* differs from most):", *_parity.lines(matrix, list(there), _report.WIDTH), ""]
    lines += [_report.count(found), *_report.problem_lines(found), _screen.render(replace(plan, problems=[]))]
    return "\n".join(lines) + "\n"


def documents(
    plan: Plan,
    problems: Sequence[Mapping[str, str]],
    looks: Looks,
    settings: Mapping[str, Mapping[str, t.Any]],
    versions: Mapping[str, str],
    lacking: Sequence[str],
    secrets: Sequence[str],
) -> dict[str, str]:
    """Return {name: text} of what the controller adds, without secrets.

    settings: checked variables by host. versions: of what runs on the controller. secrets: those that it knows.
    """
    redactor = _redact.Redactor(secrets)
    summary = _status.summary(plan, list(looks), looks, problems)
    data = {
        "status.json": summary,
        "plan.json": plan.as_dict(),
        "looks.json": looks,
        "settings.json": {
            host: {**own, "vllm_ray_env": redactor.environment(own.get("vllm_ray_env") or {})}
            for host, own in settings.items()
        },
        "controller.json": versions,
    }
    texts = {
        "status.txt": _status.screen(summary) + "\n",
        "problems.txt": problems_text(plan, problems, looks),
        "MISSING": _support.missing_text(lacking),
    }
    redacted = {name: json.dumps(redactor.tree(tree), indent=2, sort_keys=True) + "\n" for name, tree in data.items()}
    return {**redacted, **{name: redactor.text(text) for name, text in texts.items()}}
