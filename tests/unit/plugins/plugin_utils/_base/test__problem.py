# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The form of a problem."""

from __future__ import annotations

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._problem import Problem


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
