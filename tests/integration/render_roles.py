# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Render what the roles ray and vllm would write for the variables of one host. Not a test: test_settings runs it.

Reads a JSON list of cases from stdin, each the vllm_ray_* variables of a host, and writes a JSON list of answers. An
answer has `refused`, the problems with the variables, or what the roles would write and what it is made from.
It is a process of its own because Ansible finds plugins of collections only after changes to Python's import system.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar

ROOT = Path(__file__).resolve().parents[2]
MAPPING = ROOT / "playbooks" / "vars" / "roles.yml"


def variables_of(role: str) -> dict[str, Any]:
    loaded = [
        DataLoader().load_from_file(str(ROOT / "roles" / role / part / "main.yml"), trusted_as_template=True)
        for part in ("defaults", "vars")
    ]
    return {**loaded[0], **loaded[1]}


def units_of(role: str) -> dict[str, Any]:
    """Return the arguments of the role's first call of service_set, which has the unit."""
    tasks = DataLoader().load_from_file(str(ROOT / "roles" / role / "tasks" / "main.yml"), trusted_as_template=True)
    return next(task["vllm_ray.cluster.service_set"] for task in tasks if "vllm_ray.cluster.service_set" in task)


def files_of(role: str, templar: Templar) -> list[dict[str, Any]]:
    """Return the files of a role, those with secrets by their texts, too."""
    given = units_of(role)
    files, secret_files, secrets = (templar.template(given[name]) for name in ("files", "secret_files", "secrets"))
    return files + [{**entry, "content": text} for entry, text in zip(secret_files, secrets)]


def render(given: dict[str, Any], home: str) -> dict[str, Any]:
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine import _ray
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _host, _settings
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._plans import _plan, _role_variables
    from ansible_collections.vllm_ray.cluster.tests.unit import looks

    checked = _settings.check("gpu01", {"vllm_ray_model": "/srv/demo", **given})
    if checked.problems:
        return {"refused": [problem.as_dict() for problem in checked.problems]}
    look = looks.look(1, 1, host_home=home, host_present=[checked.values["vllm_ray_model"]])
    host = _host.Host("gpu01", ("head",), checked.values, look)
    on_controller: Any = {"directory": "/srv/demo", "problem": None, "model": None}
    made = _plan.make_plan([host], ["192.0.2.1"], on_controller, "head", "workers")
    plan: Any = made.as_dict()
    if not made.whole:
        return {"refused": plan["problems"]}
    release = f"{home}/release"
    variables = {
        **{name: value for role in ("ray", "vllm") for name, value in variables_of(role).items()},
        **_role_variables.role_variables(made.whole, "gpu01", _role_variables.Run(hosts=["gpu01"])),
        **DataLoader().load_from_file(str(MAPPING), trusted_as_template=True),
        # What the play that serves has.
        "vllm_tls_ca": "",
        "__vllm_ray_plan": {"plan": plan},
        "__vllm_ray_secrets": {"values_by_name": {"ray.token": "t" * 64, "api.key": "k" * 64}},
        "__vllm_ray_look": {"engine": {}, "model": {"directory": checked.values["vllm_ray_model"]}, "host": {}},
        "release_found": {"path": release},
        "inventory_hostname": "gpu01",
        "hostvars": {"gpu01": {"vllm_ray_model": "/srv/demo", **given}},
        "vllm_ray_scope": checked.values["vllm_ray_scope"],
        "ansible_search_path": [str(ROOT / "roles" / role) for role in ("ray", "vllm")],
    }
    templar = Templar(loader=DataLoader(), variables=variables)
    node = templar.template(variables["__ray_node"])
    units = [service for role in ("ray", "vllm") for service in templar.template(units_of(role)["services"])]
    return {
        "files": [entry for role in ("ray", "vllm") for entry in files_of(role, templar)],
        "units": units,
        "node": node,
        "argv": _ray.start_argv(node),
        "environment": _ray.environment(node),
        "serve_environment": templar.template(variables["__vllm_environment"]),
        "config": templar.template(variables["__vllm_config"]),
        "names": {name: templar.template(variables[name]) for name in ("ray_cluster", "ray_user", "ray_command")},
        "group": templar.template(variables["ray_operators_group"]),
        "directories": {name: plan["hosts"]["gpu01"]["paths"][name] for name in ("config", "state")},
    }


def main() -> None:
    init_plugin_loader()
    home = sys.argv[1]
    json.dump([render(case, home) for case in json.load(sys.stdin)], sys.stdout)


if __name__ == "__main__":
    main()
