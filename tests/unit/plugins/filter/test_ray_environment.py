# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter is the function of _ray, which has its own tests."""

from __future__ import annotations

from ansible_collections.vllm_ray.cluster.plugins.filter.ray_environment import FilterModule
from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine import _ray


def test_the_filter() -> None:
    assert FilterModule().filters() == {"ray_environment": _ray.environment}
