# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of units, and how systemctl shows them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._services import _systemd
from ansible_collections.vllm_ray.cluster.plugins.module_utils._services._manager import Running

NODE, SERVE = "vllm-ray-node@default", "vllm-ray-serve@default-main"


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        (NODE, f"{NODE}.service"),
        (f"{NODE}.service", f"{NODE}.service"),
        ("vllm-ray-watch@default.timer", "vllm-ray-watch@default.timer"),
        # Names of clusters may have dots.
        ("vllm-ray-node@lab.timers", "vllm-ray-node@lab.timers.service"),
    ],
)
def test_a_name_says_its_kind_or_is_a_service(name: str, unit: str) -> None:
    assert _systemd.unit_of(name) == unit


@pytest.mark.parametrize(
    ("path", "adds"),
    [
        ("/etc/systemd/system/a.service.d/network.conf", True),
        ("/etc/systemd/system/a.timer.d/calendar.conf", True),
        ("/etc/systemd/system/a.conf.d/network.conf", False),
        ("/etc/systemd/system/a.service", False),
    ],
)
def test_drop_ins(path: str, adds: bool) -> None:
    assert _systemd.is_drop_in(path) is adds


def test_running_units(fixtures: Path) -> None:
    text = (fixtures / "systemctl" / "running").read_text(encoding="utf-8")
    assert _systemd.parse_systemctl_show(text) == {
        f"{NODE}.service": Running(True, True, True, False, 138, "active"),
        f"{SERVE}.service": Running(True, True, True, False, 1847, "active"),
        "nothing-here.service": Running(),
        "ssh.service": Running(True, True, True, False, 49, "active"),
    }


def test_a_unit_between_two_restarts_does_not_run(fixtures: Path) -> None:
    text = (fixtures / "systemctl" / "auto_restart").read_text(encoding="utf-8")
    units = _systemd.parse_systemctl_show(text)
    assert units[f"{SERVE}.service"] == Running(False, False, True, False, 0, "failed")
    assert units[f"{NODE}.service"].active


def test_a_unit_whose_file_changed() -> None:
    text = "Id=a.service\nLoadState=loaded\nActiveState=active\nNeedDaemonReload=yes\n"
    assert _systemd.parse_systemctl_show(text)["a.service"].reload_needed


def test_a_timer_that_waits_is_active_and_has_no_process() -> None:
    text = "Id=a.timer\nLoadState=loaded\nActiveState=active\nSubState=waiting\nUnitFileState=enabled\n"
    assert _systemd.parse_systemctl_show(text) == {"a.timer": Running(True, True, True, False, 0, "active")}
