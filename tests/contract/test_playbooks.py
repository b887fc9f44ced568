# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Laws over tasks and playbooks."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from ansible_collections.vllm_ray.cluster.plugins.module_utils._services import _manager, _service_set
from ansible_collections.vllm_ray.cluster.tests.contract import walk

ROLE_INCLUDES = ("include_role", "import_role")


def test_the_walk_sees_the_playbooks() -> None:
    assert len(walk.playbooks()) >= walk.MINIMUM["playbooks"]


def test_actions_have_full_names() -> None:
    assert [task.place for task in walk.tasks(scenarios=True) if task.action.count(".") < 2] == []


def test_no_shell_and_no_ignored_errors() -> None:
    offences = [
        task.place
        for task in walk.tasks(scenarios=True)
        if walk.short(task.action) == "shell" or "ignore_errors" in task.keywords
    ]
    offences += [str(path) for path, play in walk.plays() if "ignore_errors" in play]
    assert not offences, "\n".join(offences)


def test_commands_and_set_facts_are_few() -> None:
    for action in ("command", "set_fact"):
        found = [task.place for task in walk.tasks() if walk.short(task.action) == action]
        assert len(found) <= 5, f"{action}: {found}"


def test_an_entry_point_is_called_without_an_extension() -> None:
    """With `.yml` Ansible would leave out the validation of the role's arguments, silently."""
    offences = [task.place for task in walk.tasks(scenarios=True) if str(task.argument("tasks_from")).endswith(".yml")]
    assert not offences, "\n".join(offences)


def test_plays_gather_no_facts_and_never_become() -> None:
    offences = []
    for path, play in walk.plays():
        place = f"{path.relative_to(walk.ROOT)}: {play.get('name', play['hosts'])}"
        # A scenario's preparations and checks are free to be root throughout.
        if not path.is_relative_to(walk.ROOT / "extensions"):
            offences += [f"{place}: {key}" for key in play if key.startswith("become")]
        if play.get("gather_facts") is not False:
            offences.append(f"{place}: gather_facts is not false")
    assert not offences, "\n".join(offences)


def test_a_command_says_when_it_changes_something() -> None:
    offences = [
        task.place
        for task in walk.tasks()
        if walk.short(task.action) == "command"
        and "changed_when" not in task.keywords
        and not (task.argument("creates") or task.argument("removes"))
    ]
    assert not offences, "\n".join(offences)


def test_what_a_playbook_gives_a_role_is_specified() -> None:
    """Both ways of giving: vars at the role's call, and the mapping files in playbooks/vars."""
    specified = {
        role.name: {name for options in walk.specs(role).values() for name in options} for role in walk.roles()
    }
    offences = []
    for task in walk.tasks(scenarios=True):
        role = walk.last(task.argument("name"))
        if walk.short(task.action) in ROLE_INCLUDES and role in specified:
            given = {name for name in task.keywords.get("vars") or {} if not name.startswith("__")}
            offences += [f"{task.place}: {role} has no {name}" for name in sorted(given - specified[role])]
    for path, play in walk.plays():
        for entry in play.get("roles") or []:
            role = walk.last(entry.get("role") if isinstance(entry, dict) else entry)
            if role in specified and isinstance(entry, dict):
                given = {name for name in entry.get("vars") or {} if not name.startswith("__")}
                offences += [f"{path.name}: {role} has no {name}" for name in sorted(given - specified[role])]
    for path in walk.below("playbooks/vars", suffix=".yml"):
        for name in walk.load_mapping(path):
            owners = [role for role in specified if name.startswith(f"{role}_") and not name.startswith("vllm_ray_")]
            if owners and not any(name in specified[role] for role in owners):
                offences.append(f"{path.relative_to(walk.ROOT)}: {owners[0]} has no {name}")
    assert not offences, "\n".join(offences)


def test_no_host_stands_on_a_release_that_another_lacks() -> None:
    """The role ray turns `current`, in a later play than the release comes in, whose errors end the run for all."""
    plays = [play for path, play in walk.plays() if path == walk.ROOT / "playbooks" / "site.yml"]
    texts = []
    for play in plays:
        names = re.findall(r"tasks/\w+\.yml", str(play))
        texts.append(
            str(play) + "".join((walk.ROOT / "playbooks" / name).read_text(encoding="utf-8") for name in names)
        )
    releases = [number for number, text in enumerate(texts) if "vllm_ray.cluster.release" in text]
    nodes = [number for number, text in enumerate(texts) if "vllm_ray.cluster.ray," in text]
    assert releases
    assert nodes
    assert max(releases) < min(nodes)
    assert all(plays[number].get("any_errors_fatal") is True for number in releases)
    turning = [path for path in walk.below("roles", suffix=".yml") if "/current" in path.read_text(encoding="utf-8")]
    assert [path.relative_to(walk.ROOT).as_posix() for path in turning] == ["roles/ray/tasks/main.yml"]


