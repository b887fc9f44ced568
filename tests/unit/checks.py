# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the checks of one file, and compares the names of the problems with those that the check declares."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._problem import Problem
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks import _registry
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks._check import Need


def run(module: ModuleType, need: Need, given: Any) -> list[Problem]:
    """Return what the checks of a file find. given: a Target or a Cluster."""
    problems = []
    for check in _registry.declared(module):
        if check.needs is need:
            found = check(given)
            assert {problem.check for problem in found} <= set(check.names), check.names
            problems += found
    return problems
