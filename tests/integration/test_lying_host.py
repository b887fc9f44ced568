# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host whose root says that it has a release and really offers another tree, under the name and with the record of
the right one. The steps are those of the role: probe, choose, transfer."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.action.release_seed import ActionModule
from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases import _release_io, _release_tree
from ansible_collections.vllm_ray.cluster.tests.integration.test_tree_sync import Cluster, contents

ROOT = Path(__file__).resolve().parents[2]
MODULES = "ansible_collections.vllm_ray.cluster.plugins.modules"
ID = "cpu-1"


def run(module: str, **options: Any) -> dict[str, Any]:
    """Run a module as Ansible does, and return what it returns."""
    given = json.dumps({"ANSIBLE_MODULE_ARGS": options})
    argv = [sys.executable, "-m", f"{MODULES}.{module}"]
    done = subprocess.run(argv, cwd=ROOT, input=given, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    return dict(json.loads(done.stdout))


def make_release(tree: Path, text: str = "print('good')\n") -> str:
    """Make a small release, and return the SHA-256 of its manifest."""
    (tree / "bin").mkdir(parents=True)
    (tree / "bin" / "python").write_text(text, encoding="utf-8")
    (tree / "bin" / "python").chmod(0o755)
    manifest = _release_tree.dump_manifest(_release_io.entries(str(tree)).values())
    (tree / _release_tree.MANIFEST).write_text(manifest, encoding="utf-8")
    digest = hashlib.sha256(manifest.encode()).hexdigest()
    record = {
        "id": ID,
        "lock": "cpu",
        "python": {"version": "3.11.2", "path": sys.executable, "machine": os.uname().machine, "managed": False},
        "packages": {},
        "manifest": {"sha256": digest, "files": 1, "bytes": len(text)},
    }
    (tree / _release_tree.RECORD).write_text(json.dumps(record), encoding="utf-8")
    return digest


class Deployment(Cluster):
    """Hosts with one release. h1 builds and has the record of trusted digests."""

    @property
    def record(self) -> Path:
        return self.folder / "h1" / "etc" / "trusted.json"

    def look(self, name: str) -> dict[str, Any]:
        """Probe a host. Its release is below a directory `releases`, as on Ansible hosts."""
        place = self.folder / name / "root" / "releases"
        place.mkdir(parents=True, exist_ok=True)
        link = place / ID
        link.unlink(missing_ok=True)
        if self.tree(name).exists():
            link.symlink_to(self.tree(name))
        return run("release_info", root=str(place.parent), id=ID)

    def choose(self, monkeypatch: pytest.MonkeyPatch, built: dict[str, Any] | None = None) -> dict[str, Any]:
        """Choose as the role's task does, with the record of this deployment."""
        looks = {name: self.look(name) for name in self.names}
        given = {
            "id": ID,
            "builder": "h1",
            "built": looks["h1"] if built is None else built,
            "trusted": str(self.record),
            "hosts": self.hosts,
        }
        task = SimpleNamespace(args=given, async_val=0, check_mode=False, diff=False)
        action = ActionModule(task, SimpleNamespace(_shell=SimpleNamespace(tmpdir="/nowhere")), None, None, None, None)

        def execute(module_name: str, module_args: dict[str, Any], **_more: Any) -> dict[str, Any]:
            return run(module_name.rpartition(".")[2], **module_args)

        monkeypatch.setattr(action, "_execute_module", execute)
        hostvars = {name: {"release_found": answer} for name, answer in looks.items()}
        variables: Any = {"hostvars": hostvars, "ansible_play_batch": self.names, "ansible_forks": 5}
        return action.run(task_vars=variables)

    def note(self, manifest: str) -> None:
        """Note which tree h1 built, as the role does after a transfer."""
        noted = run(
            "trusted_digest",
            path=str(self.record),
            name=f"release {ID}",
            tree=self.describe("h1"),
            manifest=manifest,
            host="h1",
        )
        assert noted["changed"]


def lie(tree: Path, good: Path) -> None:
    """Make another tree that calls itself the good one: its record and manifest are those of the good one."""
    make_release(tree, "print('evil')\n")
    for name in _release_tree.OWN_FILES:
        shutil.copy(good / name, tree / name)


def test_the_liars_tree_goes_to_nobody_and_the_right_one_to_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The builder lost the release. h2 lies, h3 has the release, h4 lacks it."""
    cluster = Deployment(tmp_path, 4)
    manifest = make_release(cluster.tree("h1"))
    cluster.note(manifest)
    good = contents(cluster.tree("h1"))
    shutil.copytree(cluster.tree("h1"), cluster.tree("h3"))
    lie(cluster.tree("h2"), cluster.tree("h3"))
    shutil.rmtree(cluster.tree("h1"))
    assert cluster.look("h2")["manifest"] == manifest
    seed = cluster.choose(monkeypatch)
    assert (seed["builds"], seed["lacking"], seed["wanted"]) == (False, ["h1", "h4"], manifest)
    cluster.sync(seed["digest"], replace=True)
    assert all(contents(cluster.tree(name)) == good for name in cluster.names)


def test_where_only_the_liar_offers_it_nobody_ends_with_its_tree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Deployment(tmp_path, 3)
    manifest = make_release(cluster.tree("h1"))
    cluster.note(manifest)
    lie(cluster.tree("h2"), cluster.tree("h1"))
    shutil.rmtree(cluster.tree("h1"))
    seed = cluster.choose(monkeypatch)
    cluster.begin(seed["digest"], replace=True, window=1, patience=1, grace=5)
    results = {name: cluster.end(name) for name in cluster.names}
    assert all(result["failed"] for result in results.values())
    assert "knows no host that has the tree" in results["h3"]["msg"]
    assert not cluster.tree("h1").exists()
    assert not cluster.tree("h3").exists()


def test_a_release_that_only_a_liar_has_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody can compute the id of an upgrade. A host that has it before it was built is not used as a source."""
    cluster = Deployment(tmp_path, 3)
    evil = make_release(cluster.tree("h2"), "print('evil')\n")
    seed = cluster.choose(monkeypatch)
    assert (seed["host"], seed["builds"], seed["wanted"], seed["lacking"]) == ("h1", True, "", ["h2", "h3"])
    assert evil[:12] in seed["warnings"][0]
    manifest = make_release(cluster.tree("h1"))
    cluster.sync(cluster.describe("h1"), replace=True)
    assert manifest != evil
    assert {cluster.look(name)["manifest"] for name in cluster.names} == {manifest}
    assert all(contents(cluster.tree(name)) == contents(cluster.tree("h1")) for name in cluster.names)


@pytest.mark.parametrize("what", ["file", "directory", "owner", "link"])
def test_a_record_that_another_account_can_write_is_not_believed(tmp_path: Path, what: str) -> None:
    if os.geteuid() != 0:
        pytest.fail("this test needs root")
    folder = tmp_path / "etc"
    place = folder / "trusted.json"
    assert run("trusted_digest", path=str(place), name="release x", tree="1" * 64, manifest="2" * 64)["changed"]
    assert not run("trusted_digest", path=str(place), name="release x", tree="1" * 64, manifest="2" * 64)["changed"]
    assert run("trusted_digest", path=str(place), name="release x")["tree"] == "1" * 64
    if what == "file":
        place.chmod(0o664)
    elif what == "directory":
        folder.chmod(0o777)
    elif what == "owner":
        os.chown(place, 65534, 65534)
    else:
        place.rename(tmp_path / "elsewhere")
        place.symlink_to(tmp_path / "elsewhere")
    read = run("trusted_digest", path=str(place), name="release x")
    assert read["failed"]
    assert str(place) in read["msg"]
