# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads details of a host for the status: firewall, model, release. PRIVATE to the collection."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _redact_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._safe_io import read_text
from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine import _engine_state, _ray_io, _runtime, _vllm
from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall import _backends_io, _rules
from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _details
from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases import _release, _release_io, _tools_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._services import _service_log_io

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible.module_utils.basic import AnsibleModule

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._redact import Redactor
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _look

# An engine in use logs a line every ten seconds: enough for the errors of some hours.
LINES = 2000


def details(module: AnsibleModule, wanted: Mapping[str, t.Any]) -> _look.Details:
    """Return what there is of a cluster. wanted: the option details of host_info."""
    services, config = module.params["services"], wanted["config"]
    logs = dict(zip(services, wanted["log_files"] or [None] * len(services)))
    redactor = _redact_io.redactor(config, wanted["started"])
    engine, started = services[-1], text_of(module.params["engine_config"])
    script = os.path.basename(module.params["engine_config"]).replace(".yaml", ".sh")
    return {
        "services": {name: service(module, name, log_file, redactor) for name, log_file in logs.items()},
        "kv_cache": _vllm.kv_cache(_service_log_io.told_of_cache(module, engine, logs[engine])) if started else {},
        "firewall": firewall(module, wanted["cluster"]),
        "model": _details.model(_engine_state.mapping(started), text_of(f"{config}/{script}")) if started else {},
        "release": release(module, wanted["release"], wanted["user"]),
        "nodes": _ray_io.look(wanted["dashboard"], f"{config}/ray.token") if wanted["dashboard"] else {},
    }


def text_of(path: str) -> str:
    """Return the text of a file, an empty one where there is none or it can't be read."""
    try:
        return read_text(path) or ""
    except OSError:
        return ""


def service(module: AnsibleModule, name: str, log_file: str | None, redactor: Redactor) -> _look.ServiceDetails:
    """Return what the log of a service says, without secrets. One that was never here has an empty log."""
    log = _service_log_io.read(module, name, log_file, LINES)
    # Before anything is cut: half a secret is not known any more.
    parts = [redactor.text("\n".join(lines)).split("\n") for lines in log.parts]
    return {
        "state": log.state,
        # Supervisor's log does not distinguish automatic restarts from manual ones.
        "restarts": 0 if log_file else log.restarts,
        "first_error": _vllm.first_failure(parts),
        "progress": _vllm.progress(parts[-1]),
    }


def firewall(module: AnsibleModule, cluster: str) -> _look.FirewallDetails:
    """Return whether something filters what comes in, and our rules."""
    backend = _backends_io.backend(module)
    state = backend.state() if os.geteuid() == 0 else None
    return _details.firewall(backend.tool, state, _rules.comment_of(cluster))


def release(module: AnsibleModule, path: str, user: str) -> _look.ReleaseDetails:
    """Return path, Python and versions of a release, by links and names of directories, and one start of its Python.

    user: the service user, which starts it in place of root.
    """
    if not os.path.isdir(path):
        return {}
    python = _tools_io.find_python(module, _runtime.runtime_of(path).python(), user)
    return {
        "path": os.path.realpath(path),
        "python": python.as_dict() if python else None,
        "versions": _release.shown_versions(_release_io.packages(path)),
    }
