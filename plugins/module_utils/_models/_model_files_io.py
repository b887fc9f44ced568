# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host has of models, as far as a probe shows. PRIVATE to the collection."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _folders_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._models import _model_tree_io, _safetensors_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees import _manifest, _manifest_io, _tree, _tree_io

if t.TYPE_CHECKING:
    from collections.abc import Iterable

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _look


def look(
    path: str,
    record_directory: str,
    user: str,
    verify: str,
    read: _safetensors_io.ReadHeader = _safetensors_io.read_header,
) -> _look.ModelFiles:
    """Return what a probe shows of a model's directory; documented as RV(model.files) of host_info.

    user: account that must be able to read it, empty for none; verify: what to hash. read: returns the header of a
    safetensors file.
    """
    path = os.path.normpath(path)
    record = _tree_io.read_record(record_directory, _folders_io.resolved(path))
    result: _look.ModelFiles = {
        "path": path, "made": record.made, "bytes": {}, "piece_bytes": 0, "hashes": {}, "missing": [], "broken": {},
        "touched": [], "silent": [], "problems": [],
    }  # fmt: skip
    try:
        states = _model_tree_io.states(path, user)
        piece = record.piece or _tree.piece_size(sum(state.size for state in states.values()))
        touched = [name for name, known in record.files.items() if name in states and states[name] != known.state]
        names = {"none": [], "quick": touched, "full": list(states)}[verify]
        hashes = _model_tree_io.hashes(path, {name: states[name] for name in names}, piece, user)
        if user:
            result["problems"] = _manifest_io.closed_problems(path, states, _manifest_io.reader_of(user))
    except _manifest_io.Unusable as error:
        return {**result, "problems": [error.problem]}
    wanted = _manifest.missing_files(states, [_manifest.FIRST_FILE], _manifest_io.indexes(path, states))
    other = [name for name, known in record.files.items() if name in hashes and hashes[name] != known.text]
    return {
        **result,
        "bytes": {name: state.size for name, state in states.items()},
        "piece_bytes": piece,
        "hashes": {name: _tree.digest(text) for name, text in hashes.items()},
        "missing": sorted({*wanted, *(record.files.keys() - states.keys())}),
        "broken": broken(path, states, read),
        "touched": sorted({*other, *(name for name in touched if name not in hashes)}),
        "silent": sorted(set(other) - set(touched)),
    }


def broken(path: str, names: Iterable[str], read: _safetensors_io.ReadHeader) -> dict[str, str]:
    """Return why weights are not whole, by their own headers: {name: why}."""
    result = {}
    for name in sorted(name for name in names if name.endswith(".safetensors")):
        try:
            read(os.path.join(path, name))
        except (OSError, ValueError) as error:
            result[name] = str(error)
    return result
