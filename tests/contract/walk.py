# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the roles, playbooks, tasks and plugins of the checkout, for the laws about them.

Every law collects its offences and asserts that there are none; MINIMUM keeps a walk that sees nothing from passing.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from ansible.playbook.handler import Handler

ROOT = Path(__file__).resolve().parents[2]

# What there is at least. Raise a number when something is added; finding fewer means that the walk went blind.
MINIMUM = {"modules": 19, "module_utils": 19, "plugin_utils": 8, "roles": 5, "playbooks": 2, "tasks": 53, "files": 299}

# What a task may hold beside its action.
TASK_KEYWORDS = frozenset(Handler.fattributes) - {"action"}


class Loader(yaml.CSafeLoader):
    """YAML as Ansible reads it: its own tags are plain values here."""


Loader.add_multi_constructor("!", lambda loader, _suffix, node: loader.construct_scalar(node))


class Task(NamedTuple):
    """One task: the file it stands in, its keywords, its action and that action's arguments."""

    file: Path
    keywords: dict[str, Any]
    action: str
    args: Any

    @property
    def place(self) -> str:
        return f"{self.file.relative_to(ROOT)}: {self.keywords.get('name', self.action)}"

    def argument(self, name: str) -> Any:
        """Return one argument of the action, wherever it was written."""
        args = {**(self.args if isinstance(self.args, dict) else {}), **(self.keywords.get("args") or {})}
        return args.get(name)


def load(path: Path) -> Any:
    return yaml.load(path.read_text(encoding="utf-8"), Loader=Loader)


def load_mapping(path: Path) -> dict[str, Any]:
    """Return a file's mapping; an absent or empty file has none."""
    return (load(path) or {}) if path.is_file() else {}


def tracked_files() -> list[Path]:
    """Return the files that git knows, or would."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    paths = (ROOT / name for name in names if name and not name.startswith("ansible_collections/"))
    return sorted({path for path in paths if path.is_file()})


def below(*folders: str, suffix: str = "") -> list[Path]:
    """Return the tracked files below some folders."""
    return [
        path
        for path in tracked_files()
        if path.name.endswith(suffix) and path.relative_to(ROOT).as_posix().startswith(tuple(f"{f}/" for f in folders))
    ]


def roles() -> list[Path]:
    return sorted({ROOT / "roles" / path.relative_to(ROOT).parts[1] for path in below("roles", suffix=".yml")})


def plugins(kind: str) -> list[Path]:
    return [path for path in below(f"plugins/{kind}", suffix=".py") if path.name != "__init__.py"]


def playbooks() -> list[Path]:
    """Return the playbooks that users call: the files right in playbooks/."""
    return [path for path in below("playbooks", suffix=".yml") if path.parent == ROOT / "playbooks"]


def plays() -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield each play of playbooks, of what they import, of site.yml and of scenarios."""
    loose = below("playbooks/plays", "extensions/molecule", suffix=".yml")
    for path in [*playbooks(), ROOT / "site.yml", *loose]:
        content = load(path) if path.is_file() else None
        for play in content if isinstance(content, list) else []:
            if "hosts" in play:
                yield path, play


def flatten(path: Path, items: Any) -> Iterator[Task]:
    """Yield the tasks of a list, those inside blocks too."""
    for item in items or []:
        if not isinstance(item, dict):
            continue
        if "block" in item:
            for part in ("block", "rescue", "always"):
                yield from flatten(path, item.get(part))
            continue
        for key in item:
            if key not in TASK_KEYWORDS and not key.startswith("with_"):
                yield Task(path, item, key, item[key])


def role_tasks(role: Path) -> Iterator[Task]:
    for folder in ("tasks", "handlers"):
        for path in below(f"roles/{role.name}/{folder}", suffix=".yml"):
            yield from flatten(path, load(path))


def tasks(*, scenarios: bool = False) -> list[Task]:
    """Return every task of roles and playbooks, and on demand those of scenarios."""
    found = [task for role in roles() for task in role_tasks(role)]
    for path, play in plays():
        if scenarios or not path.is_relative_to(ROOT / "extensions"):
            for part in ("pre_tasks", "tasks", "post_tasks", "handlers"):
                found += flatten(path, play.get(part))
    loose = below("playbooks/tasks", *(["extensions/molecule"] if scenarios else []), suffix=".yml")
    for path in loose:
        content = load(path)
        if isinstance(content, list) and not any("hosts" in item or "import_playbook" in str(item) for item in content):
            found += flatten(path, content)
    return found


def short(action: str) -> str:
    """Return an action's name without ansible.builtin."""
    return action.removeprefix("ansible.builtin.").removeprefix("ansible.legacy.")


def last(name: object) -> str:
    """Return a role's name without its collection."""
    return str(name).rpartition(".")[2]


def specs(role: Path) -> dict[str, dict[str, Any]]:
    """Return a role's {entry point: {option: specification}}."""
    entry_points = load_mapping(role / "meta" / "argument_specs.yml").get("argument_specs", {})
    return {name: spec.get("options") or {} for name, spec in entry_points.items()}


def user_variables() -> dict[str, Any]:
    """Return the specifications of vllm_ray_*."""
    return load_mapping(ROOT / "meta" / "argument_specs.yml")["argument_specs"]["main"]["options"]
