# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import typing as t

from ansible import constants as C
from ansible.plugins.action import ActionBase

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._display_io import failure, show
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._bundles import _bundle, _bundle_io, _bundle_parts_io

if t.TYPE_CHECKING:
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import TaskVariables

ARGUMENTS = {"path": {"type": "path", "required": True}, "sha256": {"type": "str", "default": ""}}


class ActionModule(ActionBase):
    """Checks a bundle and unpacks it on the controller, unless it is there."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: TaskVariables | None = None) -> dict[str, object]:
        result = super().run(tmp, task_vars)
        _validated, arguments = self.validate_argument_spec(ARGUMENTS)
        # Ansible looks for relative paths beside the playbook; users mean the directory that they are in.
        path = os.path.abspath(arguments["path"])
        home = os.path.join(C.config.get_config_value("ANSIBLE_HOME"), "vllm-ray", "bundles")
        try:
            uv, sha256 = _bundle_parts_io.uv_version(), arguments["sha256"]
            directory, manifest, fresh = _bundle_io.unpack(path, uv, home, show, sha256)
        except _bundle.BundleError as error:
            return failure(result, str(error))
        except OSError as error:
            msg = f"{path}: {error}. It is unpacked below ANSIBLE_HOME ({home})."
            return failure(result, msg)
        if fresh:
            show(f"bundle | {path} is complete and unpacked to {directory}")
        return {**result, "changed": False, "directory": directory, **_bundle.told(manifest)}
