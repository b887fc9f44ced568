# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._manifest import difference, parse_entries
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._display_io import show
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._transfers import _copy

if t.TYPE_CHECKING:
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import TaskVariables

ARGUMENTS = {
    "compared": {"type": "dict", "required": True},
    "wanted": {"type": "dict", "required": True},
    "synced": {"type": "dict", "default": {}},
}


class ActionModule(ActionBase):
    """Says what makes a model directory the wanted one: names of files, and the two manifests as a diff."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: TaskVariables | None = None) -> dict[str, object]:
        result = super().run(tmp, task_vars)
        _validated, arguments = self.validate_argument_spec(ARGUMENTS)
        compared, wanted = arguments["compared"], arguments["wanted"]
        files, have = parse_entries(compared["to_copy"]), parse_entries(compared["files"])
        replaced, removed = difference(have, files).differing, compared["to_remove"]
        path, received = compared["directory"], arguments["synced"].get("received_from", {})
        result.update(
            changed=bool(files or removed),
            copied=[entry.path for entry in files],
            copied_bytes=compared["to_copy_bytes"],
            replaced=list(replaced),
            removed=removed,
            digest=wanted["digest"],
            msg=f"{path}: {_copy.summary(files, removed, replaced, self._task.check_mode)}{_copy.origins(received)}",
        )
        if self._task.diff:
            before, after = _copy.listing(have), _copy.listing(parse_entries(wanted["files"]))
            result["diff"] = {"before_header": path, "after_header": path, "before": before, "after": after}
        if result["changed"]:
            show(f"model | {(task_vars or {})['inventory_hostname']}: {result['msg']}")
        return result
