# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove old revisions of a model from a host. PRIVATE to the collection."""

from __future__ import annotations

import contextlib
import glob
import os
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _safe_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._models import _revisions
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees import _tree, _tree_io

if t.TYPE_CHECKING:
    from collections.abc import Sequence

GOING = ".vllm-ray-going"


class Options(t.NamedTuple):
    """The options of model_prune."""

    path: str
    cluster: str
    in_use: Sequence[str]
    configs: Sequence[str]
    keep: int
    record_directory: str


class Pruned(t.NamedTuple):
    """What model_prune returns."""

    changed: bool
    removed: list[str]


def prune(options: Options, dry: bool = False) -> Pruned:
    """Note what a cluster uses, and remove what nobody uses.

    Raises OSError, also where a file can't be read that says what is used: then nothing goes.
    """
    records, keep, above = options.record_directory, options.keep, os.path.dirname(os.path.realpath(options.path))
    note = os.path.join(records, _revisions.uses_name(options.cluster))
    mine = {options.path, *options.in_use, *(_revisions.parse_uses(read_text(note)) if keep < 0 else ())}
    used = {os.path.realpath(path) for path in (*mine, *others(options, note))}
    going = _revisions.old(revisions(above, records), used, keep) if keep >= 0 else []
    text = _revisions.render_uses(mine)
    if (going or read_text(note) != text) and not dry:
        _safe_io.make_directories(records)
        _safe_io.write_file(note, text.encode())
        for path in going:
            remove(path, records)
    return Pruned(bool(going), going)


def read_text(path: str) -> str:
    """Return the text of a file, an empty one where there is none. Raises OSError."""
    return _safe_io.read_text(path) or ""


def others(options: Options, own: str) -> list[str]:
    """Return what other clusters use, and what the options of engines on this host name."""
    notes = glob.glob(os.path.join(glob.escape(options.record_directory), _revisions.uses_name("*")))
    configs = [file for pattern in options.configs for file in glob.glob(pattern)]
    return [
        *(path for file in notes if file != own for path in _revisions.parse_uses(read_text(file))),
        *(path for file in configs for path in _revisions.served(read_text(file))),
    ]


def revisions(above: str, records: str) -> list[_revisions.Revision]:
    """Return the revisions of a model that are whole on this host."""
    found = []
    for name in sorted(os.listdir(above)) if os.path.isdir(above) else []:
        path = os.path.join(above, name)
        if not name.startswith(".") and os.path.isdir(path) and not os.path.islink(path):
            made = _tree_io.read_record(records, path).made
            found.append(_revisions.Revision(path, made, os.stat(path).st_mtime))
    return found


def remove(path: str, records: str) -> None:
    """Remove a revision: first its name, so that nobody sees a part of it. On a shared file system one host does it."""
    with _safe_io.parent_of(path) as (above, name):
        going = f".{name}{GOING}"
        above.remove(going)
        with contextlib.suppress(FileNotFoundError):
            above.rename(name, above, going)
        above.remove(going)
    _safe_io.remove(os.path.join(records, _tree.record_name(path)))
