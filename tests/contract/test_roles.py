# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Laws over roles."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from ansible_collections.vllm_ray.cluster.tests.contract import walk

INCLUDES = ("include_tasks", "import_tasks")
ROLE_INCLUDES = ("include_role", "import_role")


def is_template(value: object) -> bool:
    return isinstance(value, str) and "{{" in value


def called_entry_points(role: Path) -> set[str]:
    """Return main and what is called by tasks_from anywhere."""
    calls = (task for task in walk.tasks(scenarios=True) if walk.short(task.action) in ROLE_INCLUDES)
    names = {task.argument("tasks_from") for task in calls if walk.last(task.argument("name")) == role.name}
    return {"main"} | {str(name) for name in names if name}


def options_of(options: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield options and their sub-options."""
    for name, spec in options.items():
        yield f"{path}{name}", spec
        yield from options_of(spec.get("options") or {}, f"{path}{name}.")


def test_the_walk_sees_the_roles() -> None:
    assert len(walk.roles()) >= walk.MINIMUM["roles"]
    assert len(walk.tasks()) >= walk.MINIMUM["tasks"]


def test_a_role_has_its_files() -> None:
    wanted = ("README.md", "meta/main.yml", "meta/argument_specs.yml", "defaults/main.yml", "tasks/main.yml")
    assert [f"{role.name}/{name}" for role in walk.roles() for name in wanted if not (role / name).is_file()] == []


def test_every_entry_point_has_specs_and_every_spec_an_entry_point() -> None:
    offences = []
    for role in walk.roles():
        specified = set(walk.specs(role))
        offences += [f"{role.name}: {name} is called, not specified" for name in called_entry_points(role) - specified]
        offences += [
            f"{role.name}: {name} is specified, has no tasks/{name}.yml"
            for name in specified
            if not (role / "tasks" / f"{name}.yml").is_file()
        ]
    assert not offences, "\n".join(offences)


def test_every_tasks_file_is_an_entry_point_or_included() -> None:
    offences = []
    for role in walk.roles():
        included: set[str] = set()
        for task in walk.role_tasks(role):
            if walk.short(task.action) in INCLUDES:
                name = task.argument("file") or task.args
                # A template may mean any file that its fixed parts fit.
                included |= {
                    path.name
                    for path in (role / "tasks").glob("*.yml")
                    if re.fullmatch(re.sub(r"\\\{\\\{.*?\\\}\\\}", ".*", re.escape(str(name))), path.name)
                }
        offences += [
            f"{role.name}/tasks/{path.name} is never used"
            for path in sorted((role / "tasks").glob("*.yml"))
            if path.name not in included and path.stem not in walk.specs(role)
        ]
    assert not offences, "\n".join(offences)


def test_specs_say_everything() -> None:
    offences = []
    for role in walk.roles():
        for entry_point, options in walk.specs(role).items():
            for name, spec in options_of(options):
                place = f"{role.name} {entry_point} {name}"
                offences += [f"{place}: no {key}" for key in ("type", "description") if key not in spec]
                if spec.get("type") == "list" and "elements" not in spec:
                    offences.append(f"{place}: no elements")
                if spec.get("required") and "default" in spec:
                    offences.append(f"{place}: required, and has a default")
            offences += [
                f"{role.name} {entry_point}: {name} lacks the role's prefix"
                for name in options
                if not name.startswith(f"{role.name}_")
            ]
    assert not offences, "\n".join(offences)


def test_defaults_and_specs_agree() -> None:
    """A default that is a template can't be repeated in the specs: there the option has none."""
    offences = []
    for role in walk.roles():
        defaults = walk.load_mapping(role / "defaults" / "main.yml")
        specified = {name: spec for options in walk.specs(role).values() for name, spec in options.items()}
        offences += [f"{role.name}: {name} has a default, no spec" for name in defaults if name not in specified]
        for entry_point, options in walk.specs(role).items():
            for name, spec in options.items():
                place = f"{role.name} {entry_point} {name}"
                if spec.get("required") and name in defaults:
                    offences.append(f"{place}: required, and defaults/main.yml has it")
                elif "default" in spec and name not in defaults:
                    offences.append(f"{place}: default in the specs, none in defaults/main.yml")
                elif name in defaults and is_template(defaults[name]):
                    if "default" in spec and spec["default"] != defaults[name]:
                        offences.append(f"{place}: a template in defaults/main.yml, {spec['default']!r} in the specs")
                elif name in defaults and spec.get("default") != defaults[name]:
                    offences.append(f"{place}: {defaults[name]!r} by default, {spec.get('default')!r} in the specs")
    assert not offences, "\n".join(offences)


def outputs(role: Path) -> set[str]:
    """Return the variables that others may read after a role, by the table in its README."""
    _before, _heading, text = (role / "README.md").read_text(encoding="utf-8").partition("## Variables for later tasks")
    return set(re.findall(rf"^\| `({role.name}_\w+)` \|", text, re.MULTILINE))


def test_nobody_reads_what_is_private_to_a_role() -> None:
    offences = []
    for path in walk.below("playbooks", "plugins", "roles"):
        if path.suffix not in (".yml", ".py", ".j2"):
            continue
        for name in re.findall(r"\b__(?!vllm_ray_)(?:firewall|model|ray|release|vllm)_\w+", path.read_text("utf-8")):
            owner = name.removeprefix("__").partition("_")[0]
            if not path.is_relative_to(walk.ROOT / "roles" / owner):
                offences.append(f"{path.relative_to(walk.ROOT)}: {name}")
    assert not offences, "\n".join(offences)


def test_what_a_role_leaves_is_used_elsewhere() -> None:
    """Else it is private."""
    paths = [path for path in walk.below("playbooks", "plugins") if path.suffix in (".yml", ".py")]
    texts = [path.read_text("utf-8") for path in paths]
    named = {role.name: outputs(role) for role in walk.roles()}
    assert all(named.values())
    unused = [name for names in named.values() for name in names if not any(name in text for text in texts)]
    assert unused == []


def test_names_carry_the_role() -> None:
    offences = []
    for role in walk.roles():
        public, private = f"{role.name}_", f"__{role.name}_"
        left = outputs(role)
        offences += [
            f"{role.name} defaults: {name}"
            for name in walk.load_mapping(role / "defaults" / "main.yml")
            if not name.startswith(public)
        ]
        offences += [
            f"{role.name} vars: {name}"
            for path in walk.below(f"roles/{role.name}/vars", suffix=".yml")
            for name in walk.load_mapping(path)
            if not name.startswith(private) and name not in left
        ]
        for task in walk.role_tasks(role):
            # Ansible's own, such as how it connects, are called as it calls them.
            names = [task.keywords.get("register"), (task.keywords.get("loop_control") or {}).get("loop_var")]
            if walk.short(task.action) not in ROLE_INCLUDES:
                names += list(task.keywords.get("vars") or {})
            if walk.short(task.action) == "set_fact":
                names += [name for name in task.args if name != "cacheable"]
            offences += [
                f"{task.place}: {name}"
                for name in names
                if name and not name.startswith((private, "ansible_")) and name not in left
            ]
    assert not offences, "\n".join(offences)


def test_the_controllers_own_directory_is_whole_before_it_stands_in_a_list(tmp_path: Path) -> None:
    """A module expands a ~ in a path, neither in a list of texts nor in a URL."""
    files = [f"@{walk.ROOT}/roles/release/{folder}/main.yml" for folder in ("defaults", "vars")]
    command = ["ansible", "localhost", "-m", "ansible.builtin.debug", "-a", "var=__release_bundle_dir"]
    command += [word for given in (*files, "release_controller_build=true") for word in ("-e", given)]
    env = {**os.environ, "HOME": str(tmp_path), "ANSIBLE_COLLECTIONS_PATH": str(walk.ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(rf"__release_bundle_dir\S* \S?{tmp_path}/.cache/vllm-ray/.vllm-ray-bundle\b", done.stdout), (
        done.stdout
    )


def test_main_is_a_table_of_contents() -> None:
    lengths = {role.name: len((role / "tasks" / "main.yml").read_text().splitlines()) for role in walk.roles()}
    assert {name: length for name, length in lengths.items() if length > 60} == {}


def test_roles_know_no_groups_and_no_other_hosts() -> None:
    # A role's errors may name a user's variable; its expressions may not read one.
    forbidden = re.compile(
        r"\b(?:groups|hostvars|group_names|play_hosts|ansible_play_\w+)\b|(?:\{\{|\{%|when:)[^}]*\bvllm_ray_\w+"
    )
    offences = []
    for path in walk.below("roles"):
        if path.parts[-2] in ("tasks", "handlers", "templates", "defaults", "vars"):
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                if not line.lstrip().startswith("#") and forbidden.search(line):
                    offences.append(f"{path.relative_to(walk.ROOT)}:{number}: {line.strip()}")
    assert not offences, "\n".join(offences)


@pytest.mark.parametrize(("manager", "wanted"), [("systemd", "0640"), ("supervisor", "0600")])
def test_the_environment_is_readable_for_the_service_account_alone(manager: str, wanted: str) -> None:
    """Users put secrets into vllm_ray_env. Without an account of its own, the group would be that of the login."""
    found = {}
    for role in ("ray", "vllm"):
        variables = walk.load_mapping(walk.ROOT / "roles" / role / "vars" / "main.yml")
        entries = [entry for value in variables.values() if isinstance(value, list) for entry in value]
        for entry in [entry for entry in entries if isinstance(entry, dict) and entry.get("format") == "environment"]:
            mode = variables.get("__vllm_secret_mode") if "__vllm_secret_mode" in entry["mode"] else entry["mode"]
            found[entry["path"]] = jinja2.Template(str(mode)).render({f"{role}_manager": manager})
    assert len(found) == 2 and set(found.values()) == {wanted}, found


KNOWN, UNKNOWN = {"tree": "7" * 64, "host": "gpu01"}, {"tree": "", "host": ""}


@pytest.mark.parametrize(
    ("given", "known", "source", "digest"),
    [
        # Users of the role alone name the source, and a digest.
        pytest.param({"model_trusted_sources": []}, None, "gpu03", "", id="alone"),
        pytest.param({"model_trusted_sources": [], "model_digest": "d"}, None, "gpu03", "d", id="alone with a digest"),
        pytest.param({"model_source_host": "gpu01"}, None, "gpu01", "", id="the head"),
        pytest.param({"model_source_host": "gpu02"}, None, "gpu02", "", id="the host that downloads"),
        pytest.param({}, KNOWN, "gpu03", "7" * 64, id="another host, of a known model"),
        pytest.param({}, UNKNOWN, "gpu02", "", id="another host, of an unknown model: it is downloaded"),
        pytest.param({"model_source": "/srv/m"}, KNOWN, "gpu03", "7" * 64, id="a directory, of a known model"),
        pytest.param({"model_source": "/srv/m"}, UNKNOWN, "gpu03", "", id="a directory that nobody else knows"),
        pytest.param({"model_source": "/srv/m"}, {**KNOWN, "host": "gpu03"}, "gpu03", "", id="the host it came from"),
        pytest.param({"model_source_kind": "controller", "model_source": "/m"}, None, "gpu03", "", id="the controller"),
    ],
)
def test_a_host_is_the_source_of_a_model_only_with_a_known_digest(
    given: dict[str, Any], known: dict[str, str] | None, source: str, digest: str
) -> None:
    """gpu01 is the head, gpu02 downloads, gpu03 says that it has the model. known: None where the role does not ask."""
    loader = DataLoader()
    files = [str(walk.ROOT / "roles" / "model" / folder / "main.yml") for folder in ("defaults", "vars")]
    defaults, private = (loader.load_from_file(file, trusted_as_template=True) for file in files)
    variables = {
        **defaults,
        "model_source": "acme/tiny",
        "model_source_host": "gpu03",
        "model_trusted_sources": ["gpu01", "gpu02"],
        "model_digest": "",
        **given,
        **private,
        **({"__model_known": known} if known else {}),
    }
    templar = Templar(loader=loader, variables=variables)
    found = [templar.template(private[name]) for name in ("__model_doubted", "__model_from", "__model_digest")]
    assert found == [known is not None, source, digest]
