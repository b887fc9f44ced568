# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter is there; what it does is tested with _requirements."""

from __future__ import annotations

from typing import Any

from ansible_collections.vllm_ray.cluster.plugins.filter.release_header import FilterModule


def test_it_is_the_line_of_a_kept_lock() -> None:
    header: Any = FilterModule().filters()["release_header"]
    line = header(["a==1"], {"version": "3.11.2", "machine": "x86_64"})
    assert line.startswith("# ")
