# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which releases are in use, and which may go."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _lock_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases import _releases, _releases_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees import _tree_io


def release(id_: str, since: int, **uses: Any) -> Any:
    return {"id": id_, "since": since, "current_of": [], "previous_of": [], "named_by": [], "processes": 0, **uses}


def test_the_oldest_that_nobody_uses_go() -> None:
    releases = [
        release("a", 1, current_of=["x"]),
        release("b", 2, previous_of=["x"]),
        release("c", 3, named_by=["y"]),
        release("d", 4, processes=1),
        *(release(name, 10 + number) for number, name in enumerate("efgh")),
    ]
    assert _releases.to_prune(releases, 2, "e") == ["f"]
    assert _releases.to_prune(releases, 2, "new") == ["e", "f"]
    assert _releases.to_prune(releases, 0, "new") == ["e", "f", "g", "h"]
    assert _releases.to_prune(releases, 9, "new") == []


def make(root: Path, id_: str, age: int, named: str = "") -> Path:
    """Make what a look takes for a release that came so many seconds ago."""
    path = root / "releases" / id_
    path.mkdir(parents=True)
    record = {
        "id": named or id_,
        "lock": "cpu",
        "packages": {"vllm": "0.32.0", "six": "1"},
        "python": {"version": "3.11.2"},
        "manifest": {"sha256": "5f2c", "bytes": 5, "files": 1},
    }
    (path / "release.json").write_text(json.dumps(record))
    os.utime(path / "release.json", (time.time() - age,) * 2)
    return path


@pytest.fixture(name="host")
def _host(tmp_path: Path) -> Path:
    """Return a host with two clusters and five releases; each use keeps another one."""
    for age, name in enumerate(("current", "previous", "served", "new", "old")):
        make(tmp_path / "root", name, 100 + age)
    make(tmp_path / "root", "copied", 1, named="another")
    (tmp_path / "root" / "releases" / "half").mkdir()
    for cluster, links in {"one": {"current": "current", "previous": "previous"}, "two": {}}.items():
        folder = tmp_path / "etc" / cluster
        folder.mkdir(parents=True)
        for link, target in links.items():
            (folder / link).symlink_to(tmp_path / "root" / "releases" / target)
    (tmp_path / "etc" / "two" / "node.env").write_text("PATH='/opt/releases/served/bin'\n")
    return tmp_path


def test_a_host_tells_its_releases_and_their_users(host: Path) -> None:
    found = {one["id"]: one for one in _releases_io.look(str(host / "root"), str(host / "etc"))}
    assert list(found) == ["current", "previous", "served", "new", "old"]
    assert found["current"]["current_of"] == found["previous"]["previous_of"] == ["one"]
    assert found["served"]["named_by"] == ["two"]
    assert [name for name, one in found.items() if _releases.in_use(one)] == ["current", "previous", "served"]
    assert found["old"]["versions"] == {"vllm": "0.32.0"}
    assert (found["old"]["bytes"], found["old"]["manifest"]) == (5, "5f2c")


def prune(host: Path, **changes: Any) -> Any:
    params: Any = {
        "root": str(host / "root"),
        "config_root": str(host / "etc"),
        "record_directory": str(host / "records"),
    }
    params.update({"keep": 1, "wanted": "current", **changes})
    return _releases_io.prune(params)


def test_only_what_nobody_uses_is_removed(host: Path) -> None:
    assert prune(host) == {"changed": True, "removed": ["old"], "bytes": 5}
    left = {path.name for path in (host / "root" / "releases").iterdir()}
    # What is no release of ours, or not whole, is left alone.
    assert left == {".lock", "current", "previous", "served", "new", "copied", "half"}
    assert prune(host) == {"changed": False, "removed": [], "bytes": 0}
    assert prune(host, keep=0)["removed"] == ["new"]


def test_what_cut_runs_left_goes_after_a_day(host: Path) -> None:
    releases = host / "root" / "releases"
    names = [".staging-a", ".a.vllm-ray-sync", ".pruned-a", ".a-0123.tar", ".a.log"]
    for name in names:
        (releases / name).mkdir() if "." not in name[1:] or "sync" in name else (releases / name).write_text("x")
    prune(host)
    assert all((releases / name).exists() for name in names)
    for name in names:
        os.utime(releases / name, (time.time() - 2 * 86400,) * 2)
    prune(host)
    assert [name for name in names if (releases / name).exists()] == [".a.log"]


def test_nothing_is_removed_while_a_release_is_made_or_passed_on(host: Path) -> None:
    with _lock_io.held(str(host / "root" / "releases"), "builds x", 0):
        assert prune(host)["removed"] == []
    with _tree_io.held(str(host / "records"), str(host / "root" / "releases" / "old"), 0):
        prune(host)
    assert (host / "root" / "releases" / "old").is_dir()
    prune(host)
    assert not (host / "root" / "releases" / "old").exists()


def test_what_goes_is_decided_when_nobody_else_changes_releases(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the decision and the lock, another run may have let a cluster use the release."""
    free = _lock_io.held

    @contextlib.contextmanager
    def late(*arguments: Any) -> Iterator[None]:
        with free(*arguments):
            (host / "etc" / "one" / "previous").unlink()
            (host / "etc" / "one" / "previous").symlink_to(host / "root" / "releases" / "old")
            yield

    monkeypatch.setattr(_lock_io, "held", late)
    assert "old" not in prune(host, keep=0)["removed"]
    assert (host / "root" / "releases" / "old").is_dir()


def test_who_holds_the_lock_is_named(host: Path) -> None:
    directory = str(host / "root" / "releases")
    second = _lock_io.held(directory, "builds cpu-2", 0)
    with _lock_io.held(directory, "builds cpu-1", 0), pytest.raises(_lock_io.Busy) as raised:
        second.__enter__()
    said = str(raised.value)
    assert f"{directory}/.lock held by process {os.getpid()}, which builds cpu-1 for 0 minutes after 0 s" in said
    assert "end that process" in said
    with _lock_io.held(directory, "builds cpu-2", 0):
        pass


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"process": 7, "what": "builds x", "since": 1000}', "process 7, which builds x for 50 minutes"),
        ("", "a process that did not say what it does"),
        ("[]", "a process that did not say what it does"),
    ],
)
def test_what_the_lock_says(text: str, said: str) -> None:
    assert _lock_io.holder(text, 4000.0) == said
