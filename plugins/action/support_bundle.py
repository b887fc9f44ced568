# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import platform
import shutil
import time
import typing as t

from ansible import constants as C
from ansible.plugins.action import ActionBase
from ansible.release import __version__ as ansible_version

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _redact
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base import _secrets_io
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import look_of, probes
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._display_io import show
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _members, _settings
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._plans._types import Plan
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._screens import _support_bundle, _support_bundle_io

if t.TYPE_CHECKING:
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import TaskVariables

ARGUMENTS = {
    "plan": {"type": "dict", "required": True},
    "look": {"type": "str", "default": "__vllm_ray_look"},
    "head_look": {"type": "dict", "default": {}},
    "serve_look": {"type": "dict", "default": {}},
    "part": {"type": "str", "default": "__vllm_ray_part"},
}


class ActionModule(ActionBase):
    """Joins the parts of all hosts, and what the controller knows, to one file."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: TaskVariables | None = None) -> dict[str, object]:
        result = super().run(tmp, task_vars)
        variables = task_vars or {}
        _validated, arguments = self.validate_argument_spec(ARGUMENTS)
        hostvars = variables["hostvars"]
        names = list(_members.members(hostvars, variables["groups"]))
        settings = {name: _settings.of_host(name, variables).values for name in names}
        told = probes(hostvars, names, arguments["look"], arguments["head_look"], arguments["serve_look"])
        looks = {name: look_of(look) for name, look in told.items()}
        parts = {name: hostvars[name].get(arguments["part"]) for name in names}
        lacking = _support_bundle.missing(names, told, parts, arguments["plan"])
        versions = {"ansible-core": ansible_version, "python": platform.python_version()}
        secrets = [secret for of_host in settings.values() for secret in _secrets_io.known(of_host)]
        plan = Plan.from_dict(arguments["plan"].get("plan", {}))
        texts = _support_bundle.documents(
            plan, arguments["plan"].get("problems", []), looks, settings, versions, lacking, secrets
        )
        own = settings[names[0]] if names else {}
        name = _support_bundle.folder_name(
            own.get("vllm_ray_cluster", "default"), time.strftime("%Y%m%dT%H%M%S", time.gmtime())
        )
        folder = os.path.abspath(os.path.expanduser(own.get("vllm_ray_report") or "."))
        path = os.path.join(folder, f"{name}.tar.gz")
        archives = {host: part["path"] for host, part in parts.items() if part and part.get("path")}
        if not self._task.check_mode:
            # Where a run is ended, Ansible removes what is half done with its own temporary directory.
            made = os.path.join(C.DEFAULT_LOCAL_TMP, f"{name}.tar.gz")
            lacking += _support_bundle_io.join(made, name, texts, archives, _redact.Redactor(secrets))
            os.makedirs(folder, exist_ok=True)
            shutil.move(made, path)
        verb = "would be written to" if self._task.check_mode else "is"
        lacks = f" (incomplete, see its files MISSING and REFUSED: {len(lacking)})" if lacking else ""
        show(f"\nThe support bundle {verb} {path}{lacks}")
        return {**result, "changed": True, "path": path, "missing": lacking}
