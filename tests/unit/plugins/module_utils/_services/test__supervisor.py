# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How supervisorctl shows programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._services import _supervisor
from ansible_collections.vllm_ray.cluster.plugins.module_utils._services._manager import Running

NODE, SERVE = "vllm-ray-node@default", "vllm-ray-serve@default-main"


def test_programs_of_supervisor(fixtures: Path) -> None:
    text = (fixtures / "supervisorctl" / "status").read_text(encoding="utf-8")
    assert _supervisor.parse_supervisorctl_status(text) == {
        NODE: Running(True, True, True, False, 20248, "running"),
        SERVE: Running(False, True, True, False, 0, "backoff"),
        "vllm-ray-serve@default-fatal": Running(False, True, True, False, 0, "fatal"),
        "vllm-ray-serve@default-starting": Running(True, True, True, False, 0, "starting"),
        "vllm-ray-serve@default-stopped": Running(False, True, True, False, 0, "stopped"),
    }


@pytest.mark.parametrize("text", ["", "unix:///run/s.sock no such file\n", "nothing: ERROR (no such process)\n"])
def test_no_programs(text: str) -> None:
    assert _supervisor.parse_supervisorctl_status(text) == {}
