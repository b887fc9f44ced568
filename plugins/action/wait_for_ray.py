# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import time
import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine._ray import (
    missing_nodes,
    placement_problems,
    table_lines,
)
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._display_io import show, warn

if t.TYPE_CHECKING:
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import TaskVariables

ARGUMENTS = {
    "url": {"type": "str", "default": "http://127.0.0.1:8265"},
    "token_file": {"type": "path", "required": True, "no_log": False},
    "wanted": {"type": "dict", "required": True},
    "optional": {"type": "dict", "default": {}},
    "optional_timeout": {"type": "int", "default": 30},
    "names": {"type": "dict", "required": True},
    "free": {"type": "bool", "default": False},
    "timeout": {"type": "int", "default": 300},
    "interval": {"type": "float", "default": 2},
}


class ActionModule(ActionBase):
    """Polls the node table on the head, and shows how many nodes have come."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: TaskVariables | None = None) -> dict[str, object]:
        result = super().run(tmp, task_vars)
        _validated, arguments = self.validate_argument_spec(ARGUMENTS)
        wanted, names = arguments["wanted"], arguments["names"]
        everyone = {**wanted, **arguments["optional"]}
        query = {key: arguments[key] for key in ("url", "token_file")}
        start = time.monotonic()
        shown = ""
        while True:
            table = self._execute_module(
                module_name="vllm_ray.cluster.ray_cluster_info", module_args=query, task_vars=task_vars
            )
            if table.get("failed") or table.get("unreachable"):
                return {**result, **table}
            missing = missing_nodes(table["nodes"], wanted)
            late = missing_nodes(table["nodes"], everyone)
            text = f"{len(everyone) - len(late)}/{len(everyone)} nodes"
            if late:
                text += f", waiting for {', '.join(names.get(address, address) for address in late)}"
                text += f" ({table['why']})" if table["why"] else ""
            if text != shown:
                show(f"ray | {text}")
                shown = text
            patience = arguments["timeout" if missing else "optional_timeout"]
            if not late or time.monotonic() - start > patience or self._task.check_mode:
                break
            time.sleep(arguments["interval"])
        problems = placement_problems(table["nodes"], wanted, names) if arguments["free"] and not missing else []
        if late and not missing:
            listed = ", ".join(names.get(address, address) for address in late)
            warn(f"Nodes that the engine does not use have not joined: {listed}")
        return {
            **result,
            "changed": False,
            "missing": [names.get(address, address) for address in missing],
            "problems": problems,
            "nodes": table["nodes"],
            "waiting": table["waiting"],
            "lines": table_lines(table["nodes"], names),
            "why": table["why"],
        }
