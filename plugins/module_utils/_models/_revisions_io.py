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
    from collections.abc import Mapping

GOING = ".vllm-ray-going"


def prune(params: Mapping[str, t.Any], dry: bool = False) -> dict[str, t.Any]:
    """Note what a cluster uses, remove what nobody uses, and return what the module returns.

    Raises OSError, also where a file can't be read that says what is used: then nothing goes.
    """
    records, above = params["record_directory"], os.path.dirname(os.path.realpath(params["path"]))
    note = os.path.join(records, _revisions.uses_name(params["cluster"]))
    mine = {params["path"], *params["in_use"], *(_revisions.parse_uses(read_text(note)) if params["keep"] < 0 else ())}
    used = {os.path.realpath(path) for path in (*mine, *others(params, note))}
    going = _revisions.old(revisions(above, records), used, params["keep"]) if params["keep"] >= 0 else []
    text = _revisions.render_uses(mine)
    changed = bool(going) or read_text(note) != text
    if changed and not dry:
        _safe_io.make_directories(records)
        _safe_io.write_file(note, text.encode())
        for path in going:
            remove(path, records)
    return {"changed": bool(going), "removed": going}


def read_text(path: str) -> str:
    """Return the text of a file, an empty one where there is none. Raises OSError."""
    return _safe_io.read_text(path) or ""


def others(params: Mapping[str, t.Any], own: str) -> list[str]:
    """Return what other clusters use, and what the options of engines on this host name."""
    notes = glob.glob(os.path.join(glob.escape(params["record_directory"]), _revisions.uses_name("*")))
    configs = [file for pattern in params["configs"] for file in glob.glob(pattern)]
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
