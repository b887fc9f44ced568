# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import typing as t

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs import _hub
from ansible_collections.vllm_ray.cluster.plugins.module_utils._models import _model_config_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._manifest_io import Unusable, unusable
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._display_io import failure, show
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._report_io import write_json
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _settings
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._host import serve_args
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner import _advice, _hosts_file, _wishes
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._screens import _screen

if t.TYPE_CHECKING:
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import TaskVariables

ARGUMENTS = {"hosts_file": {"type": "path", "required": True}}


class ActionModule(ActionBase):
    """Plans an engine for hosts of a file: nothing is contacted but the hub of the model, if it is not here."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: TaskVariables | None = None) -> dict[str, object]:
        result = super().run(tmp, task_vars)
        _validated, arguments = self.validate_argument_spec(ARGUMENTS)
        checked = _settings.check("localhost", task_vars or {})
        if checked.problems:
            return failure(result, _screen.summary([p.as_dict() for p in checked.problems]))
        # Ansible looks for relative paths beside the playbook; users mean the directory that they are in.
        settings, place = checked.values, os.path.abspath(arguments["hosts_file"])
        try:
            told = _hosts_file.parse(self._loader.load_from_file(place), settings)
            model = _model_config_io.info(query(settings)).model
            wishes = _wishes.read(serve_args(settings), settings["vllm_ray_env"])
        except Unusable as error:
            return failure(result, str(error))
        except _wishes.WishError as error:
            return failure(result, f"{error}. Expected: {error.wanted}. To fix: {error.fix}")
        except (_hosts_file.HostsError, AnsibleError) as error:
            return failure(result, f"vllm_ray_hosts_file={place}: {error}")
        advice = _advice.advise(model, told.hosts, told.link, wishes)
        advice["notes"] += [told.note] if told.note and len(told.hosts) > 1 else []
        if settings.get("vllm_ray_plan_file"):
            write_json(settings["vllm_ray_plan_file"], {"model": model.as_dict(), "advice": advice})
        if not advice["fits"] and not advice["close"]:
            return failure(result, _screen.refusal(settings["vllm_ray_model"], advice))
        show(_screen.layout(settings["vllm_ray_model"], told.hosts, advice))
        return {**result, "changed": False, "advice": advice}


def query(settings: t.Mapping[str, t.Any]) -> _model_config_io.Query:
    """Return what to read of the model: a directory, a config.json in one, or a hub. Raises Unusable."""
    wish, source = settings["vllm_ray_model"], settings["vllm_ray_model_source"]
    here = os.path.abspath(os.path.expanduser(wish))
    if os.path.isfile(here):
        here, name = os.path.split(here)
        if name != _model_config_io.CONFIG:
            wanted = "a directory, a config.json, or an id of a hub"
            raise unusable(f"{here}/{name} is a file", wanted, "correct vllm_ray_model")
    options = {
        "model": here if os.path.isdir(here) else wish,
        "hub": _hub.hub_of(wish, source),
        "revision": settings.get("vllm_ray_model_revision") or "",
        "endpoint": settings.get("vllm_ray_hf_endpoint") or "",
        "token": settings.get("vllm_ray_hf_token"),
        "proxy": settings.get("vllm_ray_proxy"),
        "ca_certificate": settings.get("vllm_ray_ca_certificate"),
    }
    return _model_config_io.query_of(options)
