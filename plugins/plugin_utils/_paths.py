# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things lie on a host. PRIVATE to the collection."""

from __future__ import annotations

import typing as t
from dataclasses import asdict, dataclass

if t.TYPE_CHECKING:
    from collections.abc import Mapping

# Ray's socket paths are at most 107 bytes long; this is what it adds to its directory:
# /session_2026-11-21_11-02-59_896141_1234567/sockets/plasma_store
RAY_DIRECTORY_MAXIMUM = 107 - 64


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

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


def paths(settings: Mapping[str, t.Any], home: str = "~") -> Paths:
    """Return the paths for checked settings. home: of the user that Ansible works as."""
    system = settings["vllm_ray_scope"] == "system"
    own = f"{home}/.vllm-ray"
    root = settings.get("vllm_ray_root") or ("/opt/vllm-ray" if system else own)
    config = settings.get("vllm_ray_config_root") or ("/etc/vllm-ray" if system else f"{own}/etc")
    state = settings.get("vllm_ray_state_root") or ("/var/lib/vllm-ray" if system else own)
    cluster = settings["vllm_ray_cluster"]
    here = f"{config}/{cluster}"
    return Paths(
        root=root,
        config=here,
        state=f"{state}/{cluster}",
        started=f"/run/vllm-ray/{cluster}" if system else f"{state}/{cluster}/started",
        models=settings.get("vllm_ray_model_root") or f"{state}/models",
        manifests=f"{state}/manifests",
        ray=f"{state}/{cluster}/ray",
        units="/etc/systemd/system" if system else f"{here}/programs",
        command="/usr/local/bin/vllm-ray" if system else f"{own}/bin/vllm-ray",
    )
