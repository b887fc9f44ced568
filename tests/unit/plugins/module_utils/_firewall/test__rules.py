# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What rules cover, whatever tool keeps them."""

from __future__ import annotations

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall import _rules
from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall._rules import Rule


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("10.0.0.5/32", "10.0.0.5"),
        ("10.0.0.5/24", "10.0.0.0/24"),
        ("fd42:0::5/128", "fd42::5"),
        ("::/0", "::/0"),
    ],
)
def test_addresses_are_as_ufw_writes_them(given: str, wanted: str) -> None:
    assert _rules.normal_address(given) == wanted


@pytest.mark.parametrize(
    ("one", "two", "wanted"),
    [
        (Rule(False, dport="80"), Rule(False, dport="80,443", proto="tcp"), True),
        (Rule(False, dport="80", proto="udp"), Rule(False, dport="80", proto="tcp"), False),
        (Rule(False, dport="1:100"), Rule(False, dport="50:60"), True),
        (Rule(False, dport="1:40"), Rule(False, dport="50:60"), False),
        (Rule(False, src="10.0.0.0/8"), Rule(False, src="10.1.2.3", nic_in="eno1"), True),
        (Rule(False, nic_in="eno2"), Rule(False, nic_in="eno1"), False),
        (Rule(False), Rule(True), False),
        (Rule(False), Rule(False, direction="out"), False),
    ],
)
def test_rules_meet(one: Rule, two: Rule, wanted: bool) -> None:
    assert [_rules.rules_meet(*pair) for pair in ((one, two), (two, one))] == [wanted, wanted]
