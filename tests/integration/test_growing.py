# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tree that is downloaded on one host while the others already fetch what is finished: as processes."""

from __future__ import annotations

import itertools
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _folders_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees import _tree, _tree_io

ROOT = Path(__file__).resolve().parents[2]
MIB = 1024**2
FILES = {"config.json": 700, "one/large": 3 * MIB + 5, "one/two/small": 1, "void": 0, "zz": MIB}
NETS = itertools.count(os.getpid() % 200)
LONGEST = 40


class Cluster:
    """Three hosts; h1 downloads. from: where the test lays what is finished."""

    def __init__(self, folder: Path) -> None:
        net = next(NETS) % 250
        self.folder, self.running = folder, dict[str, subprocess.Popen[str]]()
        self.names = ["h1", "h2", "h3"]
        self.hosts = [{"name": name, "address": f"127.99.{net}.{at}"} for at, name in enumerate(self.names, 1)]
        self.came = folder / "from"
        chance = random.Random(3)
        self.content = {name: chance.randbytes(size) for name, size in FILES.items()}
        self.token = f"{os.getpid()} {time.time()}"

    def tree(self, name: str) -> Path:
        return self.folder / name / "tree"

    def begin(self, *names: str, **options: Any) -> None:
        for name in names or self.names:
            given = {
                "path": str(self.tree(name)),
                "record_directory": str(self.folder / name / "records"),
                "hosts": self.hosts,
                "name": name,
                "token": self.token,
                "digest": "",
                "source": "h1",
                "from": str(self.came),
                "files": list(FILES.items()),
                "depth": "quick",
                "replace": False,
                "limit_mbit": 0,
                "reserve_gib": 0,
                "window": 10,
                "grace": 5,
                "patience": 3,
                **options,
            }
            process = subprocess.Popen(
                [sys.executable, str(ROOT / "tests" / "integration" / "grow.py")],
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            assert process.stdin
            process.stdin.write(json.dumps(given))
            process.stdin.close()
            process.stdin = None
            self.running[name] = process

    def come(self, name: str) -> None:
        """Let a file be finished on the host that downloads."""
        place = self.came / name
        place.parent.mkdir(parents=True, exist_ok=True)
        part = place.with_name(place.name + ".part")
        part.write_bytes(self.content[name])
        part.rename(place)

    def finish(self, reason: str = "") -> None:
        (self.came / ".new").write_text(reason)
        (self.came / ".new").rename(self.came / ".end")

    def end(self) -> dict[str, dict[str, Any]]:
        return {name: json.loads(self.running.pop(name).communicate(timeout=LONGEST)[0]) for name in [*self.running]}

    def staged(self, name: str, file: str) -> bool:
        place = self.folder / name / f".tree{_folders_io.STAGING}" / "tree" / file
        return place.exists() and place.read_bytes() == self.content[file]

    def assert_whole(self, name: str) -> None:
        tree = self.tree(name)
        found = {str(path.relative_to(tree)): path.read_bytes() for path in tree.rglob("*") if path.is_file()}
        assert found == self.content
        assert {path.stat().st_mode & 0o777 for path in tree.rglob("*") if path.is_file()} == {0o644}
        assert sorted(path.name for path in tree.parent.iterdir()) == ["records", "tree"]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path)
    made.came.mkdir()
    for name in made.names:
        (tmp_path / name).mkdir()
    yield made
    for process in made.running.values():
        process.kill()
        process.communicate()


def wait(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + LONGEST
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.02)


