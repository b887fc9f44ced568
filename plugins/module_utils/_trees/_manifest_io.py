# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What modules and action plugins ask of files and file systems: texts, space, mounts, readers. PRIVATE."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _safe_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._unsafe import Account
from ansible_collections.vllm_ray.cluster.plugins.module_utils._models import _model_path
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees import _manifest

if t.TYPE_CHECKING:
    from collections.abc import Iterable

# Indexes of weights are a few MiB long at most; what is longer is none.
INDEX_MAXIMUM = 64 * 1024**2


class Unusable(Exception):
    """A tree can't be read as a model. problem: why."""

    def __init__(self, problem: dict[str, str]) -> None:
        super().__init__(_manifest.sentence(problem))
        self.problem = problem


def unusable(found: str, wanted: str, fix: str) -> Unusable:
    return Unusable(_manifest.problem("model", found, wanted, fix))


def linked_text(path: str, limit: int = INDEX_MAXIMUM) -> str:
    """Return the text of a file of at most `limit` bytes, nothing where it can't be read.

    Links are followed where only we can have made them, or to what everybody may read.
    """
    try:
        return _safe_io.read_bytes(path, limit, Account()).decode("utf-8", "surrogateescape")
    except OSError:
        return ""


def make_directories(path: str) -> None:
    """Make a directory and its parents, open to all whatever the umask says; those that are there stay as they are."""
    _safe_io.make_directories(path)


def existing(path: str) -> str:
    """Return the nearest directory above, or the path itself, that is there."""
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def free_bytes(path: str) -> int:
    """Return what may still be written to the file system of a path, which need not be there."""
    disk = os.statvfs(existing(path))
    return disk.f_bavail * disk.f_frsize


def mount_of(path: str) -> _model_path.Mount:
    return _model_path.mount_of(_safe_io.read_kernel("/proc/self/mountinfo") or "", os.path.realpath(existing(path)))


def reader_of(name: str) -> _model_path.Reader:
    """Return an account by its name or number, with its groups."""
    try:
        entry = pwd.getpwuid(int(name)) if name.isdigit() else pwd.getpwnam(name)
    except KeyError:
        return _model_path.Reader(name)
    groups = frozenset(os.getgrouplist(entry.pw_name, entry.pw_gid))
    return _model_path.Reader(entry.pw_name, entry.pw_uid, groups)


def account_of(name: str) -> Account:
    """Return who must be able to read what links of others lead to. name: of an account or its number; empty: nobody
    in particular, so that only what everybody may read counts.
    """
    reader = reader_of(name) if name else None
    return Account(reader.uid, reader.gids) if reader else Account()


def step_of(path: str) -> _model_path.Step:
    now = os.stat(path)
    try:
        acl = bool(os.getxattr(path, "system.posix_acl_access"))
    except OSError:
        acl = False
    return _model_path.Step(path, now.st_mode, now.st_uid, now.st_gid, acl)


def steps_to(path: str, names: Iterable[str] = ()) -> list[_model_path.Step]:
    """Return what must be open to read some files of a tree, parents first, by the path and by the real one."""
    wanted: dict[str, None] = {}
    for target in (path, *(os.path.join(path, name) for name in names)):
        for way in (os.path.realpath(target), target):
            parts = way.split("/")
            for count in range(1, len(parts) + 1):
                wanted["/".join(parts[:count]) or "/"] = None
    return [step_of(step) for step in wanted]


def closed_problems(path: str, names: Iterable[str], reader: _model_path.Reader) -> list[dict[str, str]]:
    """Return the first thing that keeps an account from reading a tree, or from entering where it will be."""
    steps = steps_to(existing(path), names if os.path.isdir(path) else ())
    closed = _model_path.first_closed(steps, reader, path)
    if not closed:
        return []
    owner, group = str(closed.uid), str(closed.gid)
    with contextlib.suppress(KeyError):
        owner = pwd.getpwuid(closed.uid).pw_name
    with contextlib.suppress(KeyError):
        group = grp.getgrgid(closed.gid).gr_name
    return [_model_path.closed_problem(closed, reader, owner, group, path)]


def indexes(path: str, names: Iterable[str]) -> dict[str, str]:
    """Return the texts of a tree's indexes of weights."""
    found = [name for name in names if name.endswith(".index.json")]
    return {
        name: linked_text(os.path.join(path, name))
        for name in found
        if os.path.getsize(os.path.join(path, name)) <= INDEX_MAXIMUM
    }
