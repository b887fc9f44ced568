# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tool that keeps the firewall's rules."""

from __future__ import annotations

from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall import _backends, _ufw


def test_it_is_ufw() -> None:
    assert _backends.TOOL is _ufw.TOOL
    assert set(_ufw.TOOL.in_force) >= {" ".join(_ufw.RELOAD.argv), " ".join(_ufw.ENABLE.argv)}
