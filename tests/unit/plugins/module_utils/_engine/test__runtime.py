# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a release is as something that runs programs."""

from __future__ import annotations

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine import _runtime
from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine._runtime import Runtime, Venv

PATH = "/opt/vllm-ray/releases/cpu-1"


def test_a_release_is_a_virtual_environment() -> None:
    runtime: Runtime = _runtime.runtime_of(PATH)
    assert runtime == Venv(PATH)
    assert runtime.python() == f"{PATH}/bin/python"
    assert runtime.program("vllm") == f"{PATH}/bin/vllm"
    assert runtime.argv(["ray", "start", "--block"]) == [f"{PATH}/bin/ray", "start", "--block"]
    assert runtime.search_path().split(":")[:2] == [f"{PATH}/bin", "/usr/local/sbin"]


def test_a_process_is_recognised_by_the_directory_of_releases() -> None:
    path = f"{_runtime.releases_of('/opt/vllm-ray')}/cpu-1"
    assert Venv.named("\0".join(_runtime.runtime_of(path).argv(["ray", "start"]))) == {"cpu-1"}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            "PATH=/opt/vllm-ray/releases/cpu-vllm0.32.0-py3.11.2-0f3b6c1d2a4e/bin:/usr/bin",
            {"cpu-vllm0.32.0-py3.11.2-0f3b6c1d2a4e"},
        ),
        ("/opt/vllm-ray/releases/a\0/opt/vllm-ray/releases/b+cu130/x", {"a", "b+cu130"}),
        ("/opt/vllm-ray/releases/.staging-a/tree", set()),
        ("/srv/conda/envs/vllm", set()),
    ],
)
def test_what_a_text_names(text: str, wanted: set[str]) -> None:
    assert Venv.named(text) == wanted
