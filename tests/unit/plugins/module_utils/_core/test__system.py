# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's system reports of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _system


def text(fixtures: Path, name: str) -> str:
    return (fixtures / "proc" / name).read_text(encoding="utf-8")


def test_the_distribution(fixtures: Path) -> None:
    assert _system.parse_os_release(text(fixtures, "os_release")) == {"id": "debian", "version": "12"}
    assert _system.parse_os_release("") == {"id": "", "version": ""}


def test_how_much_a_process_may_lock(fixtures: Path) -> None:
    limits = text(fixtures, "limits")
    assert _system.parse_memlock(limits) == 8388608
    assert (
        _system.parse_memlock(limits.replace("8388608              8388608 ", "unlimited            unlimited")) == -1
    )
    assert _system.parse_memlock("") is None


def test_sockets_that_nobody_has_open(fixtures: Path) -> None:
    files = [f"/var/lib/vllm-ray/default/ray/session_x/sockets/{name}" for name in ("plasma_store", "raylet")]
    assert _system.stale_sockets(files, text(fixtures, "net_unix")) == files[:1]
    assert _system.stale_sockets([], text(fixtures, "net_unix")) == []


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("[Service]\nUser=vllm-ray\n", "vllm-ray"),
        ('[Service]\nUser="a b"\n', "a b"),
        ("[Service]\nUser=a\nUser=b\n", "b"),
        ("[Service]\n#User=a\nUser=\n", "root"),
        ("", "root"),
    ],
)
def test_the_account_of_a_unit(text: str, wanted: str) -> None:
    assert _system.unit_user(text) == wanted
