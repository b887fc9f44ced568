# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a model's revision, as a hub lists them. PRIVATE to the collection."""

from __future__ import annotations

import fnmatch
import hashlib
import re
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from hashlib import _Hash

COMMIT = re.compile(r"[0-9a-f]{40}")
SHA1, SHA256 = COMMIT, re.compile(r"[0-9a-f]{64}")


class File(t.NamedTuple):
    """A file of a revision. sha256: of its bytes; blob: its id in git, where the hub knows no other hash.

    Where it reports neither, as ModelScope may, only the size is known.
    """

    path: str
    size: int
    sha256: str = ""
    blob: str = ""


class Listing(t.NamedTuple):
    """What a revision is. commit: a mirror has none, so there it is made of the text of SHA256SUMS."""

    commit: str
    files: tuple[File, ...]

    @property
    def bytes(self) -> int:
        return sum(file.size for file in self.files)


def checked_hash(text: str, form: re.Pattern[str]) -> str:
    """Return a hash. ValueError, where it has another form."""
    if not form.fullmatch(text):
        raise ValueError(f"{text!r} is not a hash")
    return text


def check_path(path: str) -> None:
    """Raise ValueError where a name leads out of the directory, or is none."""
    if "\0" in path or any(part in ("", ".", "..") for part in path.split("/")):
        raise ValueError(f"{path!r} is not a file name")


def chosen(files: Iterable[File], patterns: Sequence[str]) -> list[File]:
    """Return the files of a model without hidden ones, which are of the hub's own tools, and without those left out.

    patterns: as Hub.patterns() returns them.
    """
    return [
        file
        for file in files
        if not re.search(r"(^|/)\.", file.path)
        and not any(fnmatch.fnmatchcase(file.path, pattern) for pattern in patterns)
    ]


def hasher(file: File) -> tuple[_Hash, str]:
    """Return what hashes a file as its hub does, and what has to come of it; nothing where the hub reports no hash."""
    if not file.blob:
        return hashlib.sha256(), file.sha256
    # https://git-scm.com/book/en/v2/Git-Internals-Git-Objects
    return hashlib.sha1(b"blob %d\0" % file.size), file.blob
