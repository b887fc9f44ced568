# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Laws over every file that git tracks."""

from __future__ import annotations

import os
import re
import subprocess

from ansible_collections.vllm_ray.cluster.tests.contract import walk

# Written in pieces, so that this file does not break its own laws.
FORBIDDEN = {
    "an unchecked host key": r"StrictHostKeyChecking[= ]+" + "no",
    "a path of one machine": r"(?<![\w.}])/(?:work|opt/wheels|opt/pypi|tmp/w" + r")(?![\w-])",
    "the host of a package index": "|".join(
        re.escape(host)
        for host in ("py" + "pi.org", "python" + "hosted.org", "download.py" + "torch.org", "deb." + "debian.org")
    ),
    "an exemption from a linter": r"#\s*no" + r"qa\b|yamllint dis" + r"able|pylint: dis" + r"able|no" + r"sec\b",
}
IGNORE_FILES = re.compile(r"(^|/)(\.ansible-lint-ignore|tests/sanity/ignore.*\.txt)$")


def test_the_walk_sees_the_files() -> None:
    assert len(walk.tracked_files()) >= walk.MINIMUM["files"]


def test_nothing_forbidden_is_written_anywhere() -> None:
    offences = []
    for path in walk.tracked_files():
        name = path.relative_to(walk.ROOT).as_posix()
        # Captured outputs are what they are; the licence's text is not ours.
        if name.startswith("tests/fixtures/") or name == "LICENSE":
            continue
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        for what, pattern in FORBIDDEN.items():
            found = (number for number, line in enumerate(lines, 1) if re.search(pattern, line))
            offences += [f"{name}:{number}: {what}" for number in found]
    assert not offences, "\n".join(offences)


def test_there_are_no_ignore_files() -> None:
    names = [path.relative_to(walk.ROOT).as_posix() for path in walk.tracked_files()]
    assert [name for name in names if IGNORE_FILES.search(name)] == []


def test_yaml_files_end_in_yml() -> None:
    names = [path.relative_to(walk.ROOT).as_posix() for path in walk.tracked_files()]
    own = [name for name in names if not name.startswith(("tests/fixtures/", "changelogs/"))]
    assert [name for name in own if name.endswith(".yaml")] == []


def test_pins_carry_hashes_and_no_source() -> None:
    for path in [path for path in walk.tracked_files() if path.name == "requirements.txt" or path.suffix == ".lock"]:
        text = path.read_text(encoding="utf-8")
        assert "--hash=sha256:" in text, path
        assert "://" not in re.sub(r"#.*", "", text), path


def test_the_checkout_is_a_collection_path() -> None:
    link = walk.ROOT / "ansible_collections" / "vllm_ray" / "cluster"
    assert link.is_symlink()
    assert link.resolve() == walk.ROOT


def ansible(*command: str) -> str:
    """Run an Ansible command in the checkout, with no settings but the checkout's own."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    done = subprocess.run(command, cwd=walk.ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_ansible_knows_every_setting_of_ansible_cfg() -> None:
    ansible("ansible-config", "validate", "--type", "all")
    changed = ansible("ansible-config", "dump", "--only-changed", "--type", "all")
    for setting in ("INJECT_FACTS_AS_VARS", "ANSIBLE_PIPELINING", "result_format", "ssh_args"):
        assert setting in changed


def test_the_users_own_command_works_in_the_checkout() -> None:
    inventory = walk.ROOT / "cluster.ini"
    if (walk.ROOT / "site.yml").is_file() and inventory.is_file():
        ansible("ansible-playbook", "--syntax-check", "site.yml", "-i", "cluster.ini")
    # In one run: most of its time is that of its start.
    names = [f"vllm_ray.cluster.{path.stem}" for path in walk.playbooks()]
    ansible("ansible-playbook", "--syntax-check", "-i", "localhost,", *names)