def test_packages_come_from_the_bundle_before_roles_ask_for_them() -> None:
    offences = []
    for path in walk.playbooks():
        text = path.read_text(encoding="utf-8")
        wanting = [text.find(word) for word in ("cluster.release,", "cluster.firewall,", "tasks/prepare.yml")]
        first = min([place for place in wanting if place >= 0], default=None)
        if first is not None and not 0 <= text.find("plays/packages.yml") < first:
            offences.append(path.name)
    assert offences == []


def test_a_bundle_is_made_for_the_head_of_its_inventory(tmp_path: Path) -> None:
    """Its group says more than all, and the command line more than either."""
    (tmp_path / "cluster.ini").write_text(
        "[head]\ngpu01\n[head:vars]\nvllm_ray_accelerator=cpu\nvllm_ray_bundle_python=3.11\n"
        "[all:vars]\nvllm_ray_accelerator=cuda\nvllm_ray_bundle_platform=manylinux_2_39_aarch64\n",
        encoding="utf-8",
    )
    command = ["ansible-playbook", "vllm_ray.cluster.bundle", "--check", "-i", "cluster.ini"]
    command += ["-e", "vllm_ray_bundle_python=3.12"]
    env = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(walk.ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "release cpu for Python 3.12 on manylinux_2_39_aarch64" in done.stdout


def test_every_plan_knows_the_hosts_that_were_probed_apart() -> None:
    """Without the serve host of the last run, a run with --limit would not know whether its engine serves."""
    using = [task for task in walk.tasks() if walk.last(task.action) in ("plan", "status", "support_bundle")]
    assert len(using) == 8
    without = [
        f"{task.place}: {name}"
        for task in using
        for name in ("head_look", "serve_look")
        if f"__vllm_ray_{name}" not in str(task.argument(name))
    ]
    assert without == []


@pytest.mark.parametrize(
    ("looks", "apart", "server"),
    [
        pytest.param({"h1": {"last_server": "h2"}}, {"skipped": True}, "h2", id="by the head in the play"),
        pytest.param({}, {"last_server": "h2"}, "h2", id="by the head outside of it"),
        pytest.param({"h1": {"last_server": ""}}, {"skipped": True}, "h1", id="the first run"),
        pytest.param({"h1": {"last_server": "h9"}}, {}, "h1", id="it has left"),
        pytest.param({"h1": {"unreachable": True}}, {"skipped": True}, "h1", id="a head that does not answer"),
        pytest.param({}, {"unreachable": True, "msg": "no route"}, "h1", id="nor does one outside of the play"),
    ],
)
def test_which_host_is_probed_besides(looks: dict[str, Any], apart: dict[str, Any], server: str) -> None:
    mapping = DataLoader().load_from_file(str(walk.ROOT / "playbooks/vars/roles.yml"), trusted_as_template=True)
    hostvars = {name: {"__vllm_ray_look": looks[name]} if name in looks else {} for name in ("h1", "h2", "h3")}
    variables = {**mapping, "hostvars": hostvars, "__members": list(hostvars), "__vllm_ray_head_look": apart}
    assert Templar(loader=DataLoader(), variables=variables).template(variables["__last_server"]) == server


@pytest.mark.parametrize(
    ("running", "sums", "serves"),
    [
        pytest.param(True, {"key": "old", "options": "new"}, False, id="held with another key"),
        pytest.param(True, {"key": "new", "options": "old"}, True, id="held for other reasons"),
        pytest.param(True, {"key": "new", "options": "new"}, True, id="as wanted"),
        pytest.param(False, {"key": "old", "options": "old"}, True, id="started"),
    ],
)
def test_the_controller_gets_the_key_that_the_engine_serves_with(
    running: bool, sums: dict[str, str], serves: bool
) -> None:
    """Also where a renewal was interrupted after the engine had the new one, and where its run has only some tags."""
    paths = {"key": "/etc/vllm-ray/default/api.key", "options": "/etc/vllm-ray/default/serve-main.yaml"}
    service = _manager.Service("serve", "/unit", "", "/record", tuple(paths.values()))
    state = _manager.Running(active=running)
    started, wanted = {paths[name]: value for name, value in sums.items()}, dict.fromkeys(paths.values(), "new")
    verdict = _service_set.decide(service, state, started, wanted, may_stop=False)
    mapping = DataLoader().load_from_file(str(walk.ROOT / "playbooks/vars/serve.yml"), trusted_as_template=True)
    held = {"serve": verdict.reasons} if verdict.action == "hold" else {}
    templar = Templar(loader=DataLoader(), variables={**mapping, "vllm_services": {"held": held}})
    assert templar.template(mapping["__serves_with_key"]) is serves


@pytest.mark.parametrize(
    ("run", "skipped", "deploys", "rotates"),
    [
        (["all"], [], True, True),
        (["ray", "vllm"], [], True, True),
        (["ray"], [], True, False),
        (["vllm"], [], False, False),
        (["all"], ["vllm"], True, False),
        (["all"], ["ray"], False, False),
        (["all"], ["release"], True, True),
    ],
)
def test_secrets_are_renewed_by_nodes_and_engine_together(
    run: list[str], skipped: list[str], deploys: bool, rotates: bool
) -> None:
    loaded = DataLoader().load_from_file(str(walk.ROOT / "playbooks/plan.yml"), trusted_as_template=True)
    (task,) = [task for play in loaded for task in play["tasks"] if task["name"] == "Plan"]
    tags = {"ansible_run_tags": run, "ansible_skip_tags": skipped}
    for asked, wanted in ((False, deploys), (True, rotates)):
        templar = Templar(loader=DataLoader(), variables={**task["vars"], **tags, "__rotates": asked})
        assert templar.template(task["vllm_ray.cluster.plan"]["nodes"]) is wanted


# {word of delegate_to: names of the values that are those of the host which delegates}
NOT_ITS_OWN = {
    "head": r"_config_dir|_state_dir|dashboard_port|gcs_port|__host\b|__set\b|127\.0\.0\.1",
    "builder": r"\brelease_root|__release_records\b",
    "__model_from": r"\bmodel_root|\bmodel_record_directory",
    "outside": r"\bmodel_root|\bmodel_record_directory",
}


@pytest.mark.parametrize("word", NOT_ITS_OWN)
def test_tasks_on_another_host_have_that_hosts_values(word: str) -> None:
    """Their variables are those of the host that delegates, whose ports, directories and home may be others."""
    delegated = [task for task in walk.tasks() if word in str(task.keywords.get("delegate_to"))]
    assert len(delegated) >= {"head": 6, "builder": 9, "__model_from": 6, "outside": 1}[word]
    own = re.compile(NOT_ITS_OWN[word])
    assert [f"{task.place}: {task.args}" for task in delegated if own.search(str(task.args))] == []


def test_no_action_gets_its_arguments_from_a_template() -> None:
    """Ansible warns users of each: "Using a template for task args is unsafe"."""
    assert [task.place for task in walk.tasks() if "{{" in str(task.args) and not isinstance(task.args, dict)] == []


def test_going_back_needs_its_choice_whatever_tags_are_asked_for() -> None:
    rollback = [play for path, play in walk.plays() if path.name == "rollback.yml"]
    assert [play.get("tags") for play in rollback] == [["always"], ["always"], ["vllm"]]


def test_going_back_is_consent_of_the_whole_cluster() -> None:
    """Hosts that --limit leaves out, and the head among them, must not say otherwise."""
    asking = [
        task for task in walk.tasks() if "vllm_ray_restart" in str(task.args) and walk.short(task.action) == "set_fact"
    ]
    assert [task.keywords["loop"] for task in asking] == ["{{ __members }}"]
    assert all(task.keywords.get("delegate_facts") is True and task.keywords.get("run_once") is True for task in asking)


def test_user_variables_are_specified() -> None:
    known = set(walk.user_variables())
    assert known
    # The groups that playbooks make are named alike.
    known |= {group for _path, play in walk.plays() for group in re.findall(r"\bvllm_ray_\w+", str(play["hosts"]))}
    offences = set()
    for path in [*walk.below("playbooks", "inventories", "docs", "roles", "plugins"), walk.ROOT / "README.md"]:
        text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        for name in re.findall(r"(?<![\w/.])vllm_ray_[a-z0-9_]*[a-z0-9]\b(?!\*)", text):
            if name not in known:
                offences.add(f"{path.relative_to(walk.ROOT)}: {name}")
    assert not offences, "\n".join(sorted(offences))


def test_user_variables_say_everything() -> None:
    offences = []
    for name, spec in walk.user_variables().items():
        if not name.startswith("vllm_ray_"):
            offences.append(f"{name}: not vllm_ray_*")
        offences += [f"{name}: no {key}" for key in ("type", "description") if key not in spec]
        if spec.get("type") == "list" and "elements" not in spec:
            offences.append(f"{name}: no elements")
    assert not offences, "\n".join(offences)


def test_the_playbook_for_all_is_short() -> None:
    lines = (walk.ROOT / "playbooks" / "site.yml").read_text(encoding="utf-8").splitlines()
    assert sum(bool(line.strip()) for line in lines) <= 40
