# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a service manager must be able to do."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._services import _manager_io, _service_set_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._services._manager import Manager, Running, Service
from ansible_collections.vllm_ray.cluster.plugins.module_utils._services._service_set import Verdict
from ansible_collections.vllm_ray.cluster.plugins.module_utils._services._supervisor_io import Supervisor
from ansible_collections.vllm_ray.cluster.plugins.module_utils._services._systemd_io import Systemd
from ansible_collections.vllm_ray.cluster.tests.unit.plugins.module_utils._services.fake_module import Module

NODE = "vllm-ray-node@default"


class Noted:
    """Does nothing, and notes what it is asked for."""

    def __init__(self, can_disable: bool) -> None:
        self.can_disable = can_disable
        self.asked: list[str] = []

    def look(self, names: Sequence[str]) -> dict[str, Running]:
        return {name: Running() for name in names}

    def needs_reload(self, running: Mapping[str, Running], changed: Collection[str]) -> bool:
        return False

    def reload(self) -> None:
        self.asked.append("reload")

    def start(self, service: Service) -> None:
        self.asked.append(f"start {service.name}")

    def stop(self, service: Service) -> None:
        self.asked.append(f"stop {service.name}")

    def enable(self, service: Service, enabled: bool) -> None:
        self.asked.append(f"{'enable' if enabled else 'disable'} {service.name}")


@pytest.mark.parametrize(
    ("can_disable", "done"), [(True, [f"stop {NODE}", f"disable {NODE}"]), (False, [f"stop {NODE}"])]
)
def test_any_manager_drives_a_set_of_services(tmp_path: Path, can_disable: bool, done: list[str]) -> None:
    noted = Noted(can_disable)
    manager: Manager = noted
    module: Any = Module()
    gone = Service(NODE, str(tmp_path / "unit"), "", "/nowhere", (), state="absent")
    tree = _service_set_io.Tree(module, set())
    running = {NODE: Running(active=True, enabled=True)}
    assert _service_set_io.act(manager, tree, [gone], running, {NODE: Verdict("stop")}) == done
    assert noted.asked == done


@pytest.mark.parametrize(("name", "kind"), [("systemd", Systemd), ("supervisor", Supervisor)])
def test_the_manager_of_a_host_is_named(name: str, kind: type) -> None:
    module: Any = Module()
    module.params = {"manager": name, "supervisor_directory": "/etc/vllm-ray/default", "supervisor_bin": "/bin"}
    assert isinstance(_manager_io.manager_for(module), kind)