def test_finished_files_spread_while_later_ones_are_downloaded(cluster: Cluster) -> None:
    cluster.begin()
    cluster.come("one/large")
    wait(lambda: cluster.staged("h2", "one/large") and cluster.staged("h3", "one/large"))
    # Longer than their patience: the host that downloads says that it goes on.
    time.sleep(4)
    progress: Any = _tree_io.read_progress(str(cluster.folder / "h2" / "records"), str(cluster.tree("h2")))
    assert progress["bytes"] == sum(FILES.values())
    assert progress["hosts"]["h3"][1] == "receives"
    assert abs(progress["hosts"]["h3"][0] - FILES["one/large"]) < 0.01 * progress["bytes"]
    for name in ("zz", "config.json", "one/two/small", "void"):
        cluster.come(name)
    cluster.finish()
    results = cluster.end()
    assert not any(result.get("failed") for result in results.values()), results
    assert len({result["digest"] for result in results.values()}) == 1
    assert results["h1"]["received_bytes"] == 0
    for name in cluster.names:
        cluster.assert_whole(name)
        assert results[name]["changed"]
        # The run has ended: late requests get this answer.
        assert _tree_io.read_progress(str(cluster.folder / name / "records"), str(cluster.tree(name)))["hosts"] == {}


def test_the_trees_are_known_afterwards_without_hashing(cluster: Cluster) -> None:
    for name in FILES:
        cluster.come(name)
    cluster.finish()
    cluster.begin()
    digest = cluster.end()["h2"]["digest"]
    record = _tree_io.read_record(str(cluster.folder / "h2" / "records"), str(cluster.tree("h2")))
    look = _tree_io.look(str(cluster.tree("h2")), record)
    assert look.hashed == 0
    assert _tree.digest(_tree.dump(look.manifest())) == digest


def test_a_download_that_fails_ends_all_hosts_with_its_reason_and_no_tree(cluster: Cluster) -> None:
    cluster.begin()
    cluster.come("one/large")
    wait(lambda: cluster.staged("h3", "one/large"))
    cluster.finish("the hub refuses it")
    results = cluster.end()
    assert all("the hub refuses it" in result["failed"] for result in results.values()), results
    assert not any(cluster.tree(name).exists() for name in cluster.names)
    # What came is kept, and not sent again.
    (cluster.came / ".end").unlink()
    for name in FILES:
        cluster.come(name)
    cluster.finish()
    cluster.begin()
    results = cluster.end()
    assert not any(result.get("failed") for result in results.values()), results
    assert results["h3"]["received_bytes"] < 1.5 * MIB
    for name in cluster.names:
        cluster.assert_whole(name)


def test_a_file_may_take_longer_to_hash_than_hosts_have_patience(cluster: Cluster) -> None:
    cluster.begin()
    cluster.come("one/large")
    wait(lambda: cluster.staged("h2", "one/large") and cluster.staged("h3", "one/large"))
    cluster.finish("the hub went away")
    cluster.end()
    # The host that downloads hashes it after the download's end, the others what they kept of it after that.
    for name in FILES:
        cluster.come(name)
    cluster.finish()
    cluster.begin(patience=2, slow="large")
    results = cluster.end()
    assert not any(result.get("failed") for result in results.values()), results
    assert results["h3"]["received_bytes"] < 1.5 * MIB


def test_a_download_that_ends_too_early_names_what_is_missing(cluster: Cluster) -> None:
    cluster.come("zz")
    cluster.finish()
    cluster.begin()
    assert "one/large" in cluster.end()["h1"]["failed"]


def test_without_the_host_that_downloads_the_others_end(cluster: Cluster) -> None:
    cluster.begin(patience=2)
    cluster.come("one/large")
    # Both: a host that came later would not know the files.
    wait(lambda: cluster.staged("h2", "one/large") and cluster.staged("h3", "one/large"))
    cluster.running["h1"].kill()
    cluster.running.pop("h1").communicate()
    results = cluster.end()
    assert all("Not reachable: h1" in result["failed"] for result in results.values()), results


def test_a_host_that_never_heard_of_the_one_that_downloads_says_so(cluster: Cluster) -> None:
    cluster.begin("h3", patience=1)
    assert "h3 heard nothing from h1, which downloads the tree, for 1 s" in cluster.end()["h3"]["failed"]
