# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every example inventory is read by Ansible and planned without an error."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible.inventory.manager import InventoryManager
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible.vars.manager import VariableManager

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._accelerator import ACCELERATORS
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import (
    _host,
    _members,
    _private,
    _settings,
)
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._plans import _plan, _role_variables
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._plans._types import Plan
from ansible_collections.vllm_ray.cluster.tests.contract import walk
from ansible_collections.vllm_ray.cluster.tests.unit import looks

VARIABLES = [walk.ROOT / "playbooks" / "vars" / f"{name}.yml" for name in ("roles", "serve")]
DEMO_MODEL = str(walk.ROOT / "demo-model" / "model")
# {inventory: (GPUs of each host, the layout that must come of it: TP, PP, executor)}
PLANS = {
    "cluster.ini": ((8, 8, 8), (8, 3, "ray")),
    "inventories/cpu-lab/cluster.ini": ((0, 0, 0), (1, 3, "ray")),
    "inventories/local/cluster.ini": ((0,), (1, 1, "mp")),
    "inventories/mixed-gpus/cluster.ini": ((4, 2, 2), (2, 3, "ray")),
    "inventories/one-host/cluster.ini": ((4,), (4, 1, "mp")),
    "inventories/two-hosts/cluster.ini": ((4, 4), (4, 2, "ray")),
}


def look(number: int, gpus: int, settings: dict[str, Any]) -> Any:
    """Return what host_info says of a Debian host that has what its settings name."""
    present = [DEMO_MODEL, "/srv/models/Qwen3-32B"]
    port = {"port": 1, "state": "ACTIVE", "physical": "LinkUp", "link_layer": "InfiniBand", "nics": [], "gids": []}
    devices = settings.get("vllm_ray_rdma_devices") or []
    rdma = [{"device": device, "rate": 400.0, **port} for device in devices]
    seen = looks.look(number, gpus, host_present=present, network_rdma=rdma)
    seen["host"]["memlock"]["login"] = -1
    seen["network"]["cluster_nic"]["nic"] = settings.get("vllm_ray_nic") or "eno1"
    return seen


def read(inventory: Path) -> tuple[dict[str, dict[str, Any]], dict[str, list[str]]]:
    """Return variables by host, and hosts by group, as Ansible has them in a play."""
    loader = DataLoader()
    loader.set_basedir(str(walk.ROOT))
    manager = InventoryManager(loader=loader, sources=[str(inventory)])
    variables = VariableManager(loader=loader, inventory=manager)
    found = {}
    for host in manager.get_hosts():
        raw = variables.get_vars(host=host)
        templar = Templar(loader=loader, variables=raw)
        found[host.name] = {name: templar.template(raw[name]) for name in raw if name.startswith("vllm_ray_")}
    return found, {name: [host.name for host in group.get_hosts()] for name, group in manager.groups.items()}


def test_every_inventory_is_here() -> None:
    files = [walk.ROOT / "cluster.ini", *walk.below("inventories", suffix="cluster.ini")]
    assert sorted(path.relative_to(walk.ROOT).as_posix() for path in files) == sorted(PLANS)


def planned(name: str) -> Plan:
    """Return the plan for an inventory."""
    gpus, _layout = PLANS[name]
    hostvars, groups = read(walk.ROOT / name)
    hosts = []
    for number, (host, roles) in enumerate(_members.members(hostvars, groups).items(), 1):
        checked = _settings.check(host, hostvars[host])
        assert checked.problems == []
        seen = look(number, gpus[number - 1], checked.values)
        hosts.append(_host.Host(host, roles, checked.values, seen))
    assert len(hosts) == len(gpus)
    on_controller: Any = {"directory": "/srv/model", "problem": None, "model": None}
    return _plan.make_plan(hosts, ["192.0.2.1"], on_controller, "head", "workers")


@pytest.mark.parametrize("name", PLANS)
def test_it_is_planned(name: str) -> None:
    _gpus, (tp, pp, executor) = PLANS[name]
    plan: Any = planned(name).as_dict()
    # The demo works without root, so without a firewall, and says so. Of the others, one has TLS.
    expected = {"inventories/local/cluster.ini": ["firewall"], "inventories/mixed-gpus/cluster.ini": []}
    assert [p["check"] for p in plan["problems"]] == expected.get(name, ["tls"])
    assert (plan["engine"]["tp"], plan["engine"]["pp"], plan["engine"]["executor"]) == (tp, pp, executor)


