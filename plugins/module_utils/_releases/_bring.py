# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that the controller brings to a directory of a host. PRIVATE to the collection.

The connection's account stages them, and they get their names when they are checked.
"""

from __future__ import annotations

import hashlib
import typing as t
from dataclasses import dataclass

from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees import _tree

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

STAGING = ".vllm-ray-staging"


class Row(t.TypedDict):
    """A file in the arguments of bundle_install."""

    path: str
    size: int
    sha256: str
    mode: int


@dataclass(frozen=True, order=True)
class Item:
    """A file. path: below the directory; mode: as of chmod."""

    path: str
    size: int
    sha256: str
    mode: int = 0o644

    @property
    def key(self) -> str:
        """Return the name that it is staged under: another content has another."""
        return hashlib.sha256(f"{self.sha256} {self.path}".encode()).hexdigest()


def parse(rows: Iterable[Row]) -> list[Item]:
    """Return the files of a list. ValueError where root should not make one of them."""
    items = [Item(str(row["path"]), int(row["size"]), str(row["sha256"]), int(row["mode"])) for row in rows]
    for item in items:
        wrong = _tree.name_problem(item.path, plain=False)
        if wrong or not _tree.is_safe_mode(item.mode):
            raise ValueError(f"the file {item.path!r} is wrong: {wrong or f'its mode {item.mode:04o}'}")
    return items


def missing(items: Iterable[Item], found: Mapping[str, str]) -> list[Item]:
    """Return the files to bring. found: SHA-256 by path of what is there."""
    return [item for item in items if found.get(item.path) != item.sha256]


def to_send(items: Iterable[Item], staged: Mapping[str, int]) -> list[Item]:
    """Return the files that are not staged whole. staged: bytes by key."""
    return [item for item in items if staged.get(item.key) != item.size]
