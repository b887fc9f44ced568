# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase
from ansible.utils.vars import load_extra_vars

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import answers
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._display_io import ActionFailed, show
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _members, _settings
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._screens import _release_list

if t.TYPE_CHECKING:
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import TaskVariables

ARGUMENTS = {"listed": {"type": "str", "default": "__vllm_ray_listed"}}


class ActionModule(ActionBase):
    """Chooses the release to which a cluster goes back."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: TaskVariables | None = None) -> dict[str, object]:
        result = super().run(tmp, task_vars)
        variables = task_vars or {}
        _validated, arguments = self.validate_argument_spec(ARGUMENTS)
        hostvars = variables["hostvars"]
        names = list(_members.members(hostvars, variables["groups"]))
        settings = _settings.of_host(names[0], variables).values
        if settings.get("vllm_ray_release_path"):
            raise ActionFailed(
                f"The cluster uses {settings['vllm_ray_release_path']}, which is not a release of site.yml. Expected: "
                "a cluster whose releases site.yml builds. To change it, set vllm_ray_release_path and run site.yml."
            )
        found = answers(hostvars, names, [arguments["listed"]])
        listed = {host: answer["releases"] if answer else None for host, answer in found.items()}
        # In the inventory, the variable keeps the present release. Another target is given as an extra variable.
        given = str(load_extra_vars(self._loader).get("vllm_ray_release_id") or "")
        cluster = settings["vllm_ray_cluster"]
        id_, why = _release_list.back_to(cluster, names[0], listed, given)
        if why:
            raise ActionFailed(why)
        show(_release_list.turn(cluster, listed, id_))
        return {**result, "changed": False, "id": id_}
