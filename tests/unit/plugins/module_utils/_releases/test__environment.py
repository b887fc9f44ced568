# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What environments of others lack; tests/integration asks a real one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._accelerator import ACCELERATORS, CUDA
from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases import _environment

WHOLE = {
    "packages": {"ray": "2.60.0", "vllm": "0.32.0", "torch": "2.13.0+cu130", "prometheus-client": "1"},
    "ray_lacks": [],
    "torch": {"cuda": "13.0", "hip": ""},
}


def found(
    driver: str = "580.159.03", lock: str = "cuda", compat: bool = False, **change: Any
) -> list[tuple[str, str, str]]:
    environment = _environment.parse(json.dumps({**WHOLE, **change}))
    assert environment is not None
    told = _environment.problems("/srv/env", environment, ACCELERATORS.get(lock), driver, compat)
    assert all(entry["wanted"] and entry["fix"] for entry in told)
    return [(entry["check"], entry["severity"], entry["found"]) for entry in told]


def test_what_is_printed_before_does_not_matter() -> None:
    environment = _environment.parse(f"a .pth file says hello\n\n{json.dumps(WHOLE)}\n")
    assert environment is not None
    assert environment.packages["prometheus-client"] == "1"


def test_a_version_that_is_a_command_is_none() -> None:
    environment = _environment.parse(json.dumps({**WHOLE, "packages": {"ray": "2'; reboot #", "vllm": "0.32.0"}}))
    assert environment is not None
    assert dict(environment.packages) == {"vllm": "0.32.0"}


def test_one_that_is_whole() -> None:
    assert found() == []


def test_bare_ray_is_an_error_with_the_command_that_mends_it() -> None:
    lacks = ["aiohttp_cors", "opencensus"]
    assert found(ray_lacks=lacks) == [("release", "error", "ray 2.60.0 without aiohttp_cors, opencensus")]
    environment = _environment.parse(json.dumps({**WHOLE, "ray_lacks": lacks}))
    assert environment is not None
    (told,) = _environment.problems("/srv/env", environment, CUDA, "", False)
    assert told["fix"] == "/srv/env/bin/python -m pip install 'ray[default]==2.60.0'"


def test_without_ray_nothing_is_said_of_its_parts() -> None:
    assert found(packages={}, ray_lacks=["aiohttp"]) == []


@pytest.mark.parametrize(
    ("cuda", "driver", "compat", "severity"),
    [
        pytest.param("13.0", "580.65.06", False, "", id="cuda 13 on 580"),
        pytest.param("13.0", "575.57.08", False, "error", id="cuda 13 on 575"),
        pytest.param("13.0", "575.57.08", True, "warning", id="with cuda-compat"),
        pytest.param("12.9", "525.60", False, "", id="cuda 12.9 on 525"),
        pytest.param("12.9", "470.82.01", False, "error", id="cuda 12 on 470"),
        pytest.param("14.1", "580.65.06", False, "", id="a cuda that is not known"),
        pytest.param("13.0", "", False, "", id="no driver, which the GPUs' check tells"),
    ],
)
def test_a_cuda_that_the_driver_carries(cuda: str, driver: str, compat: bool, severity: str) -> None:
    told = found(driver, compat=compat, torch={"cuda": cuda, "hip": ""})
    assert [entry[:2] for entry in told] == ([("driver", severity)] if severity else [])


@pytest.mark.parametrize(
    ("torch", "lock", "text"),
    [
        ({"cuda": "", "hip": ""}, "cuda", "torch 2.13.0+cu130 is made without CUDA"),
        ({"cuda": "", "hip": "6.4"}, "cuda", "torch 2.13.0+cu130 is made for ROCm"),
        ({"cuda": "", "hip": ""}, "cpu", ""),
        ({"cuda": "13.0", "hip": ""}, "cpu", ""),
        ({"cuda": "", "hip": ""}, "", ""),
        (None, "cuda", ""),
    ],
)
def test_a_torch_that_is_not_for_the_gpus(torch: object, lock: str, text: str) -> None:
    assert found(lock=lock, torch=torch) == ([("driver", "error", text)] if text else [])


@pytest.mark.parametrize(
    "printed",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"packages": [], "torch": null}',
        '{"packages": {}, "ray_lacks": [], "torch": {}}',
        "Traceback",
        "1" * 5000,
    ],
)
def test_what_is_no_answer(printed: str) -> None:
    assert _environment.parse(printed) is None
