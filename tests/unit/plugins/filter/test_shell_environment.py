# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Environment variables for a shell."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.vllm_ray.cluster.plugins.filter.shell_environment import FilterModule

shell_environment: Any = FilterModule().filters()["shell_environment"]


@pytest.mark.parametrize(
    ("variables", "text"),
    [
        pytest.param({}, "", id="none"),
        pytest.param({"B": "2", "A": 1}, "A=1\nB=2\n", id="sorted"),
        pytest.param({"A": "b c"}, "A='b c'\n", id="blank"),
        pytest.param({"A": ""}, "A=''\n", id="empty"),
        pytest.param({"A": "$(reboot) `x` ;"}, "A='$(reboot) `x` ;'\n", id="nothing-is-run"),
    ],
)
def test_lines(variables: dict[str, Any], text: str) -> None:
    assert shell_environment(variables) == text


@pytest.mark.parametrize(
    "variables",
    [{"A;touch /tmp/x;B": 1}, {"1A": 1}, {"": 1}, {"A B": 1}, {"A\n": 1}, {"A-B": 1}, {"A": "a\0b"}],
    ids=["code", "digit", "empty", "space", "line break", "dash", "NUL"],
)
def test_what_a_shell_would_not_take_is_an_error(variables: dict[str, Any]) -> None:
    with pytest.raises(AnsibleFilterError, match="can't stand in an environment"):
        shell_environment(variables)


def test_a_shell_reads_back_what_was_given() -> None:
    value = 'it\'s "this"\nand that'
    assert shlex.split(shell_environment({"A": value})) == [f"A={value}"]
