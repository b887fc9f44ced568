# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import typing as t

from ansible import constants as C
from ansible.plugins.action import ActionBase

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._display_io import failure
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _host, _settings
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._paths import paths
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._screens import _support_bundle_io

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import TaskVariables


class ActionModule(ActionBase):
    """Turns a host's settings into the arguments of the module, and keeps its archive for support_bundle."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: TaskVariables | None = None) -> dict[str, object]:
        super().run(tmp, task_vars)
        variables = task_vars or {}
        host = variables["inventory_hostname"]
        settings = _settings.of_host(host, variables).values
        result = self._execute_module(
            module_name="vllm_ray.cluster.support_part",
            module_args={**arguments(settings), **self._task.args},
            task_vars=task_vars,
        )
        # A path is one of the controller, and no host says which file of the controller goes into the bundle.
        archive, _path = result.pop("archive", None), result.pop("path", None)
        if archive is None:
            return result
        # Ansible removes this directory when the run ends, however it ends.
        folder = os.path.join(C.DEFAULT_LOCAL_TMP, "vllm-ray-support")
        try:
            return {**result, "path": _support_bundle_io.keep(folder, host, archive)}
        except _support_bundle_io.PartError as error:
            return failure(result, f"{host}: {error}")


def arguments(settings: Mapping[str, t.Any]) -> dict[str, object]:
    """Return the options of support_part."""
    place, system = paths(settings), settings["vllm_ray_scope"] == "system"
    return {
        "services": list(_host.unit_names(settings["vllm_ray_cluster"])),
        "manager": "systemd" if system else "supervisor",
        "config": place.config,
        "state": place.state,
        "started": place.started,
        "units": place.units,
        "release": settings.get("vllm_ray_release_path") or f"{place.config}/current",
        "user": settings["vllm_ray_user"] if system else "",
    }
