# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Words for sudoers. tests/integration asks sudo whether it reads the same."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.vllm_ray.cluster.plugins.filter.sudoers_value import FilterModule

sudoers_value: Any = FilterModule().filters()["sudoers_value"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("mlops", "mlops"),
        ("domain users", r"domain\ users"),
        ("a=b,c:d", r"a\=b\,c\:d"),
        ("DOM\\ops", r"DOM\\ops"),
        ("/usr/local/bin/vllm-ray", "/usr/local/bin/vllm-ray"),
    ],
)
def test_values(value: str, text: str) -> None:
    assert sudoers_value(value) == text


@pytest.mark.parametrize("value", ["", "a\nb", "#0", "%a", "-a", "a*", "a'b", "!a"])
def test_what_would_be_read_as_something_else_is_an_error(value: str) -> None:
    with pytest.raises(AnsibleFilterError, match="can't stand in"):
        sudoers_value(value)
