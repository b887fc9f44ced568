# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.vllm_ray.cluster.plugins.module_utils._models import _model_tree_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._manifest import ARGUMENTS, sentence
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._display_io import failure
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._transfers import _copy

if t.TYPE_CHECKING:
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import TaskVariables

CONTROLLER = "the controller"


class ActionModule(ActionBase):
    """Reads manifests on the controller in process, and those on hosts by the module of the same name."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: TaskVariables | None = None) -> dict[str, object]:
        super().run(tmp, task_vars)
        _validated, arguments = self.validate_argument_spec(ARGUMENTS)
        here = os.path.abspath(os.path.expanduser(arguments["path"]))
        if arguments["side"] != "controller":
            result = self._execute_module(
                module_name="vllm_ray.cluster.model_manifest", module_args=arguments, task_vars=task_vars
            )
            there = result.get("exists", True)
            if arguments["side"] == "host" or there or not os.path.isdir(here):
                return result
        # The user who runs Ansible reads it here, so no account is needed.
        place = {"path": here, "name": CONTROLLER, "record_directory": _copy.records(), "user": ""}
        read = _model_tree_io.look(_model_tree_io.Options(**{**arguments, **place}))
        result = {**read, "changed": False, "controller": True}
        if read["problems"]:
            return failure(result, "\n".join(sentence(problem) for problem in read["problems"]))
        return result
