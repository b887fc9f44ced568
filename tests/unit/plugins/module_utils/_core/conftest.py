# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Places where another account may put something."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """Return a directory that the accounts of a group may write: what is in it may be anybody's."""
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o775)
    return folder


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """Return a file that its owner alone may read."""
    path = tmp_path / "canary"
    path.write_text("canary")
    path.chmod(0o600)
    return path
