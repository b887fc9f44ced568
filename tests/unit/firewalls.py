# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A firewall and what is wanted of it, for the tests of rules and of ufw."""

from __future__ import annotations

from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall._rules import Rule, State
from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall._wanted import Service, Ssh, Want

OURS = "vllm-ray default"
SSH = Ssh((22,), "192.0.2.9", "eno1")
WANT = Want("default", ("10.0.0.2", "fd42::2"), "eno1", (Service("api", (8000,), ("198.51.100.0/24",)),))
EMPTY = State(installed=True)
SSH_RULES = (
    Rule(False, proto="tcp", dport="22", comment=OURS),
    Rule(True, proto="tcp", dport="22", comment=OURS),
)
PEER = Rule(False, src="10.0.0.2", nic_in="eno1", comment=OURS)
