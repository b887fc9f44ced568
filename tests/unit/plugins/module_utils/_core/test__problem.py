# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The form of a problem."""

from __future__ import annotations

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._problem import Problem


def test_a_problem_as_data() -> None:
    problem = Problem("gpu01", "port", "error", "taken", "free", "stop it")
    assert problem.as_dict() == {
        "host": "gpu01",
        "check": "port",
        "severity": "error",
        "found": "taken",
        "wanted": "free",
        "fix": "stop it",
    }


def test_its_texts_are_printable() -> None:
    problem = Problem("gpu01", "port", "error", "held by \x1b]0;x\x07", "a\rb", "a\u202eb")
    assert (problem.found, problem.wanted, problem.fix) == ("held by \\x1b]0;x\\x07", "a\\rb", "a\\u202eb")


def test_a_host_does_not_know_its_name() -> None:
    assert list(Problem("", "port", "error", "taken", "free", "").as_dict()) == [
        *("check", "severity", "found", "wanted", "fix")
    ]
