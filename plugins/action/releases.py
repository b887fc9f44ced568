# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import answers
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._display_io import show
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _members
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._screens import _release_list

if t.TYPE_CHECKING:
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import TaskVariables

ARGUMENTS = {
    "plan": {"type": "dict", "required": True},
    "listed": {"type": "str", "default": "__vllm_ray_listed"},
}


class ActionModule(ActionBase):
    """Shows which releases the hosts of a cluster have."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: TaskVariables | None = None) -> dict[str, object]:
        result = super().run(tmp, task_vars)
        variables = task_vars or {}
        _validated, arguments = self.validate_argument_spec(ARGUMENTS)
        hostvars = variables["hostvars"]
        names = list(_members.members(hostvars, variables["groups"]))
        found = answers(hostvars, names, [arguments["listed"]])
        listed = {host: answer["releases"] if answer else None for host, answer in found.items()}
        summary = _release_list.summary(arguments["plan"]["plan"].get("cluster", ""), listed)
        show(_release_list.screen(summary))
        return {**result, "changed": False, "summary": summary}
