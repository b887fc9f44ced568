# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values for supervisor's configuration. tests/integration asks supervisor whether it reads the same."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.vllm_ray.cluster.plugins.filter.supervisor_value import FilterModule

supervisor_value: Any = FilterModule().filters()["supervisor_value"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("/srv/a", "/srv/a"),
        ("'/srv/a b'", "'/srv/a b'"),
        ("a;b#c", "a;b#c"),
    ],
)
def test_values(value: str, text: str) -> None:
    assert supervisor_value(value) == text


@pytest.mark.parametrize("value", ["a\ncommand=x", "a ;b", "#a", "a%b", "%(here)s", " a"])
def test_what_would_be_read_as_something_else_is_an_error(value: str) -> None:
    with pytest.raises(AnsibleFilterError, match="can't stand in"):
        supervisor_value(value)
