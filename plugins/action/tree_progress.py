# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import time
import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._display_io import show
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._transfers import _progress

if t.TYPE_CHECKING:
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import TaskVariables

# Seconds between two questions; how long a run may take to say something for the first time, which is after the hosts
# have hashed what they have; how long it may say nothing new, then it is dead.
INTERVAL, BEGIN, SILENCE = 1.0, 600.0, 30.0
ARGUMENTS = {
    "path": {"type": "path", "required": True},
    "token": {"type": "str", "required": True, "no_log": True},
    "record_directory": {"type": "path", "default": "/var/lib/vllm-ray/trees"},
    "title": {"type": "str", "default": "tree"},
    "timeout": {"type": "float", "default": 86400},
}


class ActionModule(ActionBase):
    """Asks one host again and again how far all are, and shows it, until nobody goes on."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: TaskVariables | None = None) -> dict[str, object]:
        result = super().run(tmp, task_vars)
        _validated, arguments = self.validate_argument_spec(ARGUMENTS)
        begin = shown_at = new_at = time.monotonic()
        shown = last = None
        while time.monotonic() - begin < arguments["timeout"]:
            said = self._execute_module(module_args=dict(arguments), task_vars=task_vars)
            now = time.monotonic()
            if said.get("failed") or said.get("unreachable"):
                return {**result, **said}
            if said["running"]:
                far = _progress.parse(said)
                new_at = new_at if far == last else now
                last = far
                if far.over:
                    break
                shown = shown or far
                if _progress.due(now - begin, now - shown_at):
                    show(_progress.line(arguments["title"], far, shown))
                    shown, shown_at = far, now
            elif last or self._task.check_mode:
                break
            if now - new_at > (SILENCE if last else BEGIN):
                break
            time.sleep(INTERVAL)
        return {**result, "changed": False, "seconds": round(time.monotonic() - begin, 1)}
