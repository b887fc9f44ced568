# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

if t.TYPE_CHECKING:
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import TaskVariables

ARGUMENTS = {
    "name": {"type": "str", "required": True},
    "groups": {"type": "list", "elements": "str", "default": []},
    "variables": {"type": "dict", "default": {}},
}


class ActionModule(ActionBase):
    """Does what ansible.builtin.add_host does, which takes variables only one by one by their names."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: TaskVariables | None = None) -> dict[str, object]:
        super().run(tmp, task_vars)
        _validated, given = self.validate_argument_spec(ARGUMENTS)
        host = {"host_name": given["name"], "groups": given["groups"], "host_vars": given["variables"]}
        return {"changed": False, "add_host": host}
