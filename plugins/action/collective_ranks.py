# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base import _run_io
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import answers
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._plans import _stages
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._plans._types import Plan

if t.TYPE_CHECKING:
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import TaskVariables
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks import _network_checks

ARGUMENTS = {
    "plan": {"type": "dict", "required": True},
    "network": {
        "type": "list",
        "elements": "str",
        "default": ["__vllm_ray_network_gathered", "__vllm_ray_network_started"],
    },
    "release": {"type": "list", "elements": "str", "default": ["__vllm_ray_release", "release_found"]},
}


class ActionModule(ActionBase):
    """Decides whether the ranks of an engine can be tried together, and what each host has to do for it."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: TaskVariables | None = None) -> dict[str, object]:
        result = super().run(tmp, task_vars)
        variables = task_vars or {}
        _validated, arguments = self.validate_argument_spec(ARGUMENTS)
        hostvars, told = variables["hostvars"], arguments["plan"]
        plan, present = Plan.from_dict(told["plan"]).whole, variables["ansible_play_hosts_all"]
        networks, releases = (answers(hostvars, present, arguments[name]) for name in ("network", "release"))
        head = plan.hosts.get(plan.outline.head) if plan else None
        off = head.settings["vllm_ray_checks_off"] if head else []
        # A host that did not answer is in the play, and takes no part.
        answered = [host["name"] for host in told["reached"] if host["name"] in present]
        tested = t.cast("_network_checks.Answers", networks)
        why = _stages.why_no_collective(plan, answered, releases, tested, off)
        forks = int(variables["ansible_forks"])
        port = _stages.meeting_port(_run_io.token(told["run"]), told["reached"])
        hosts = {} if why or plan is None else _stages.collective_arguments(plan, releases, port, forks)
        return {**result, "changed": False, "why": why, "hosts": hosts, "background": len(hosts) > forks}
