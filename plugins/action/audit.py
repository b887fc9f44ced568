# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import shutil
import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._audits import _audit
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base import _report, _report_io
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import answers, looks
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._display_io import failure, show
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _members, _settings
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._plans._types import Plan

if t.TYPE_CHECKING:
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import TaskVariables

ARGUMENTS = {
    "plan": {"type": "dict", "required": True},
    "outside": {"type": "dict", "default": {}},
    "stranger": {"type": "str", "default": "localhost"},
    "look": {"type": "str", "default": "__vllm_ray_look"},
    "inside": {"type": "str", "default": "__vllm_ray_audit_host"},
    "rules": {"type": "str", "default": "__vllm_ray_audit_rules"},
    "peers": {"type": "str", "default": "__vllm_ray_audit_peers"},
}


class ActionModule(ActionBase):
    """Judges what the hosts found, shows it, writes the reports and fails where a row does not hold."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: TaskVariables | None = None) -> dict[str, object]:
        result = super().run(tmp, task_vars)
        variables = task_vars or {}
        _validated, options = self.validate_argument_spec(ARGUMENTS)
        hostvars, told = variables["hostvars"], options["plan"]
        plan = Plan.from_dict(told["plan"]).whole
        if plan is None:
            stopping = "; ".join(problem["found"] for problem in _report.fails(told["problems"], strict=False))
            return failure(result, f"there is no plan to audit against, preflight.yml shows details: {stopping}")
        names = list(_members.members(hostvars, variables["groups"]))
        seen = looks(hostvars, names, options["look"])
        inside, peers = (answers(hostvars, names, [options[key]]) for key in ("inside", "peers"))
        # Where ufw_peers refuses to go on, it says why.
        rules = {name: hostvars[name].get(options["rules"]) for name in names}
        outside = options["outside"] if options["outside"].get("hosts") else None
        audit = _audit.Audit(plan, seen, inside, rules, peers, options["stranger"], outside, told["protection"])
        found = _audit.verdicts(audit)
        settings = _settings.of_host(names[0], variables).values
        off, strict = settings.get("vllm_ray_checks_off") or [], bool(settings.get("vllm_ray_strict"))
        width = shutil.get_terminal_size((_report.WIDTH, 0)).columns
        show(_audit.screen(plan.outline.cluster, found, off, width))
        problems, checks = _audit.checks(found)
        report = _report.document(
            _audit.problems(found), checks, strict, cluster=plan.outline.cluster, rows=_audit.rows(found)
        )
        folder = settings.get("vllm_ray_report")
        if folder:
            _report_io.write_json(os.path.join(folder, "audit.json"), report)
            _report_io.write_junit(os.path.join(folder, "audit.xml"), problems, checks, strict, "audit")
        if not report["passed"]:
            return failure(result, f"{_audit.count(found, off)}, see the table above")
        return {**result, "changed": False, "report": report}
