# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths on a host."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _paths

SYSTEM: dict[str, Any] = {"vllm_ray_scope": "system", "vllm_ray_cluster": "default"}
USER: dict[str, Any] = {"vllm_ray_scope": "user", "vllm_ray_cluster": "default"}


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        pytest.param(
            SYSTEM,
            {
                "root": "/opt/vllm-ray",
                "config": "/etc/vllm-ray/default",
                "state": "/var/lib/vllm-ray/default",
                "started": "/run/vllm-ray/default",
                "models": "/var/lib/vllm-ray/models",
                "manifests": "/var/lib/vllm-ray/manifests",
                "ray": "/var/lib/vllm-ray/default/ray",
                "units": "/etc/systemd/system",
                "command": "/usr/local/bin/vllm-ray",
                "clusters": "/etc/vllm-ray/.clusters",
            },
            id="system",
        ),
        pytest.param(
            USER,
            {
                "root": "/home/me/.vllm-ray",
                "config": "/home/me/.vllm-ray/etc/default",
                "state": "/home/me/.vllm-ray/default",
                "started": "/home/me/.vllm-ray/default/started",
                "ray": "/home/me/.vllm-ray/default/ray",
                "units": "/home/me/.vllm-ray/etc/default/programs",
                "command": "/home/me/.vllm-ray/bin/vllm-ray",
                "clusters": "/home/me/.vllm-ray/.clusters",
            },
            id="user",
        ),
        pytest.param(
            {**SYSTEM, "vllm_ray_root": "/data/r", "vllm_ray_state_root": "/data/s", "vllm_ray_config_root": "/data/c"},
            {
                "root": "/data/r",
                "state": "/data/s/default",
                "config": "/data/c/default",
                "clusters": "/etc/vllm-ray/.clusters",
            },
            id="own-roots",
        ),
        pytest.param({**SYSTEM, "vllm_ray_model_root": "/models"}, {"models": "/models"}, id="own-models"),
    ],
)
def test_paths(settings: dict[str, Any], wanted: dict[str, str]) -> None:
    found = _paths.paths(settings, "/home/me").as_dict()
    assert {name: found[name] for name in wanted} == wanted


def test_a_root_below_the_home_of_the_account() -> None:
    found = _paths.paths({**USER, "vllm_ray_state_root": "~/data"}, "/home/me")
    assert (found.state, found.models) == ("/home/me/data/default", "/home/me/data/models")


def test_the_longest_directory_leaves_rays_sockets_their_bytes() -> None:
    """Names as `ls` shows them below Ray's directory; a process id has up to 7 digits (kernel.pid_max)."""
    for socket in ("plasma_store", "raylet", "dash_MetricsHead", "dash_ReportHead"):
        added = f"/session_2026-11-21_11-02-59_896141_4194304/sockets/{socket}"
        assert len(added) + _paths.RAY_DIRECTORY_MAXIMUM <= 107