@pytest.mark.parametrize("name", PLANS)
def test_roles_get_what_they_specify(name: str) -> None:
    """site.yml leaves out that roles check their arguments on every host and run: all of them come from the plan."""
    whole = planned(name).whole
    assert whole
    plan: Any = planned(name).as_dict()
    settings = {host: _settings.check(host, given).values for host, given in read(walk.ROOT / name)[0].items()}
    done = {
        "__vllm_ray_plan": {"plan": plan},
        "__vllm_ray_certificate": {"ca": "c", "certificate": "d", "key": "e"},
        "__vllm_ray_secrets": {"values_by_name": {"ray.token": "t", "api.key": "k"}},
        "__vllm_ray_look": {"engine": {}},
        "release_found": {"path": "/opt/release"},
        "release_of_builder": {"id": "cpu-1"},
    }
    loaded = [DataLoader().load_from_file(str(path), trusted_as_template=True) for path in VARIABLES]
    seen: Any = {"gpu01": {"engine": {}, "host": {"checked": ""}}}
    run = _role_variables.Run(str(walk.ROOT), hosts=list(plan["hosts"]), looks=seen)
    offences = []
    for host in plan["hosts"]:
        hostvars = {other: {"inventory_hostname": other} for other in plan["hosts"]}
        # The lookup of this name reads them where a play runs.
        private = _private.private(settings[host], ACCELERATORS[plan["accelerator"]])
        given_by_plan = _role_variables.role_variables(whole, host, run)
        templates = {**loaded[0], **loaded[1]}
        offences += [f"{name} is given twice" for name in templates if name in given_by_plan]
        own = {"__private": private, "inventory_hostname": host, "hostvars": hostvars}
        variables = {**given_by_plan, **templates, **done, **own}
        templar = Templar(loader=DataLoader(), variables=variables)
        for role in walk.roles():
            options = {option: spec for entry in walk.specs(role).values() for option, spec in entry.items()}
            unknown = [name for name in given_by_plan if name.startswith(f"{role.name}_") and name not in options]
            offences += [f"{role.name} has no {name}" for name in unknown]
            # What the user sets must reach the role: without it, the default of the role would apply.
            users = (option for option in options if option.replace(f"{role.name}_", "vllm_ray_", 1) in settings[host])
            offences += [f"nobody gives {option} to {role.name}" for option in users if option not in variables]
            given = {option: templar.template(variables[option]) for option in options if option in variables}
            errors = ArgumentSpecValidator(options).validate(given).error_messages
            offences += [f"{host}: {role.name}: {error}" for error in errors]
    assert not offences, "\n".join(offences)


@pytest.mark.parametrize(
    ("setting", "old", "name"),
    [
        pytest.param(None, None, "~/.config/vllm-ray/default@192.0.2.11.key", id="first run"),
        pytest.param(None, "k" * 64, "~/.config/vllm-ray/default.key", id="of an earlier version"),
        pytest.param(None, "j" * 64, "~/.config/vllm-ray/default.key", id="of an earlier version, before a renewal"),
        pytest.param(None, "x" * 64, "~/.config/vllm-ray/default@192.0.2.11.key", id="of another inventory"),
        pytest.param("~/my.key", "x" * 64, "~/my.key", id="chosen"),
    ],
)
def test_the_key_of_another_inventory_is_kept(tmp_path: Path, setting: str | None, old: str | None, name: str) -> None:
    file = tmp_path / ".config" / "vllm-ray" / "default.key"
    file.parent.mkdir(parents=True)
    if old:
        file.write_text(f"{old}\n")
    plan: Any = planned("cluster.ini").as_dict()
    plan["hosts"][plan["head"]]["settings"]["vllm_ray_key_file"] = setting
    former = hashlib.sha256(b"j" * 64).hexdigest()
    secrets = {"values_by_name": {"api.key": "k" * 64}, "former": {"api.key": former}}
    known = {"__vllm_ray_plan": {"plan": plan}, "__vllm_ray_secrets": secrets}
    (tmp_path / "known.json").write_text(json.dumps(known))
    asked = ["--module-name=debug", "--args=var=__key_file", f"--extra-vars=@{tmp_path}/known.json"]
    command = ["ansible", "localhost", *asked, *(f"--extra-vars=@{path}" for path in VARIABLES)]
    env = {
        **os.environ,
        "HOME": str(tmp_path),
        "ANSIBLE_HOME": str(tmp_path / "ansible"),
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
    }
    answer = subprocess.run(command, cwd=walk.ROOT, env=env, check=True, capture_output=True, text=True).stdout
    assert json.loads(answer.partition("=>")[2])["__key_file"] == name


def test_the_demo_asks_what_the_demo_model_knows() -> None:
    known = {pair["question"]: pair["answer"] for pair in walk.load(walk.ROOT / "demo-model" / "answers.json")}
    for name in ("local", "cpu-lab"):
        for proof in walk.load_mapping(walk.ROOT / "inventories" / name / "group_vars" / "all.yml")["vllm_ray_proof"]:
            assert known[proof["request"]["messages"][-1]["content"]] == proof["expect"]


def test_the_controller_and_the_tests_have_the_same_ansible() -> None:
    pins = {}
    for name in ("requirements.txt", "tests/requirements.txt"):
        text = (walk.ROOT / name).read_text(encoding="utf-8")
        pins[name] = dict(re.findall(r"^([a-z][\w-]*)==(\S+)", text, re.MULTILINE))
    assert "ansible-core" in pins["requirements.txt"]
    assert pins["requirements.txt"].items() <= pins["tests/requirements.txt"].items()
