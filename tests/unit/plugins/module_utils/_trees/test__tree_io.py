# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records of trees. What else touches disks is tested with several hosts, in tests/integration."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._tree import Known, Record, State
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._tree_io import read_record, write_record

RECORD = Record("/a/tree", True, 16384, {"file": Known(State(1, 2, 3, 4), "0" * 64)})


def test_a_record_outlasts_a_cut_of_the_power(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []

    def fsync(handle: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{handle}"))

    monkeypatch.setattr(os, "fsync", fsync)
    write_record(str(tmp_path / "records"), RECORD)
    # Its bytes before it has its name, and then the name.
    assert [os.path.dirname(synced[0]), *synced[1:]] == [str(tmp_path / "records")] * 2
    assert read_record(str(tmp_path / "records"), "/a/tree") == RECORD


def test_a_record_that_does_not_fit_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_handle: int) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_record(str(tmp_path), RECORD)
    assert list(tmp_path.iterdir()) == []
