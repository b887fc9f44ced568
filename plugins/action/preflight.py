# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import shutil
import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base import _report, _report_io
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import answers, looks
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._display_io import failure, show
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks import _preflight
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _members, _settings
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._plans import _stages
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._plans._types import Plan

if t.TYPE_CHECKING:
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import TaskVariables
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks import _network_checks

ARGUMENTS = {
    "ssh": {"type": "dict", "default": {}},
    "plan": {"type": "dict", "required": True},
    "ranks": {"type": "dict", "default": {"why": "not part of this run", "hosts": {}}},
    "look": {"type": "str", "default": "__vllm_ray_look"},
    "network": {
        "type": "list",
        "elements": "str",
        "default": ["__vllm_ray_network_gathered", "__vllm_ray_network_started"],
    },
    "collective": {
        "type": "list",
        "elements": "str",
        "default": ["__vllm_ray_collective_gathered", "__vllm_ray_collective_started"],
    },
    "release": {"type": "str", "default": "__vllm_ray_release"},
    "parser": {"type": "str", "default": "vllm_check"},
}


class ActionModule(ActionBase):
    """Gathers what all checks found, shows it, writes the reports and ends the run where something stops it."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: TaskVariables | None = None) -> dict[str, object]:
        result = super().run(tmp, task_vars)
        variables = task_vars or {}
        _validated, arguments = self.validate_argument_spec(ARGUMENTS)
        hostvars = variables["hostvars"]
        names = list(_members.members(hostvars, variables["groups"]))
        seen = looks(hostvars, names, arguments["look"])
        networks, collectives, releases, parsers = (
            answers(hostvars, names, variables_of)
            for variables_of in (
                arguments["network"],
                arguments["collective"],
                [arguments["release"]],
                [arguments["parser"]],
            )
        )
        settings = _settings.of_host(names[0], variables).values if names else {}
        strict = bool(settings.get("vllm_ray_strict"))
        plan = arguments["plan"]
        planned = Plan.from_dict(plan["plan"]).whole
        rdma = _stages.with_rdma(planned, seen)
        collective = _stages.collective(arguments["ranks"], collectives, rdma)
        parser = _stages.parser(planned, releases, parsers)
        found = _preflight.gather(
            names,
            arguments["ssh"],
            plan,
            seen,
            t.cast("_network_checks.Answers", networks),
            t.cast("dict[str, _preflight.Release | None]", releases),
            parser,
            collective,
            settings,
        )
        text = _preflight.screen(found, shutil.get_terminal_size((_report.WIDTH, 0)).columns)
        show(text)
        report = _report.document(
            found.problems,
            found.checks,
            strict,
            hosts={name: look for name, look in seen.items() if look},
            parity=found.parity,
            changes=found.changes,
            network={name: answer for name, answer in networks.items() if answer},
            collective={name: answer for name, answer in collectives.items() if answer},
        )
        folder = settings.get("vllm_ray_report")
        if folder:
            _report_io.write_json(os.path.join(folder, "preflight.json"), report)
            _report_io.write_junit(os.path.join(folder, "preflight.xml"), found.problems, found.checks, strict)
        if not report["passed"]:
            worst = _report.count(_report.fails(found.problems, strict))
            # Ansible shows all that a failed task returns: the report would bury the table.
            return failure(result, f"{worst}, see the table above")
        return {**result, "changed": False, "report": report}
