# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The longest directory that Ray's sockets fit into, asked of the release's own Ray."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _paths

RELEASE = Path(os.environ.get("VLLM_RAY_TEST_RELEASE", "/nowhere"))
# Ray's dashboard makes a socket for each of its modules that is enabled.
MODULES = """
from ray.dashboard import utils
from ray.dashboard.subprocesses.module import SubprocessModule
from ray.dashboard.subprocesses.utils import get_socket_path
for module in utils.get_all_modules(SubprocessModule):
    if module.is_enabled():
        print(get_socket_path("", module.__name__))
"""
# With a network and process ids of its own it meets no other Ray, its ids have one digit, and all of it ends at once.
ALONE = ("unshare", "--net", "--pid", "--fork", "--mount-proc", "--kill-child")
START = """
ip link set lo up
"$0" start --head --block --disable-usage-stats --log-color=false --node-ip-address=127.0.0.1 --num-gpus=0 \\
  --object-store-memory=100000000 --temp-dir="$1" &
wait
"""
DIGITS = 7


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(f"/tmp/r{os.getpid()}")
    path.mkdir()
    yield path
    shutil.rmtree(path)


def ray_in(directory: Path, seconds: float) -> tuple[set[str], str]:
    """Start a head of Ray; return its sockets when it is up, and the sentence in which the dashboard gives up."""
    directory.mkdir(parents=True)
    env = {**os.environ, "PATH": f"{RELEASE}/bin:{os.environ['PATH']}", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}
    command = [*ALONE, "sh", "-c", START, f"{RELEASE}/bin/ray", str(directory)]
    with (directory.parent / "output").open("w+") as output:
        process = subprocess.Popen(command, env=env, stdout=output, stderr=output)
        try:
            end, session = time.monotonic() + seconds, directory / "session_latest"
            while time.monotonic() < end and process.poll() is None:
                text = (directory.parent / "output").read_text()
                logs = "".join(path.read_text(errors="replace") for path in session.glob("logs/dashboard*"))
                refused = next((line for line in logs.splitlines() if "path length cannot exceed" in line), "")
                if refused or "Ray runtime started" in text:
                    return {path.name for path in session.glob("sockets/*")}, refused
                time.sleep(0.2)
            raise AssertionError(f"neither started nor refused within {seconds} s: {text[-2000:]}")
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()


def test_the_release_has_no_longer_name_of_a_socket() -> None:
    done = subprocess.run([RELEASE / "bin" / "python", "-c", MODULES], capture_output=True, text=True, check=True)
    names = [*done.stdout.split(), "plasma_store", "raylet"]
    assert len(names) > 8
    assert max(map(len, names)) == len(Path(_paths.RAY_SOCKET).name), names


def test_ray_starts_at_the_limit_and_not_one_above(folder: Path) -> None:
    """Process ids have one digit here, and up to seven elsewhere: the directory is longer by the other six."""
    limit = _paths.RAY_DIRECTORY_MAXIMUM + DIGITS - 1
    sockets, refused = ray_in(folder / ("x" * (limit - len(str(folder)) - 1)), 120)
    assert refused == ""
    assert {"plasma_store", "raylet", Path(_paths.RAY_SOCKET).name} <= sockets
    shutil.rmtree(folder)
    _sockets, refused = ray_in(folder / ("x" * (limit - len(str(folder)))), 120)
    assert Path(_paths.RAY_SOCKET).name in refused


def test_process_ids_have_no_more_digits() -> None:
    """The kernel's own limit is 2^22, whatever kernel.pid_max is."""
    assert len(str(2**22)) == DIGITS
    assert len(_paths.RAY_SOCKET.split("/")[1].rpartition("_")[2]) == DIGITS
