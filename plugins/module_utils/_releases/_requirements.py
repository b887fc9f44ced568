# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions about a user's own requirements and the lock that they become. PRIVATE to the collection."""

from __future__ import annotations

import hashlib
import json
import re
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases._release import normal, pins

if t.TYPE_CHECKING:
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._accelerator import Accelerator
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _look

NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?(?=\s*(?:$|[\[=<>!~;@(#,]))")


def requirements(text: str) -> list[str]:
    """Return the lines of a file of requirements without comments and empty ones; \\ at its end continues a line."""
    lines = (re.sub(r"(^|\s)#.*$", "", line).strip() for line in text.replace("\\\n", " ").splitlines())
    return [line for line in lines if line]


def name_of(requirement: str) -> str:
    """Return the package that a requirement names, or an empty text for what is no name: an option, a path."""
    found = NAME.match(requirement)
    return normal(found.group()) if found else ""


def refused(text: str) -> list[str]:
    """Return the lines that mean something on the controller alone: other files, options, paths."""
    remote = re.compile(r"@\s*https?://")
    local = re.compile(r"@\s*(?!https?://)\S")
    return [
        line for line in requirements(text) if not name_of(line) or (local.search(line) and not remote.search(line))
    ]


def merged(base: str, own: str) -> str:
    """Return the requirements of a release: the collection's, but for packages that the user's own name, and these."""
    mine = requirements(own)
    names = {name_of(line) for line in mine}
    return "\n".join([*(line for line in requirements(base) if name_of(line) not in names), *mine]) + "\n"


def compile_argv(
    uv: str, python: str, version: str, lock: str, excludes: str = "", torch_backend: str = "", no_index: bool = False
) -> list[str]:
    """Return the command that resolves requirements.in for one Python into a lock, in the present directory.

    What the lock has already is preferred. version: to the patch. It is for this Python and kind of machine only, so
    that a directory with their wheels is enough of an index.
    """
    options = ["--excludes", excludes] if excludes else []
    options += ["--torch-backend", torch_backend] if torch_backend else []
    options += ["--no-index"] if no_index else []
    wanted = ["--python", python, "--python-version", version]
    fixed = ["--quiet", "--generate-hashes", "--no-header", "--no-build"]
    return [uv, "pip", "compile", "requirements.in", *fixed, *wanted, *options, "--output-file", lock]


def header(made_from: object, python: _look.PythonDetails) -> str:
    """Return the first line of a kept lock: it shows whether the lock is still that of its requirements.

    made_from: all that it is resolved from. python: version and machine, as release_info returned them.
    """
    digest = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()
    minor = ".".join(python["version"].split(".")[:2])
    return f"# Resolved by vllm_ray.cluster for Python {minor} on {python['machine']} from {digest}"


def torch_problem(lock: str, accelerator: Accelerator) -> str:
    """Return why the torch of a lock can't serve the accelerator, or an empty text."""
    version = pins(lock).get("torch", "")
    if accelerator.has_gpus and version.endswith("+cpu"):
        return f"torch {version} of a source is newer than its build for {accelerator.name}"
    return ""
