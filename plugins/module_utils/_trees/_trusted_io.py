# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file with the digests of trusted releases and models. PRIVATE to the collection."""

from __future__ import annotations

import os
import stat

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _directory_io, _safe_io, _unsafe
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees import _trusted

MODE_FILE, MODE_DIRECTORY = 0o644, 0o755


def read(path: str) -> dict[str, _trusted.Digests]:
    """Return the digests of a file, none where there is none. Raises Unsafe where another account may write it."""
    try:
        with _safe_io.parent_of(path) as (directory, name):
            return _trusted.parse(directory.read(name).decode("utf-8", "replace")) if owned(directory, name) else {}
    except (FileNotFoundError, NotADirectoryError):
        return {}


def owned(directory: _directory_io.Directory, name: str) -> bool:
    """Whether there is the file, and it is root's or our own. Raises Unsafe where root may not believe it."""
    now = directory.lstat(name)
    if now is None:
        return False
    exposed = directory.exposed or bool(stat.S_IMODE(now.st_mode) & 0o022)
    # Without root there is one account, and with it go its groups.
    if not _directory_io.trusted(now.st_uid) or (exposed and os.geteuid() == 0):
        raise _unsafe.Unsafe(
            directory.at(name),
            "a file that another account may write",
            "a file that only root may write, and so the directories above it",
            "correct their owner and mode, and remove the file: then the release of the builder is authoritative",
        )
    return True


def note(path: str, name: str, digests: _trusted.Digests, dry: bool) -> bool:
    """Note digests in a file; return whether they were not there. Raises OSError. dry: only say it."""
    known = read(path)
    if known.get(name) == digests:
        return False
    if not dry:
        with _safe_io.parent_of(path, make=MODE_DIRECTORY) as (directory, file):
            text = _trusted.render(_trusted.noted(known, name, digests))
            directory.write(file, text.encode(), MODE_FILE, sync=True)
    return True
