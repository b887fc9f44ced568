# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a secret is made anew, and that a run which ends on the way can be repeated."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.modules import cluster_secrets


class Killed(BaseException):
    """What ends a run at once."""


def ask(directory: Path, *reasons: str, check_mode: bool = False) -> tuple[str, bool]:
    return cluster_secrets.read_or_make(str(directory / "ray.token"), list(reasons), check_mode)


def test_a_secret_is_made_once(tmp_path: Path) -> None:
    first, new = ask(tmp_path)
    assert (len(first), new) == (64, True)
    assert (tmp_path / "ray.token").stat().st_mode & 0o777 == 0o400
    assert ask(tmp_path) == (first, False)


def test_it_is_made_anew_once_for_each_reason(tmp_path: Path) -> None:
    first, _new = ask(tmp_path)
    second, new = ask(tmp_path, "gpu03")
    assert (second != first, new) == (True, True)
    # A run that failed later is repeated: hosts that have the second one keep it.
    assert ask(tmp_path, "gpu03") == (second, False)
    third, new = ask(tmp_path, "gpü02 gpu03")
    assert (third != second, new) == (True, True)
    # All hosts have it now. A host that left before may have come back, and leave once more.
    assert ask(tmp_path) == (third, False)
    assert ask(tmp_path, "gpü02 gpu03")[1]


def test_of_several_reasons_each_counts_once(tmp_path: Path) -> None:
    """A host leaves while a rotation is not finished: the rest of that rotation makes no third secret."""
    first, _new = ask(tmp_path, "rotation")
    second, new = ask(tmp_path, "gpu03", "rotation")
    assert (second != first, new) == (True, True)
    assert ask(tmp_path, "gpu03", "rotation") == (second, False)
    assert ask(tmp_path, "rotation") == (second, False)
    # The host came back, and leaves once more.
    assert ask(tmp_path, "gpu03", "rotation")[1]
    assert ask(tmp_path, "next rotation")[1]


def test_check_mode_changes_nothing(tmp_path: Path) -> None:
    assert ask(tmp_path, check_mode=True) == ("0" * 64, True)
    first, _new = ask(tmp_path)
    assert ask(tmp_path, "gpu03", check_mode=True) == ("0" * 64, True)
    assert ask(tmp_path) == (first, False)
    second, _new = ask(tmp_path, "gpu03")
    assert ask(tmp_path, check_mode=True) == (second, False)
    assert ask(tmp_path, "gpu03") == (second, False)


@pytest.mark.parametrize("step", range(9))
def test_a_run_that_is_killed_leaves_an_old_or_a_new_secret_and_is_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Killed before each of its writes and renames: of the digest of the old one, of the secret, and of its note."""
    first, _new = ask(tmp_path)
    calls = []

    def counted(real: Any) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            calls.append(real)
            if len(calls) > step:
                raise Killed
            return real(*args, **options)

        return call

    with monkeypatch.context() as patched:
        for name in ("fsync", "replace"):
            patched.setattr(os, name, counted(getattr(os, name)))
        with pytest.raises(Killed):
            ask(tmp_path, "gpu03")
    left = (tmp_path / "ray.token").read_text(encoding="ascii")
    assert (len(left), left == first) == (64, step < 5)
    second, _new = ask(tmp_path, "gpu03")
    assert second != first
    assert ask(tmp_path, "gpu03") == (second, False)
