# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks, mounts and files on the machine's disk."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from .commands import run
from .settings import LabError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def locked(path: Path) -> Iterator[int]:
    """Hold the lock file alone. The previous holder may have removed it: then the new one counts.

    It yields the file descriptor: a child that inherits it holds the lock on, should we be killed.
    """
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with contextlib.suppress(FileNotFoundError):
                if os.fstat(lock.fileno()).st_ino == path.stat().st_ino:
                    yield lock.fileno()
                    return


def mounts_below(mountinfo: str, root: Path) -> list[Path]:
    """Find mount points at or below `root` in the text of /proc/self/mountinfo, the innermost first."""
    points = [Path(line.split()[4].encode().decode("unicode_escape")) for line in mountinfo.splitlines()]
    below = [point for point in points if point == root or root in point.parents]
    return sorted(below, key=lambda point: -len(point.parts))


def unmount_below(root: Path) -> None:
    for point in mounts_below(Path("/proc/self/mountinfo").read_text(), root):
        if run("umount", point, check=False).returncode:
            run("umount", "--lazy", point)
    left = mounts_below(Path("/proc/self/mountinfo").read_text(), root)
    if left:
        raise LabError(f"{left[0]} can't be unmounted; nothing below {root} is removed while it is")


def write(path: Path, text: str, mode: int = 0o644, owner: int = 0) -> None:
    """Write a file of a host, and the folders to it that it lacks, for one owner."""
    missing = [folder for folder in path.parents if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=0o755 if mode & 0o044 else 0o700)
        os.chown(folder, owner, owner)
    # A link in the host must not lead out of it.
    if path.is_symlink():
        path.unlink()
    path.write_text(text)
    path.chmod(mode)
    os.chown(path, owner, owner)


def copy_over(source: Path, root: Path) -> None:
    """Copy a folder's contents over a host's root. Folders that are there keep their owner and mode."""
    if not source.is_dir():
        raise LabError(f"LAB_OVERLAY names {source}, which is no directory")
    for path in sorted(source.rglob("*")):
        target = root / path.relative_to(source)
        if path.is_dir() and not path.is_symlink():
            if not target.is_dir():
                target.mkdir()
                shutil.copystat(path, target)
        else:
            target.unlink(missing_ok=True)
            shutil.copy2(path, target, follow_symlinks=False)
