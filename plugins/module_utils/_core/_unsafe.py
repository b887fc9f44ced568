# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may not be used at a path, in words, and what an account may do by a mode. PRIVATE to the collection."""

from __future__ import annotations

import errno
import shlex
import stat
import typing as t
from dataclasses import dataclass

if t.TYPE_CHECKING:
    from os import stat_result


def shown(text: str, most: int = 400) -> str:
    """Return a name or path for messages and results: at most so many characters, none of which a terminal obeys."""
    cut = text if len(text) <= most else f"{text[:most]}..."
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in cut)


class Unsafe(OSError):
    """What is at a path may not be used there. The message has the path, what was found, what was expected, a fix."""

    def __init__(self, path: str, found: str, wanted: str, fix: str = "") -> None:
        device = path.startswith("/dev/")
        aside = (
            "set another path"
            if device
            else f"move it away: mv -T {shlex.quote(shown(path))} {shlex.quote(shown(path) + '.aside')}"
        )
        self.path, self.found, self.wanted, self.fix = path, shown(found), wanted, fix or aside
        super().__init__(errno.EPERM, f"{shown(path)} is {self.found}; expected {wanted}. To fix it, {self.fix}")

    def __str__(self) -> str:
        return str(self.strerror)


@dataclass(frozen=True)
class Account:
    """Who must be able to read what a link in an exposed directory leads to. uid: None where it does not exist yet:
    then only what everybody may read counts.
    """

    uid: int | None = None
    gids: frozenset[int] = frozenset()

    def may(self, status: stat_result, bits: int) -> bool:
        """Whether the mode of a file or directory gives it what bits say: 4 to read, 1 to enter."""
        if self.uid == 0:
            return True
        if self.uid is not None and status.st_uid == self.uid:
            return (status.st_mode >> 6) & bits == bits
        if status.st_gid in self.gids:
            return (status.st_mode >> 3) & bits == bits
        return status.st_mode & bits == bits


def kind_of(mode: int) -> str:
    """Return what a file's mode says that it is, for messages."""
    names = {
        stat.S_IFLNK: "a symbolic link",
        stat.S_IFDIR: "a directory",
        stat.S_IFREG: "a file",
        stat.S_IFIFO: "a FIFO",
        stat.S_IFSOCK: "a socket",
    }
    return names.get(stat.S_IFMT(mode), "a device")
