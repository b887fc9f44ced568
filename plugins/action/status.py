# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine import _engine_state
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import look_of, probes
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._display_io import failure, show
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _members
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._plans._types import Plan
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._screens import _status

if t.TYPE_CHECKING:
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import TaskVariables

ARGUMENTS = {
    "plan": {"type": "dict", "required": True},
    "look": {"type": "str", "default": "__vllm_ray_look"},
    "head_look": {"type": "dict", "default": {}},
    "serve_look": {"type": "dict", "default": {}},
    "fail": {"type": "bool", "default": True},
}


class ActionModule(ActionBase):
    """Shows how a cluster is."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: TaskVariables | None = None) -> dict[str, object]:
        result = super().run(tmp, task_vars)
        variables = task_vars or {}
        _validated, arguments = self.validate_argument_spec(ARGUMENTS)
        hostvars = variables["hostvars"]
        names = list(_members.members(hostvars, variables["groups"]))
        made = probes(hostvars, names, arguments["look"], arguments["head_look"], arguments["serve_look"])
        looks = {name: look_of(look) for name, look in made.items()}
        plan, problems = Plan.from_dict(arguments["plan"]["plan"]), arguments["plan"]["problems"]
        summary = _status.summary(plan, names, looks, problems)
        show(_status.screen(summary))
        serving, state = summary["serving"], summary["state"]
        if arguments["fail"] and not serving and state != _engine_state.NONE:
            result = failure(result, f"The cluster {summary['cluster']} {summary['verdict']}")
        return {**result, "changed": False, "serving": serving, "state": state, "status": summary}
