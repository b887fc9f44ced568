# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Renewals of secrets whose modules are killed between any two of their writes, and repeated."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.tests.integration import run_module

BEGAN = "2026-11-29T16:40:12Z"
NAMES = ["ray.token", "api.key"]
RENEW = {name: [BEGAN] for name in NAMES}
# Of each secret, the old one's digest and its note: a write to the disk, a rename, the directory's write to the disk.
STEPS = 18


def secrets(folder: Path, renew: Mapping[str, list[str]] = {}, **private: Any) -> dict[str, str]:
    """Run cluster_secrets as the playbook does, and return the secrets."""
    args = {"directory": str(folder / "secrets"), "names": NAMES, "renew": renew, **private}
    result = run_module.run("cluster_secrets", args, folder)
    assert result.status == 0, result.output
    return {name: str(value) for name, value in result.answer["values_by_name"].items()}


def files(folder: Path) -> dict[str, str]:
    return {name: (folder / "secrets" / name).read_text(encoding="ascii") for name in NAMES}


def killed_at(step: int, patch: pytest.MonkeyPatch) -> None:
    """Let the children of this process be killed when they begin a step, counted from 0."""
    parent = os.getpid()
    calls: list[Any] = []

    def counted(real: Any) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            if os.getpid() != parent:
                if len(calls) == step:
                    os.kill(os.getpid(), signal.SIGKILL)
                calls.append(real)
            return real(*args, **options)

        return call

    for name in ("fsync", "replace"):
        patch.setattr(os, name, counted(getattr(os, name)))


@pytest.mark.parametrize("step", range(STEPS))
def test_a_killed_renewal_is_repeated_without_a_second_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    old = secrets(tmp_path)
    args = {"directory": str(tmp_path / "secrets"), "names": NAMES, "renew": RENEW}
    with monkeypatch.context() as patched:
        killed_at(step, patched)
        assert os.WTERMSIG(run_module.run("cluster_secrets", args, tmp_path).status) == signal.SIGKILL
    # Each file has its old or its new secret, whole.
    left = files(tmp_path)
    assert [len(value) for value in left.values()] == [64, 64]
    done = [name for name in NAMES if (tmp_path / "secrets" / f"{name}.renewed").exists()]
    new = secrets(tmp_path, RENEW)
    assert not set(new.values()) & set(old.values())
    # What has its note is not made again.
    assert {name: new[name] for name in done} == {name: left[name] for name in done}
    assert files(tmp_path) == new
    # A run that failed later, on other hosts, and was repeated.
    assert secrets(tmp_path, RENEW) == new
    # It is finished: the next one makes others.
    assert secrets(tmp_path) == new
    later = secrets(tmp_path, {name: ["2026-11-30T08:00:00Z"] for name in NAMES})
    assert not set(later.values()) & set(new.values())


def test_the_steps_are_all_that_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets(tmp_path)
    killed_at(STEPS, monkeypatch)
    secrets(tmp_path, RENEW)


def test_no_secret_is_left_but_the_new_ones(tmp_path: Path) -> None:
    old = secrets(tmp_path)
    secrets(tmp_path, RENEW)
    digests = {name: hashlib.sha256(value.encode()).hexdigest() for name, value in old.items()}
    args = {"directory": str(tmp_path / "secrets"), "names": NAMES}
    assert run_module.run("cluster_secrets", args, tmp_path).answer["former"] == digests
    texts = [path.read_text(encoding="utf-8") for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(value in text for value in old.values() for text in texts if "values_by_name" not in text)


def test_check_mode_makes_none(tmp_path: Path) -> None:
    old = secrets(tmp_path)
    assert set(secrets(tmp_path, RENEW, _ansible_check_mode=True).values()) == {"0" * 64}
    assert files(tmp_path) == old
