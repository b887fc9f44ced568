# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import shutil
import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base import _report
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import answers, looks
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._display_io import failure, show
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._plans import _stages
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._plans._types import Plan

if t.TYPE_CHECKING:
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import TaskVariables
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks import _network_checks

ARGUMENTS = {
    "stage": {"type": "str", "choices": ["network", "collective"], "required": True},
    "plan": {"type": "dict", "required": True},
    "planned": {"type": "dict", "default": {}},
    "answers": {"type": "list", "elements": "str", "required": True},
    "look": {"type": "str", "default": "__vllm_ray_look"},
}


class ActionModule(ActionBase):
    """Shows what one stage of checks found, and ends the run where something stops it."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: TaskVariables | None = None) -> dict[str, object]:
        result = super().run(tmp, task_vars)
        variables = task_vars or {}
        _validated, arguments = self.validate_argument_spec(ARGUMENTS)
        plan = Plan.from_dict(arguments["plan"]["plan"]).whole
        if plan is None:
            return failure(result, "there is no plan")

        hostvars, hosts = variables["hostvars"], variables["ansible_play_hosts_all"]
        found_on = answers(hostvars, hosts, arguments["answers"])

        if arguments["stage"] == "network":
            # A check mode has opened no firewall.
            tested = t.cast("_network_checks.Answers", found_on)
            found = _stages.network(tested, closed_yet=bool(self._task.check_mode))
        else:
            rdma = _stages.with_rdma(plan, looks(hostvars, hosts, arguments["look"]))
            found = _stages.collective(arguments["planned"], found_on, rdma)
        settings = plan.hosts[plan.outline.head].settings
        problems = _report.without(found.problems, settings["vllm_ray_checks_off"])
        outcome = _report.count(problems) if found.state == "done" else found.state
        width = shutil.get_terminal_size((_report.WIDTH, 0)).columns
        lines = [f"{arguments['stage'].upper()}: {outcome}", *found.lines, *_report.problem_lines(problems, width)]
        show("\n".join(["", *lines]))
        stopping = _report.fails(problems, bool(settings["vllm_ray_strict"]))
        told = {"changed": False, "problems": problems, "state": found.state}
        if stopping:
            msg = f"{_report.count(stopping)}, see the table above; no service was started, changed or stopped"
            return failure(result, msg)
        return {**result, **told}
