# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user's own requirements are, and the lock that they become."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._accelerator import ACCELERATORS
from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases import _requirements

LOCKS = Path(__file__).parents[5] / "roles" / "release" / "files" / "locks"
PYTHON: Any = {"version": "3.11.2", "path": "/usr/bin/python3.11", "machine": "x86_64", "managed": False}


def test_comments_and_empty_lines_are_left_out() -> None:
    text = "# mine\n\na==1  # why\nb @ https://h/b-1-py3-none-any.whl#sha256=00\nc==1 \\\n  ; os_name == 'posix'\n"
    found = [" ".join(line.split()) for line in _requirements.requirements(text)]
    assert found == ["a==1", "b @ https://h/b-1-py3-none-any.whl#sha256=00", "c==1 ; os_name == 'posix'"]


@pytest.mark.parametrize(
    ("requirement", "name"),
    [
        ("vllm==0.32.0", "vllm"),
        ("ray[default]>=2", "ray"),
        ("My_Plugin", "my-plugin"),
        ("a ; python_version < '3.12'", "a"),
        ("a @ https://h/a-1-py3-none-any.whl", "a"),
        ("-r other.in", ""),
        ("--index-url https://h/simple", ""),
        ("./wheels/a-1-py3-none-any.whl", ""),
        ("/srv/a-1-py3-none-any.whl", ""),
        ("wheels/a-1-py3-none-any.whl", ""),
        ("https://h/a-1-py3-none-any.whl", ""),
    ],
)
def test_what_a_requirement_names(requirement: str, name: str) -> None:
    assert _requirements.name_of(requirement) == name
    assert _requirements.refused(requirement) == ([] if name else [requirement])


@pytest.mark.parametrize(
    "line", ["a @ file:///srv/a-1-py3-none-any.whl", "a@./a-1-py3-none-any.whl", "a @ git+https://h/a"]
)
def test_what_only_the_controller_could_find_is_refused(line: str) -> None:
    assert _requirements.refused(f"b==1\n{line}\n") == [line]


def test_the_users_own_requirements_win() -> None:
    base = (LOCKS / "cuda.in").read_text(encoding="utf-8")
    merged = _requirements.merged(base, "# other\nvllm==0.31.0\nRay[default,serve]==2.59.0\nmy-plugin\n")
    assert merged.splitlines() == ["supervisor==4.3.0", "vllm==0.31.0", "Ray[default,serve]==2.59.0", "my-plugin"]
    assert _requirements.merged(base, "") == base


def test_the_command_line() -> None:
    argv = _requirements.compile_argv("/uv", "/usr/bin/python3.11", "3.11.2", "lock")
    assert " ".join(argv) == (
        "/uv pip compile requirements.in --quiet --generate-hashes --no-header --no-build "
        "--python /usr/bin/python3.11 --python-version 3.11.2 --output-file lock"
    )
    more = _requirements.compile_argv("/uv", "/p", "3.11.2", "lock", "excludes", "cpu", no_index=True)
    assert " ".join(more).endswith("--excludes excludes --torch-backend cpu --no-index --output-file lock")


@pytest.mark.parametrize(
    ("made_from", "python", "same"),
    [
        pytest.param(["a==1"], {}, True, id="nothing"),
        pytest.param(["a==2"], {}, False, id="requirements"),
        pytest.param(["a==1"], {"version": "3.11.9"}, True, id="patch of Python"),
        pytest.param(["a==1"], {"version": "3.12.1"}, False, id="Python"),
        pytest.param(["a==1"], {"machine": "aarch64"}, False, id="machine"),
    ],
)
def test_a_kept_lock_tells_what_it_was_made_from(made_from: list[str], python: Any, same: bool) -> None:
    line = _requirements.header(["a==1"], PYTHON)
    assert line.startswith("# Resolved by vllm_ray.cluster for Python 3.11 on x86_64 from ")
    changed: Any = {**PYTHON, **python}
    assert (_requirements.header(made_from, changed) == line) is same


@pytest.mark.parametrize(
    ("torch", "accelerator", "wrong"),
    [
        ("2.13.0", "cuda", False),
        ("2.13.0+cpu", "cuda", True),
        ("2.13.0+cpu", "cpu", False),
        ("2.13.0+cu130", "cuda", False),
    ],
)
def test_torch_for_the_cpu_serves_no_gpu(torch: str, accelerator: str, wrong: bool) -> None:
    assert bool(_requirements.torch_problem(f"torch=={torch} \\\n", ACCELERATORS[accelerator])) is wrong
