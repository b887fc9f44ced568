# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths on a host. PRIVATE to the collection."""

from __future__ import annotations

import typing as t
from dataclasses import asdict, dataclass

if t.TYPE_CHECKING:
    from collections.abc import Mapping

# The path of a socket has at most 107 bytes (sun_path of unix(7)). Ray adds this to its directory, with its longest
# name of a socket and a process id of 7 digits. tests/integration asks the release whether that is still so.
RAY_SOCKET = "/session_2026-11-21_11-02-59_896141_1234567/sockets/dash_MetricsHead"
RAY_DIRECTORY_MAXIMUM = 107 - len(RAY_SOCKET)


@dataclass(frozen=True)
class Paths:
    """The directories of one cluster on one host; all absolute unless they start with ~.

    started: what its services were started with. Root writes there, where the service user can't.
    """

    root: str
    config: str
    state: str
    started: str
    models: str
    manifests: str
    ray: str
    units: str
    command: str
    clusters: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


def paths(settings: Mapping[str, t.Any], home: str = "~") -> Paths:
    """Return the paths for checked settings. home: of the user that Ansible works as."""
    system = settings["vllm_ray_scope"] == "system"
    own = f"{home}/.vllm-ray"

    def given(name: str) -> str:
        path = settings.get(name) or ""
        return f"{home}{path[1:]}" if path.startswith("~/") else path

    root = given("vllm_ray_root") or ("/opt/vllm-ray" if system else own)
    config = given("vllm_ray_config_root") or ("/etc/vllm-ray" if system else f"{own}/etc")
    state = given("vllm_ray_state_root") or ("/var/lib/vllm-ray" if system else own)
    cluster = settings["vllm_ray_cluster"]
    here = f"{config}/{cluster}"
    return Paths(
        root=root,
        config=here,
        state=f"{state}/{cluster}",
        models=given("vllm_ray_model_root") or f"{state}/models",
        started=f"/run/vllm-ray/{cluster}" if system else f"{state}/{cluster}/started",
        manifests=f"{state}/manifests",
        ray=f"{state}/{cluster}/ray",
        units="/etc/systemd/system" if system else f"{here}/programs",
        command="/usr/local/bin/vllm-ray" if system else f"{own}/bin/vllm-ray",
        # The same for all configuration roots: here the command finds the clusters of a host.
        clusters="/etc/vllm-ray/.clusters" if system else f"{own}/.clusters",
    )
