# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._manifest import sentence
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base import _run_io
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import answers
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._display_io import failure
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._transfers import (
    _peer_addresses,
    _peer_addresses_io,
    _transfer,
)

if t.TYPE_CHECKING:
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import Answer, TaskVariables

ARGUMENTS = {
    "source": {"type": "dict", "required": True},
    "compared": {"type": "str", "required": True},
    "addresses": {"type": "list", "elements": "dict", "default": []},
}


class ActionModule(ActionBase):
    """Decides once for all hosts of the play which of them take part in a transfer, and from which source."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: TaskVariables | None = None) -> dict[str, object]:
        result = super().run(tmp, task_vars)
        variables = task_vars or {}
        _validated, arguments = self.validate_argument_spec(ARGUMENTS)
        source, hostvars = arguments["source"], variables["hostvars"]
        compared = answers(hostvars, variables["ansible_play_hosts"], [arguments["compared"]])
        hosts = [self.host(name, found, source) for name, found in compared.items() if found]
        transfer = _transfer.decide(hosts, source)
        if transfer.problem:
            return failure(result, f"{sentence(transfer.problem)}")
        resolve = _peer_addresses_io.resolve
        parts = _peer_addresses.peers(transfer.parts, arguments["addresses"], hostvars, "model_hosts", resolve)
        return {
            **result,
            "changed": False,
            "dry": bool(self._task.check_mode),
            "needed": bool(transfer.parts or transfer.seed),
            "source": source["where"],
            "hosts": parts,
            "seed": transfer.seed,
            "waiting": transfer.waiting,
            "outside": next((name for name in transfer.parts if name not in compared), ""),
            "window": 10 + 2 * len(parts) / int(variables["ansible_forks"]),
            "run": _run_io.new_name(),
        }

    def host(self, name: str, found: Answer, source: Answer) -> _transfer.Host:
        system = found["filesystem"]
        return _transfer.Host(
            name,
            differs=bool(found["to_copy"] or found["to_remove"]),
            lacks=found["to_copy_bytes"],
            shared=f"{system['type']} {system['source']}" if system["shared"] else "",
            has_source=not source["controller"] and name == source["where"],
        )
