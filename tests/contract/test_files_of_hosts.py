# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Laws over files: code that runs as root on a host opens, makes, changes and removes them by _safe_io, or in a
directory that _safe_io opened, and every path that a module takes is tried with what another account may put there.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.tests.contract import walk
from ansible_collections.vllm_ray.cluster.tests.contract.test_plugins import documented, parsed
from ansible_collections.vllm_ray.cluster.tests.integration import hostile_paths

ALLOWED = ("_directory_io.py", "_safe_io.py")
# Calls that follow links on the way, block on a FIFO, or read and change what was put in place meanwhile. What only
# asks for metadata, as os.stat or os.path.isdir, is not here, nor what changes a file by its descriptor, which was
# opened there.
OS = {
    "chmod", "chown", "lchmod", "lchown", "link", "makedirs", "mkdir", "mkfifo",
    "mknod", "open", "remove", "removedirs", "removexattr", "rename", "renames", "replace", "rmdir", "setxattr",
    "symlink", "truncate", "unlink", "utime",
}  # fmt: skip
SHUTIL = {
    "chown", "copy", "copy2", "copyfile", "copymode", "copystat", "copytree", "make_archive", "move", "rmtree",
    "unpack_archive",
}  # fmt: skip
# A directory with a random name, mode 0700 and ours, in a directory that is sticky or ours: nobody else can put
# anything in it. Other names of tempfile take a directory in which they make files.
TEMPFILE = {"TemporaryDirectory", "mkdtemp"}
# Every use of pathlib is refused, as its objects open, write and remove by methods whose names others have, too.
OPENERS = ("codecs", "io", "gzip", "bz2", "lzma", "zipfile")


def names_of(tree: ast.Module) -> dict[str, str]:
    """Return {name: what it stands for} of what a file imports."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.update({alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names})
    return names


def offence(node: ast.AST, names: dict[str, str]) -> str:
    """Return what a node does with files that is not allowed, nothing where it is."""
    if not isinstance(getattr(node, "ctx", None), ast.Load):
        return ""
    if isinstance(node, ast.Name):
        full = names.get(node.id, f"builtins.{node.id}")
    elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in names:
        full = f"{names[node.value.id]}.{node.attr}"
    else:
        return ""
    module, _dot, name = full.rpartition(".")
    refused = {
        "builtins": name == "open",
        "os": name in OS,
        "shutil": name in SHUTIL,
        "tempfile": name not in TEMPFILE,
        "pathlib": True,
    }
    return full if refused.get(module) or (module in OPENERS and name == "open") else ""


def offences_in(tree: ast.Module, title: str) -> Iterator[str]:
    """Yield what a file does that is not allowed, with its place."""
    names = names_of(tree)
    typed = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        found = offence(node, names) if id(node) not in typed else ""
        if found:
            yield f"{title}:{getattr(node, 'lineno', 0)}: {found}"
        if not isinstance(node, ast.Call):
            continue
        called, given = ast.unparse(node.func), {word.arg: ast.unparse(word.value) for word in node.keywords}
        if called.endswith("tarfile.open") and (node.args or "fileobj" not in given):
            yield f"{title}:{node.lineno}: tarfile.open without fileobj"
        if called.endswith("TemporaryDirectory") and not given.get("dir", "module.tmpdir").endswith("module.tmpdir"):
            yield f"{title}:{node.lineno}: a temporary directory in {given['dir']}"


@pytest.mark.parametrize(
    "line",
    [
        "open('a')",
        "import os; os.open('a', 0)",
        "import os as system; system.chown('a', 0, 0)",
        "from os import unlink as gone; gone('a')",
        "import functools, os; functools.partial(os.chmod, 'a')",
        "import shutil; shutil.rmtree('a')",
        "from shutil import move; move('a', 'b')",
        "import tempfile; tempfile.mkstemp()",
        "from tempfile import NamedTemporaryFile; NamedTemporaryFile()",
        "import tempfile; tempfile.TemporaryDirectory(dir=path)",
        "from pathlib import Path; Path('a').write_text('b')",
        "import pathlib; pathlib.Path('a')",
        "import io; io.open('a')",
        "import gzip; gzip.open('a')",
        "import tarfile; tarfile.open('a')",
    ],
)
def test_the_law_sees_it(line: str) -> None:
    assert list(offences_in(ast.parse(line), "x"))


def test_the_law_lets_pass_what_is_harmless() -> None:
    lines = "import os, tempfile, tarfile\nfolder.open('a')\nfolder.unlink('a')\nos.stat('a')\nos.fdopen(1)\n"
    lines += "tempfile.TemporaryDirectory(dir=self.module.tmpdir)\ntarfile.open(fileobj=x, mode='w')\n"
    assert list(offences_in(ast.parse(lines), "x")) == []


def test_files_are_touched_by_one_way_alone() -> None:
    found: dict[str, list[str]] = {}
    for path in [path for kind in ("modules", "module_utils") for path in walk.plugins(kind)]:
        if path.name not in ALLOWED:
            found[path.name] = list(offences_in(parsed(path), path.name))
    offences = [line for lines in found.values() for line in lines]
    assert not offences, "\n".join(offences)


def path_options(options: dict[str, Any], above: str = "") -> Iterator[str]:
    """Yield the options that are paths, those of dictionaries as OPTION.SUBOPTION."""
    for name, option in options.items():
        if "path" in (option.get("type"), option.get("elements")):
            yield above + name
        yield from path_options(option.get("suboptions") or {}, f"{above}{name}.")


def test_every_path_of_a_module_is_tried_or_has_a_reason() -> None:
    found = {
        (name.rpartition(".")[2], option)
        for name, entry in documented()["module"].items()
        for option in path_options(entry["doc"].get("options") or {})
    }
    assert len(found) > 60, "the walk sees too few"
    tried, excused = set(hostile_paths.TABLE), set(hostile_paths.ONLY_ROOT) | set(hostile_paths.ON_THE_CONTROLLER)
    assert sorted(found - tried - excused) == []
    assert sorted(tried & excused) == []
    assert sorted((excused | (tried - set(hostile_paths.TEXTS))) - found) == [], "no such option"
    assert all(
        len(reason) > 20 for reason in [*hostile_paths.ONLY_ROOT.values(), *hostile_paths.ON_THE_CONTROLLER.values()]
    )
