# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the secrets of a cluster on a host, so that they can be taken out. PRIVATE to the collection."""

from __future__ import annotations

import glob
import json
import os
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils import _redact, _support

# No file of our configuration is larger.
LIMIT = 1024**2


def read_end(path: str, limit: int) -> str:
    """Return the last bytes of a file, by whole lines."""
    with open(path, "rb") as stream:
        left_out = max(0, stream.seek(0, os.SEEK_END) - limit)
        stream.seek(left_out)
        return _support.whole_lines(stream.read(), left_out)


def parsed(path: str, text: str) -> t.Any:
    """Return what a file of our configuration holds, an environment or JSON; None where it is something else."""
    try:
        return _redact.parse_environment(text) if path.endswith(".env") else json.loads(text)
    except ValueError:
        return None


def redactor(config: str, started: str) -> _redact.Redactor:
    """Return a redactor that knows the secrets in the directories of a cluster.

    config: of its configuration. started: of what its services were started with.
    """
    here, values = glob.escape(config), []
    keys = [f"{config}/ray.token", f"{config}/api.key", *glob.glob(f"{here}/secrets/*")]
    patterns = [f"{here}/*.env", f"{here}/*.yaml", f"{here}/*.json", f"{glob.escape(started)}/*.yaml"]
    for path in [*keys, *(path for pattern in patterns for path in glob.glob(pattern))]:
        text = read_end(path, LIMIT) if os.access(path, os.R_OK) else ""
        values += [text] if path in keys else _redact.secrets_of(parsed(path, text))
    return _redact.Redactor(values)
