# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import answers, looks
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._display_io import failure, show
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks import _parity
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._plans._types import Plan, client_url
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._screens import _screen

if t.TYPE_CHECKING:
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _look
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import TaskVariables

ARGUMENTS = {
    "plan": {"type": "dict", "required": True},
    "endpoint": {"type": "dict", "required": True},
    "nodes": {"type": "list", "elements": "str", "required": True},
    "models": {"type": "list", "elements": "str", "required": True},
    "answers": {"type": "list", "elements": "dict", "required": True},
    "key_file": {"type": "str", "required": True},
    "ca_file": {"type": "str", "default": ""},
    "renewed": {"type": "bool", "default": True},
    "held_in": {"type": "list", "elements": "str", "required": True},
    "worked": {"type": "dict", "default": {}},
    "look": {"type": "str", "default": "__vllm_ray_look"},
    "release": {"type": "str", "default": "release_found"},
}


class ActionModule(ActionBase):
    """Shows what was proved, how to use it, and what waits for consent."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: TaskVariables | None = None) -> dict[str, object]:
        result = super().run(tmp, task_vars)
        _validated, arguments = self.validate_argument_spec(ARGUMENTS)
        hostvars, plan = (task_vars or {})["hostvars"], Plan.from_dict(arguments["plan"]).whole
        if plan is None:
            return failure(result, "there is no plan")
        endpoint = arguments["endpoint"]
        url = client_url(endpoint["url"], endpoint.get("name") or "")
        ways = _screen.snippets(url, endpoint["model"], arguments["key_file"], arguments["ca_file"])
        held = {
            host: [reason for reasons in held_of(hostvars[host], arguments["held_in"]) for reason in reasons]
            for host in plan.hosts
        }
        held = {**plan.held, **{host: reasons for host, reasons in held.items() if reasons}}
        screen = _screen.proof(
            plan.engine.layout, url, arguments["nodes"], arguments["models"], arguments["answers"], ways
        )
        there = {host: look for host, look in looks(hostvars, plan.hosts, arguments["look"]).items() if look}
        told = answers(hostvars, plan.hosts, [arguments["release"]])
        releases = {host: t.cast("_look.ReleaseDetails", release) for host, release in told.items() if release}
        rows = _parity.good_run(arguments["worked"], _parity.matrix(there, releases), list(plan.hosts), list(there))
        # Where something is held, the engine keeps serving with other data than were found.
        good = bool(arguments["answers"]) and not held and rows != arguments["worked"]
        if not arguments["renewed"]:
            server = plan.engine.serve_host
            held[server] = [
                *held.get(server, []),
                "vLLM still uses the previous certificate, although a new one is installed",
            ]
        show(screen + _screen.held(held))
        return {
            **result,
            "changed": False,
            "held": held,
            "worked": rows if good else None,
            "snippets": ways,
        }


def held_of(variables: t.Mapping[str, t.Any], names: list[str]) -> list[list[str]]:
    """Return the reasons for which services of a host were held, from what its tasks registered."""
    registered = [variables.get(name) or {} for name in names]
    return [reasons for result in registered for reasons in (result.get("held") or {}).values()]
