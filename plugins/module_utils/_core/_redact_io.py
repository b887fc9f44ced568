# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the secrets of a cluster on a host, so that they can be taken out. PRIVATE to the collection."""

from __future__ import annotations

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _json, _redact, _safe_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _support

# No file of our configuration is larger.
LIMIT = _safe_io.MIB


def read_end(path: str, limit: int) -> str:
    """Return the last bytes of a file, by whole lines. Raises OSError, Unsafe where it is no file."""
    return _support.whole_lines(*_safe_io.read_end(path, limit))


def parsed(path: str, text: str) -> object:
    """Return what a file of our configuration holds, an environment or JSON; None where it is something else."""
    try:
        return _redact.parse_environment(text) if path.endswith(".env") else _json.parse_any(text)
    except ValueError:
        return None


def texts(root: str, *patterns: str) -> list[tuple[str, str]]:
    """Return path and text of the files below a directory, a pattern for each level; without what can't be read."""
    found = []
    for path in [directory.at(name) for directory, name in _safe_io.find(root, *patterns)]:
        try:
            found.append((path, read_end(path, LIMIT)))
        except OSError:
            continue
    return found


def redactor(config: str, started: str) -> _redact.Redactor:
    """Return a redactor that knows the secrets in the directories of a cluster.

    config: of its configuration. started: of what its services were started with.
    """
    keys = [*texts(config, "ray.token"), *texts(config, "*.key"), *texts(config, "secrets", "*")]
    settings = [pair for pattern in ("*.env", "*.yaml", "*.json") for pair in texts(config, pattern)]
    settings += texts(started, "*.yaml")
    named = [value for path, text in settings for value in secrets_in(path, parsed(path, text))]
    return _redact.Redactor([*(text for _path, text in keys), *named])


def secrets_in(path: str, tree: object) -> list[str]:
    """Return the secrets in what a file of ours holds, by the names that its values have there."""
    if path.endswith(".env") and isinstance(tree, dict):
        return _redact.secrets_of_environment(tree)
    return _redact.secrets_of(tree)
