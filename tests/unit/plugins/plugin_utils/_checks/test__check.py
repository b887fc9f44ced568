# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a check is declared, and what it gets."""

from __future__ import annotations

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._problem import Problem
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks._check import STAGES, Need, Target, check
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._host import Host


@check("door", "window", needs=Need.PROBE)
def check_openings(target: Target) -> list[Problem]:
    return [Problem(target.name, "door", "error", "open", "closed", f"close {name}") for name in target.settings]


def test_a_declared_function_is_still_a_function() -> None:
    assert (check_openings.names, check_openings.needs) == (("door", "window"), Need.PROBE)
    [problem] = check_openings(Target(Host("gpu01", (), {"it": 1})))
    assert (problem.host, problem.fix) == ("gpu01", "close it")


def test_what_checks_need_belongs_to_a_stage() -> None:
    assert {need.stage for need in Need} == set(STAGES)


def test_a_host_that_was_not_probed_has_no_probe() -> None:
    gone = Target(Host("gone", (), {}))
    with pytest.raises(ValueError, match="gone was not probed"):
        assert gone.look
