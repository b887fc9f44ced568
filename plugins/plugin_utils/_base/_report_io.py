# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write what others are to read on the controller. PRIVATE to the collection."""

from __future__ import annotations

import json
import os
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._redact import Redactor
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base import _report

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def write(path: str, text: str) -> None:
    """Write a file, in place of what is there; its directory is made."""
    place = os.path.abspath(os.path.expanduser(path))
    os.makedirs(os.path.dirname(place), exist_ok=True)
    with open(place, "w", encoding="utf-8") as stream:
        stream.write(text)


def write_json(path: str, content: Mapping[str, object]) -> None:
    """Write a file in JSON, in the order of its content, without what goes by the name of a secret."""
    write(path, json.dumps(Redactor([]).tree(content), indent=2) + "\n")


def write_junit(
    path: str, problems: _report.Problems, checks: Sequence[_report.Check], strict: bool, name: str = "preflight"
) -> None:
    """Write problems and checks as JUnit, without what goes by the name of a secret."""
    # Before it becomes XML, which writes quotes in other ways.
    redactor = Redactor([])
    shown = [{name: redactor.text(text) for name, text in problem.items()} for problem in problems]
    write(path, _report.junit(shown, checks, strict, name))
