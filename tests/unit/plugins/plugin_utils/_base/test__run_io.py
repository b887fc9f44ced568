# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The secret of a run."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base import _run_io


def test_a_token_follows_from_its_name_and_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [tmp_path / "one", tmp_path / "two"]
    tokens = []
    for run in runs:
        run.mkdir()
        monkeypatch.setattr(_run_io.C, "DEFAULT_LOCAL_TMP", str(run))
        tokens += [_run_io.token("a"), _run_io.token("a"), _run_io.token("b")]
    assert tokens[0] == tokens[1]
    assert tokens[3] == tokens[4]
    assert len(set(tokens)) == 4
    assert {len(token) for token in tokens} == {32}


def test_only_its_user_can_read_the_secret(tmp_path: Path) -> None:
    secret = _run_io.secret(str(tmp_path))
    (made,) = tmp_path.iterdir()
    assert (made.read_bytes(), len(secret)) == (secret, _run_io.BYTES)
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert _run_io.secret(str(tmp_path)) == secret


def test_names_differ() -> None:
    assert _run_io.new_name() != _run_io.new_name()
