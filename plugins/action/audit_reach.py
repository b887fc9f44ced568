# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._audits import _audit
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import answers, looks
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _members
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._plans._types import Plan

if t.TYPE_CHECKING:
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import TaskVariables

ARGUMENTS = {
    "plan": {"type": "dict", "required": True},
    "peer": {"type": "bool", "default": True},
    "look": {"type": "str", "default": "__vllm_ray_look"},
    "inside": {"type": "str", "default": "__vllm_ray_audit_host"},
    "timeout": {"type": "float", "default": 2.0},
}


class ActionModule(ActionBase):
    """Gathers the addresses and ports of all hosts for the module."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: TaskVariables | None = None) -> dict[str, object]:
        super().run(tmp, task_vars)
        variables = task_vars or {}
        _validated, options = self.validate_argument_spec(ARGUMENTS)
        hostvars = variables["hostvars"]
        names = list(_members.members(hostvars, variables["groups"]))
        seen, inside = looks(hostvars, names, options["look"]), answers(hostvars, names, [options["inside"]])
        without = variables["inventory_hostname"] if options["peer"] else ""
        targets = _audit.targets(Plan.from_dict(options["plan"]["plan"]).whole, seen, inside, without)
        try:
            return self._execute_module(
                module_name="vllm_ray.cluster.audit_reach",
                module_args={"targets": targets, "timeout": options["timeout"]},
                task_vars=task_vars,
            )
        except AnsibleConnectionFailure as error:
            if options["peer"]:
                raise
            # The stranger is another host than the one whose task this is: only what it would have found is not known.
            return {"changed": False, "hosts": {}, "own": [], "sources": {}, "msg": str(error)}
