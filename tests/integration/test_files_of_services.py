# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the service user puts into its own directories, while root keeps them in order and gathers from them."""

from __future__ import annotations

import base64
import io
import json
import os
import stat
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _support
from ansible_collections.vllm_ray.cluster.tests.integration import run_module

NOBODY = 65534
SECRET = "only-root-may-read-this"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Return the directory of a cluster's state, the service user's, with what a first run made in it."""
    folder = tmp_path / "state"
    for path in (folder, folder / "started", folder / "log", folder / "ray" / "session_2026" / "logs"):
        path.mkdir(parents=True)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    return folder


@pytest.fixture
def system(tmp_path: Path) -> Path:
    """Return a directory as /etc is one: root's, with a file that only root may read."""
    folder = tmp_path / "etc"
    folder.mkdir(mode=0o700)
    (folder / "shadow").write_text(f"root:{SECRET}:\n")
    (folder / "shadow").chmod(0o600)
    return folder


def keep(state: Path, **options: Any) -> dict[str, Any]:
    """Run service_set on a directory of logs, as the role ray does."""
    log = {"path": str(state / "log"), "mode": "0755", "owner": "nobody", "group": "nogroup"}
    return run_module.run("service_set", {"directories": [log], **options}, state.parent).answer


@pytest.mark.parametrize("check", [False, True], ids=["run", "check"])
def test_a_directory_of_logs_that_became_a_link_is_refused(state: Path, system: Path, check: bool) -> None:
    (state / "log").rmdir()
    (state / "log").symlink_to(system)
    before = system.stat()
    answer = keep(state, _ansible_check_mode=check)
    after = system.stat()
    assert (after.st_uid, after.st_gid, after.st_mode) == (before.st_uid, before.st_gid, before.st_mode)
    assert answer["failed"]
    assert answer["msg"] == (
        f"{state}/log is a symbolic link to {system}; expected a directory. To fix it, move it away: "
        f"mv -T {state}/log {state}/log.aside"
    )


def test_what_it_tells_to_do_helps(state: Path, system: Path) -> None:
    (state / "log").rmdir()
    (state / "log").symlink_to(system)
    command = keep(state)["msg"].rpartition(": ")[2].split()
    assert command[:2] == ["mv", "-T"]
    os.rename(command[2], command[3])
    assert keep(state)["changed"]
    assert (state / "log").stat().st_uid == NOBODY
    assert not keep(state)["changed"]


def test_a_link_that_root_made_where_only_root_may_is_followed(tmp_path: Path, state: Path) -> None:
    (tmp_path / "moved").symlink_to(state)
    assert keep(tmp_path / "moved")["changed"] is False
    (state / "log").rmdir()
    assert keep(tmp_path / "moved")["changed"] is True
    assert stat.S_IMODE((state / "log").stat().st_mode) == 0o755


def test_a_file_that_became_a_link_is_replaced(state: Path, system: Path) -> None:
    (state / "a").symlink_to(system / "shadow")
    answer = keep(state, files=[{"path": str(state / "a"), "content": "ours\n", "mode": "0644", "owner": "nobody"}])
    assert answer["diff"][-1]["before"] == f"a symbolic link to {system}/shadow\n"
    assert (state / "a").read_text() == "ours\n"
    assert not (state / "a").is_symlink()
    assert (system / "shadow").stat().st_uid == 0
    assert SECRET in (system / "shadow").read_text()


def members(state: Path, **given: int) -> dict[str, str]:
    """Run support_part, and return what is in the archive."""
    names = {"config": "config", "units": "units", "release": "release"}
    places = {name: str(state.parent / folder) for name, folder in names.items()}
    options = {
        "state": str(state),
        "started": str(state / "started"),
        "services": ["vllm-ray-node@c"],
        "manager": "supervisor",
        "seconds": 1,
        **places,
        **given,
    }
    result = run_module.run("support_part", options, state.parent)
    assert result.status == 0, result.output
    archive = io.BytesIO(base64.b64decode(result.answer["archive"]))
    with tarfile.open(fileobj=archive) as tar:
        return {member.name: (tar.extractfile(member) or io.BytesIO()).read().decode() for member in tar}


def test_a_support_bundle_follows_no_link_of_the_service_user(state: Path, system: Path) -> None:
    for place in ("started/node", "log/node.log", "ray/session_2026/logs/raylet.out"):
        (state / place).symlink_to(system / "shadow")
    (system / "logs").mkdir()
    (system / "logs" / "worker.out").write_text(SECRET)
    (state / "ray" / "session_2027").symlink_to(system)
    (state / "ray" / "session_2026" / "logs" / "gcs_server.out").write_text("gcs\n")
    found = members(state)
    assert SECRET not in json.dumps(found)
    assert found["ray/session_2026/gcs_server.out"] == "gcs\n"
    assert "started/node" not in found
    assert f"started/node: {state}/started/node is a symbolic link to {system}/shadow" in found["MISSING"]


def test_names_in_a_support_bundle_are_plain(state: Path) -> None:
    for name in ("a\n\x1b[2Jb", "-x", "..a", "\udcff"):
        (state / "started" / name).write_text("text")
    found = members(state)
    assert [name for name in found if name.startswith("started/")] == ["started/-x"]
    assert r"started/a\n\x1b[2Jb: its name" in found["MISSING"]
    assert found["MISSING"].replace("\n", "").isprintable()


def test_a_support_bundle_is_bounded(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many files, long lines, and files that end nowhere: it takes less than 200 MB, and says what is left out."""
    with (state / "log" / "node.log").open("wb") as stream:
        stream.truncate(4 << 30)
    logs = state / "ray" / "session_2026" / "logs"
    (logs / "worker.out").write_text("a://" * 100_000)
    for number in range(6):
        (logs / f"worker-{number}.out").write_text("x" * 2_000_000)
    for number in range(300):
        (logs / f"a b {number}").write_text("x")
    # Megabytes of text are searched for secrets.
    monkeypatch.setattr(run_module, "SECONDS", 60)
    found = members(state, total_mib=8)
    assert "this host's part would be larger than 8 MiB" in found["MISSING"]
    assert "more that are not named here" in found["MISSING"]
    assert sum(map(len, found.values())) < 9 * run_module.MIB


@pytest.mark.parametrize(
    ("command", "status", "output", "errors"),
    [
        pytest.param("echo a; echo b >&2", 0, "a\n", "b\n", id="ends-well"),
        pytest.param("echo a; echo b >&2; exit 7", 7, "a\n", "b\n", id="fails"),
        pytest.param("seq 100000", 0, "99999\n100000\n", "", id="long"),
        pytest.param("seq 100000 >&2; exit 3", 3, "", "100000\n", id="long-errors"),
        pytest.param("cat", 0, "given\n", "", id="what-it-is-given"),
    ],
)
def test_what_commands_print_is_bounded(command: str, status: int, output: str, errors: str) -> None:
    argv = ["sh", "-c", _support.BOUNDED, "sh", "13", "sh", "-c", command]
    done = subprocess.run(argv, input="given\n", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (status, output)
    assert done.stderr.endswith(errors)
    assert len(done.stderr) <= 4096
