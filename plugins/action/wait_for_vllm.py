# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import time
import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine._vllm import DEFAULT_PROOF
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._display_io import failure, show

if t.TYPE_CHECKING:
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import Answer, TaskVariables

ARGUMENTS = {
    "url": {"type": "str", "required": True},
    "key_file": {"type": "path", "required": True, "no_log": False},
    "ca_file": {"type": "path"},
    "server_name": {"type": "str"},
    "certificate_file": {"type": "path"},
    "model": {"type": "str", "required": True},
    "proof": {"type": "list", "elements": "dict"},
    "service": {"type": "str", "required": True},
    "log_file": {"type": "path"},
    "timeout": {"type": "int", "default": 1800},
    "interval": {"type": "float", "default": 2},
    "fail": {"type": "bool", "default": True},
}
# Seconds between two lines of progress.
ENDPOINT = ("url", "key_file", "ca_file", "server_name", "certificate_file", "model")
PROGRESS = 10
# Seconds in which an engine loads a new certificate: vLLM looks for one all the time.
LOADED = 10


def failed(answer: Answer) -> bool:
    """Return whether a module failed or its host can't be reached."""
    return bool(answer.get("failed") or answer.get("unreachable"))


class ActionModule(ActionBase):
    """Asks for completions until they come, shows what the log says meanwhile, and gives up on a crash."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: TaskVariables | None = None) -> dict[str, object]:
        result = super().run(tmp, task_vars)
        _validated, arguments = self.validate_argument_spec(ARGUMENTS)
        question = {key: arguments[key] for key in ENDPOINT if arguments[key] is not None}
        question["proof"] = arguments["proof"] or [DEFAULT_PROOF]
        # vLLM writes its options to its log.
        config = os.path.dirname(arguments["key_file"] or "") or None
        log_query = {"name": arguments["service"], "log_file": arguments["log_file"], "config": config}
        start = said = time.monotonic()
        refused = restarts = None
        while True:
            # The host asks again by itself: a module's start costs it more than many questions.
            answer = self._ask("vllm_endpoint_info", question, task_vars)
            if failed(answer):
                return {**result, **answer}
            waited = time.monotonic() - start
            question["wait"] = max(0, min(PROGRESS, int(arguments["timeout"] - waited)))
            if answer["ready"] and not answer["renewed"] and waited < LOADED and not self._task.check_mode:
                time.sleep(arguments["interval"])
                continue
            if answer["ready"] or self._task.check_mode:
                return {**result, "changed": False, "seconds": round(waited, 1), **answer}
            if answer["final"]:
                return self._give_up(result, "its answer is not the expected one (vllm_ray_proof)", answer, {})
            refused = (waited if refused is None else refused) if answer["untrusted"] else None
            if refused is not None and waited - refused >= LOADED:
                what = "its certificate is refused; if it or vllm_ray_tls changed, pass -e vllm_ray_restart=true"
                return self._give_up(result, what, answer, {})
            log: Answer = {}
            if time.monotonic() - said >= PROGRESS or restarts is None:
                said = time.monotonic()
                log = self._ask("service_log_info", log_query, task_vars)
                if failed(log):
                    return {**result, **log}
                restarts = log["restarts"] if restarts is None else restarts
                # The first start of this wait that fails says more than the ones after it.
                log_query["since"] = restarts
                show(f"vllm | {waited:.0f} s: {log['progress'] or answer['why']}")
            if log.get("restarts", 0) > (restarts or 0):
                return self._give_up(result, "it ended during its start", answer, log)
            if waited > arguments["timeout"]:
                if not arguments["fail"]:
                    return {**result, "changed": False, "seconds": round(waited, 1), **answer}
                log = self._ask("service_log_info", log_query, task_vars)
                if failed(log):
                    return {**result, **log}
                return self._give_up(result, f"no completion in {waited:.0f} s", answer, log)
            time.sleep(arguments["interval"])

    def _ask(self, module: str, arguments: dict[str, object], task_vars: TaskVariables | None) -> Answer:
        name = f"vllm_ray.cluster.{module}"
        return self._execute_module(module_name=name, module_args=arguments, task_vars=task_vars)

    @staticmethod
    def _give_up(result: dict[str, object], what: str, answer: Answer, log: Answer) -> dict[str, object]:
        cause = log.get("first_error") or answer["why"]
        tail = log.get("tail", [])
        return failure({**result, **answer, "tail": tail}, f"The engine does not serve: {what}. {cause}")
