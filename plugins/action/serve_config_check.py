# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine import _serve_config

if t.TYPE_CHECKING:
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import TaskVariables


class ActionModule(ActionBase):
    """Runs the module, unless the caller knows that the same check has passed."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: TaskVariables | None = None) -> dict[str, object]:
        result = super().run(tmp, task_vars)
        given = self._task.args
        wanted = _serve_config.digest(given["release"], json.loads(given["config"]), given.get("environment") or [])
        if given.get("known") == wanted:
            return {**result, "changed": False, "checked": False, "refused": {}}
        return self._execute_module(module_name="vllm_ray.cluster.serve_config_check", task_vars=task_vars)
