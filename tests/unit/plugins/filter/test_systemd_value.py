# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values for units of systemd. tests/integration asks systemd whether it reads the same."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.vllm_ray.cluster.plugins.filter.systemd_value import FilterModule

systemd_value: Any = FilterModule().filters()["systemd_value"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("default", "default"),
        ("a b", "a b"),
        ("50%", "50%%"),
        ("größe", "größe"),
    ],
)
def test_values(value: str, text: str) -> None:
    assert systemd_value(value) == text


@pytest.mark.parametrize("value", ["a\nUser=root", "a\tb", " a", "a ", "a\\"])
def test_what_would_be_read_as_something_else_is_an_error(value: str) -> None:
    with pytest.raises(AnsibleFilterError, match="can't stand in"):
        systemd_value(value)


def test_a_program() -> None:
    assert systemd_value("/srv/a b%c/x.sh", quoted=True) == '"/srv/a b%%c/x.sh"'


@pytest.mark.parametrize("value", ['/a"b', "/a'b", "/a\\b"])
def test_what_systemd_takes_for_no_program_is_an_error(value: str) -> None:
    with pytest.raises(AnsibleFilterError, match="can't be a program"):
        systemd_value(value, quoted=True)
