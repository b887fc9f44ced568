# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What accelerators have, and which one is meant."""

from __future__ import annotations

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _accelerator
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._accelerator import CPU, CUDA, Accelerator


@pytest.mark.parametrize(
    ("wish", "gpus", "found"),
    [("auto", True, CUDA), ("auto", False, CPU), ("cuda", False, CUDA), ("cpu", True, CPU)],
)
def test_what_a_setting_selects(wish: str, gpus: bool, found: Accelerator) -> None:
    assert _accelerator.of_setting(wish, gpus) is found


@pytest.mark.parametrize(("lock", "found"), [("cuda", CUDA), ("cpu", CPU), ("mine", CUDA)])
def test_what_a_lock_is_for(lock: str, found: Accelerator) -> None:
    assert _accelerator.of_lock(lock) is found


@pytest.mark.parametrize("accelerator", _accelerator.ACCELERATORS.values(), ids=lambda accelerator: accelerator.name)
def test_gpus_have_a_device_and_a_driver(accelerator: Accelerator) -> None:
    assert bool(accelerator.torch_device) is bool(accelerator.min_driver) is accelerator.has_gpus
    assert bool(accelerator.devices) is accelerator.has_gpus
