# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recipe in a template."""

from __future__ import annotations

from typing import Any

from ansible_collections.vllm_ray.cluster.plugins.filter.release_recipe import FilterModule


def test_the_filter_names_what_is_made() -> None:
    recipe: Any = FilterModule().filters()["release_recipe"]
    found = recipe({"cuda.lock": "vllm==0.32.0\n", "uv.lock": "uv==0.13.9\n"}, "cuda")
    assert found["name"] == "cuda-vllm0.32.0"
    assert found["uv"] == "0.13.9"
    assert len(found["digest"]) == 64
