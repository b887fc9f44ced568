# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans for the tests of what reads them: only what a test is about is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _settings
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._paths import paths
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._plans._types import Plan

SETTINGS = _settings.check("-", {"vllm_ray_model": "/srv/demo", "vllm_ray_firewall": "off"}).values
HOST: dict[str, Any] = {
    "address": "192.0.2.11",
    "nic": "eno1",
    "is_head": False,
    "reached": True,
    "gpus": 1,
    "metrics_ports": [],
    "own_addresses": [],
    "ray_gpus": [],
    "engine_gpus": [],
    "env": {},
    "foreign_ray": [],
    "may_stop": False,
    "settings": {},
}
ENDPOINT = {"host": "192.0.2.11", "port": 8000, "url": "http://192.0.2.11:8000", "model": "demo"}
ENGINE: dict[str, Any] = {
    "tp": 1,
    "pp": 1,
    "gpus": {},
    "endpoint": ENDPOINT,
    "needs_free": True,
    "layers": {},
    "wanted": {},
    "unused": {},
    "kept": False,
    "notes": [],
    "advice": {},
    "away": 0.0,
}
RAY = {
    "gcs_port": 6379,
    "dashboard_url": "http://127.0.0.1:8265",
    "config_dir": "/etc/vllm-ray/default",
    "token_file": "/etc/vllm-ray/default/ray.token",
}
OUTLINE: dict[str, Any] = {
    "cluster": "default",
    "head": "gpu01",
    "accelerator": "cuda",
    "serving": False,
    "ray": RAY,
    "problems": [],
}
WHOLE: dict[str, Any] = {
    "news": "nothing serves",
    "names": {},
    "peers": {},
    "leaving": [],
    "held": {},
    "renewals": {},
    "api_clients": [],
    "serve_host": "gpu01",
    "members": [],
    "record": {},
    "release": {"builder": "gpu01", "path": "", "id": "", "present": {}},
    "model": {},
    "rotation": None,
    "tls": {"mode": "off", "names": []},
    "hosts": {},
}


def host(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return a host in the form of the plan."""
    settings = {**SETTINGS, **told.get("settings", {})}
    place = {**paths(settings, "/root").as_dict(), **told.get("paths", {})}
    return {**HOST, **told, "settings": settings, "paths": place}


def plan(told: Mapping[str, Any]) -> Plan:
    """Return a plan from parts in the form in which tasks return it. It has a layout where an engine is given."""
    if not told.keys() - {"problems"}:
        return Plan.from_dict(told)
    if "engine" not in told:
        return Plan.from_dict({**OUTLINE, **told})
    engine = {**ENGINE, **{name: value for name, value in told["engine"].items() if name != "executor"}}
    engine["endpoint"] = {**ENDPOINT, **engine["endpoint"]}
    hosts = {name: host(part) for name, part in told.get("hosts", {}).items()}
    return Plan.from_dict({**OUTLINE, **WHOLE, **told, "engine": engine, "hosts": hosts})
