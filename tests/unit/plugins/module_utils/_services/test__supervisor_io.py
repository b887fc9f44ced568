# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How supervisor is driven."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._services._manager import Running, Service
from ansible_collections.vllm_ray.cluster.plugins.module_utils._services._supervisor_io import Supervisor
from ansible_collections.vllm_ray.cluster.tests.unit.plugins.module_utils._services.fake_module import Failed, Module

NODE = "vllm-ray-node@default"
PROGRAM = Service(NODE, "/program", "[program:x]\n", "/nowhere", ("/program",))


def supervisor(tmp_path: Path, **answers: tuple[int, str, str]) -> tuple[Any, Supervisor]:
    (tmp_path / "supervisord.conf").touch()
    module: Any = Module(answers=answers)
    return module, Supervisor(module, str(tmp_path), "/bin")


def test_supervisor_is_asked_only_where_it_runs(tmp_path: Path, fixtures: Path) -> None:
    status = (fixtures / "supervisorctl" / "status").read_text(encoding="utf-8")
    up, manager = supervisor(tmp_path, pid=(0, "41\n", ""), status=(3, status, ""))
    assert manager.look([NODE, "other"]) == {
        NODE: Running(True, True, True, False, 20248, "running"),
        "other": Running(enabled=True),
    }
    down, manager = supervisor(tmp_path, pid=(1, "unix:///s.sock no such file\n", ""))
    assert manager.look([NODE]) == {NODE: Running(enabled=True)}
    assert len(up.commands) == 2 and len(down.commands) == 1


def test_supervisor_is_started_where_it_is_down(tmp_path: Path) -> None:
    module, manager = supervisor(tmp_path, pid=(1, "", ""))
    assert manager.needs_reload({NODE: Running()}, [])
    manager.reload()
    started = module.commands[:]
    assert re.fullmatch(rf"env -i PATH=\S+ /bin/supervisord -c {tmp_path}/supervisord.conf", started[-1])
    # It starts its programs by itself, once.
    manager.start(PROGRAM)
    assert module.commands == started


def test_an_error_of_supervisor_is_told(tmp_path: Path) -> None:
    _module, manager = supervisor(tmp_path, add=(1, "ERROR (no such process/group: x)", ""))
    with pytest.raises(Failed, match=r"supervisorctl add vllm-ray-node@default failed: ERROR"):
        manager.start(PROGRAM)


def test_supervisor_is_not_started_for_a_call_without_services(tmp_path: Path) -> None:
    module, manager = supervisor(tmp_path, pid=(1, "", ""))
    assert not manager.needs_reload({}, ["/etc/vllm-ray/default/ray.token"])
    assert module.commands == []
