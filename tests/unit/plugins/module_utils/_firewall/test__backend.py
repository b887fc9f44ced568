# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a firewall's state means."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall import _backend, _ufw
from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall._rules import Fault, State

EMPTY = State(installed=True)


@pytest.mark.parametrize(
    ("state", "wanted"),
    [
        (State(), "ufw is not installed"),
        (State(installed=True), "ufw is off"),
        (State(installed=True, input_policy="ACCEPT"), "ufw is off"),
        (State(installed=True, enabled=True, input_policy="ACCEPT"), "ufw admits packets that no rule covers"),
        (State(installed=True, enabled=True), ""),
        (State(installed=True, enabled=True, input_policy="REJECT"), ""),
    ],
)
def test_why_every_port_is_open(state: State, wanted: str) -> None:
    assert _backend.why_open(_ufw.TOOL, state).partition(" (")[0] == wanted


@pytest.mark.parametrize(
    ("state", "wanted"),
    [
        (State(), "Status: not installed"),
        (EMPTY, "Status: inactive"),
        (replace(EMPTY, enabled=True), "Status: active"),
    ],
)
def test_status(state: State, wanted: str) -> None:
    assert _backend.status_line(state) == wanted


def test_what_to_do_by_hand() -> None:
    assert _backend.by_hand(_ufw.TOOL, State()) == "install ufw"
    assert _backend.by_hand(_ufw.TOOL, EMPTY) == "ufw default deny incoming"
    assert _backend.status_line(replace(EMPTY, enabled=True, fault=Fault("odd"))) == "Status: active, but odd"
