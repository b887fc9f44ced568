# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Laws over what users install: the tarball of `ansible-galaxy collection build`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._bundles import _bundle_parts_io
from ansible_collections.vllm_ray.cluster.tests.contract import walk

FOLDERS = ("changelogs", "docs", "inventories", "meta", "playbooks", "plugins", "roles")
# What users have beside their cluster.ini, in a checkout that they work in.
STRAYS = (
    *("vllm-ray-cuda-py3.12-x86_64.tar", "vllm-ray-cuda-py3.12-x86_64.tar.parts/wheels/a.whl", "venv/bin/python"),
    *("hosts.ini", "vault.yml", "notes.md", "playbooks/mine.yml", "roles/.cache/old"),
    *("group_vars/all.yml", "host_vars/gpu01.yml", "playbooks/group_vars/all.yml"),
    *("inventories/mine/group_vars/all.yml", "inventories/two-hosts/group_vars/all.yml"),
)
FILES = ("CHANGELOG.md", "CODE_OF_CONDUCT.md", "CONTRIBUTING.md", "LICENSE", "README.md", "SECURITY.md")
HOSTS = """
hosts:
  - {name: gpu, count: 2, gpus: 8, gpu: H100 80GB, memory_gib: 80, inside: nvlink}
link: {gbit: 100, rdma: true}
"""
INVENTORY = """
[head]
gpu01
[workers]
gpu02
"""


@pytest.fixture(scope="module")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tarball")
    command = ["ansible-galaxy", "collection", "build", "--output-path", str(folder), str(walk.ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(folder.glob("vllm_ray-cluster-*.tar.gz"))


@pytest.fixture(scope="module")
def bare(tarball: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Install the tarball, leave only what must be enough, and return the environment that finds it."""
    folder = tmp_path_factory.mktemp("collections")
    env = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    env |= {"ANSIBLE_COLLECTIONS_PATH": str(folder), "ANSIBLE_LOCALHOST_WARNING": "false"}
    command = ["ansible-galaxy", "collection", "install", "--offline", "--force", "-p", str(folder), str(tarball)]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    installed = folder / "ansible_collections" / "vllm_ray" / "cluster"
    for path in installed.iterdir():
        if path.is_dir() and path.name not in ("meta", "plugins", "roles", "playbooks"):
            shutil.rmtree(path)
        elif path.is_file() and path.name not in ("MANIFEST.json", "FILES.json"):
            path.unlink()
    return env


def test_it_holds_what_it_should_and_nothing_else(tarball: Path) -> None:
    names = {path.relative_to(walk.ROOT).as_posix() for path in walk.tracked_files()}
    wanted = {name for name in names if name in FILES or name.startswith(tuple(f"{folder}/" for folder in FOLDERS))}
    with tarfile.open(tarball) as archive:
        packed = {member.name for member in archive if not member.isdir()} - {"MANIFEST.json", "FILES.json"}
    assert sorted(packed - wanted) == []
    assert sorted(wanted - packed - {"changelogs/.gitignore"}) == []


def test_a_bundle_has_the_same_whatever_lies_in_the_checkout(
    tarball: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = tmp_path / "checkout"
    for path in walk.tracked_files():
        target = checkout / path.relative_to(walk.ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    for name in STRAYS:
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text("secret", encoding="utf-8")
    monkeypatch.setattr(_bundle_parts_io, "COLLECTION", checkout)
    with tarfile.open(_bundle_parts_io.built(str(tmp_path / "work"))) as made, tarfile.open(tarball) as wanted:
        assert sorted(made.getnames()) == sorted(wanted.getnames())


def test_its_plugins_are_found_and_documented(bare: dict[str, str], tmp_path: Path) -> None:
    for kind, folder in (("module", "modules"), ("filter", "filter"), ("lookup", "lookup"), ("callback", "callback")):
        names = [f"vllm_ray.cluster.{path.stem}" for path in walk.plugins(folder)]
        if names:
            command = ["ansible-doc", "--type", kind, *names]
            done = subprocess.run(command, cwd=tmp_path, env=bare, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr


def test_its_playbooks_are_found_and_understood(bare: dict[str, str], tmp_path: Path) -> None:
    inventory = tmp_path / "cluster.ini"
    inventory.write_text(INVENTORY, encoding="utf-8")
    offences = []
    for path in walk.playbooks():
        command = ["ansible-playbook", "--syntax-check", f"vllm_ray.cluster.{path.stem}", "-i", str(inventory)]
        done = subprocess.run(command, cwd=tmp_path, env=bare, capture_output=True, text=True, check=False)
        if done.returncode:
            offences.append(f"{path.stem}: {done.stdout}{done.stderr}")
    assert not offences, "\n".join(offences)


def test_it_plans_without_hosts(bare: dict[str, str], tmp_path: Path) -> None:
    """As the README shows it: relative paths are the user's."""
    (tmp_path / "hosts.yml").write_text(HOSTS, encoding="utf-8")
    shutil.copytree(walk.ROOT / "tests" / "fixtures" / "models" / "qwen3-32b", tmp_path / "model")
    given = ("vllm_ray_hosts_file=hosts.yml", "vllm_ray_model=model", "vllm_ray_plan_file=plan.json")
    command = ["ansible-playbook", "vllm_ray.cluster.plan", *(word for variable in given for word in ("-e", variable))]
    done = subprocess.run(command, cwd=tmp_path, env=bare, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PLAN for model: TP=" in done.stdout
    assert json.loads((tmp_path / "plan.json").read_text(encoding="utf-8"))["advice"]["fits"]


def test_it_deploys_to_no_file_of_hosts(bare: dict[str, str], tmp_path: Path) -> None:
    """Such hosts need not be there: a run that plans for them and ends well would look like a deploy."""
    (tmp_path / "hosts.yml").write_text(HOSTS, encoding="utf-8")
    command = ["ansible-playbook", "vllm_ray.cluster.site", "-e", "vllm_ray_hosts_file=hosts.yml"]
    done = subprocess.run(command, cwd=tmp_path, env=bare, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "run plan.yml (vllm_ray.cluster.plan)" in " ".join(done.stdout.split())
    assert "PLAN for" not in done.stdout
