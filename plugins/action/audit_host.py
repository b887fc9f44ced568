# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._audits import _audit
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._plans._types import Plan

if t.TYPE_CHECKING:
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import TaskVariables

ARGUMENTS = {
    "plan": {"type": "dict", "required": True},
    "user": {"type": "str", "default": ""},
    "sudoers": {"type": "str", "default": ""},
    "unit_texts": {"type": "dict", "default": {}},
    "networks": {"type": "list", "elements": "str", "default": []},
}


class ActionModule(ActionBase):
    """Turns a host's part of the plan into the arguments of the module."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: TaskVariables | None = None) -> dict[str, object]:
        super().run(tmp, task_vars)
        variables = task_vars or {}
        _validated, options = self.validate_argument_spec(ARGUMENTS)
        name, told = variables["inventory_hostname"], options["plan"]
        plan = Plan.from_dict(told["plan"]).whole
        arguments = _audit.arguments(plan, name, told["releases"][name]) if plan else {}
        return self._execute_module(
            module_name="vllm_ray.cluster.audit_host",
            module_args={**arguments, **{key: options[key] for key in ("user", "sudoers", "unit_texts", "networks")}},
            task_vars=task_vars,
        )
