# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.vllm_ray.cluster.plugins.filter.unit_network import FilterModule

unit_network: Any = FilterModule().filters()["unit_network"]


def test_it_returns_directives() -> None:
    assert unit_network(["192.0.2.11", "any"]) == ["IPAddressAllow=any"]
    assert unit_network(["192.0.2.11", ""]) == ["IPAddressAllow=192.0.2.11/32"]


def test_what_is_no_network_is_an_error_of_the_filter() -> None:
    with pytest.raises(AnsibleFilterError, match="gpu01"):
        unit_network(["gpu01"])
