# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Root runs nothing of a release: each module that starts a program of it does so as the service user. The release
here belongs to another account, and its programs write down the account that runs them."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _account_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases import _tools_io
from ansible_collections.vllm_ray.cluster.tests.contract import walk

ROOT = Path(__file__).resolve().parents[2]
MODULES = "ansible_collections.vllm_ray.cluster.plugins.modules"
NOBODY = 65534
# Modules that get a release, an environment or a Python and start nothing of it as root: the test below. Those that
# build refuse a Python that another account may change. supervisor runs everything as the module's account.
STARTING = ("audit_host", "collective_check", "host_info", "release_info", "serve_config_check", "support_part")
BUILDING = ("release_build", "release_resolve")
DOWNLOADING = ("model_download",)


class Release:
    """An environment of another account. ran: the accounts that started a program of it, one line per start."""

    def __init__(self, folder: Path) -> None:
        self.path, self.log = folder / "env", folder / "ran"
        (self.path / "bin").mkdir(parents=True)
        self.log.touch(0o666)
        self.log.chmod(0o666)
        for name in ("python", "vllm", "ray"):
            program = self.path / "bin" / name
            program.write_text(
                f'#!/bin/sh\necho "$(id -u) $(id -G) $PROOF_OF_ENVIRONMENT" >> {self.log}\n'
                'echo \'["3.11.2", "/usr/bin/python3", "x86_64"]\'\n',
                encoding="utf-8",
            )
            program.chmod(0o755)
        for path in (self.path, *self.path.rglob("*")):
            os.chown(path, NOBODY, NOBODY)

    @property
    def ran(self) -> list[str]:
        return self.log.read_text(encoding="utf-8").splitlines()


@pytest.fixture
def release() -> Iterator[Release]:
    """A place that everybody may enter: pytest's own is for root alone."""
    if os.geteuid() != 0:
        pytest.fail("this test needs root")
    folder = Path(tempfile.mkdtemp(prefix="vllm-ray-test-"))
    folder.chmod(0o755)
    try:
        yield Release(folder)
    finally:
        shutil.rmtree(folder)


def run(module: str, **options: Any) -> dict[str, Any]:
    given = json.dumps({"ANSIBLE_MODULE_ARGS": options})
    argv = [sys.executable, "-m", f"{MODULES}.{module}"]
    done = subprocess.run(argv, cwd=ROOT, input=given, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    return dict(json.loads(done.stdout))


def arguments(module: str, release: Release, folder: Path, user: str) -> dict[str, Any]:
    """Return what makes a module start a program of the release."""
    path = str(release.path)
    rank = {"ranks": [{"rank": 0}], "world": 1, "master": "127.0.0.1", "port": 6390, "backend": "gloo"}
    place = {"config": str(folder), "started": str(folder)}
    none = dict.fromkeys(
        ("state", "models", "clusters", "units", "supervisor_directory", "supervisor_bin"), str(folder)
    )
    asked = {"rows": ["ray"], "address": "127.0.0.1", "raylet_port": 9, "gcs_port": 9, "manager": "supervisor"}
    table: dict[str, dict[str, Any]] = {
        "audit_host": {"release": path, "user": user, "services": ["n"], **place, **none, **asked},
        "release_info": {"path": path, "user": user},
        "serve_config_check": {"release": path, "config": {}, "passed_file": f"{folder}/passed", "user": user},
        "collective_check": {"release": path, "user": user, "environment": {"PROOF_OF_ENVIRONMENT": "a b'c"}, **rank},
        "support_part": {"release": path, "units": str(folder), "user": user, "seconds": 5, **place},
        "host_info": {
            "services": ["vllm-ray-node@none"],
            # This machine has no systemd.
            "manager": "supervisor",
            "supervisor_directory": str(folder),
            "supervisor_bin": str(folder),
            "engine_config": f"{folder}/serve.yaml",
            "details": {"cluster": "none", "release": path, "user": user, "log_files": [f"{folder}/log"], **place},
        },
    }
    return table[module]


@pytest.mark.parametrize("user", ["nobody", "no-such-account-yet", str(NOBODY)])
@pytest.mark.parametrize("module", STARTING)
def test_a_program_of_a_release_never_runs_as_root(module: str, user: str, release: Release, tmp_path: Path) -> None:
    run(module, **arguments(module, release, tmp_path, user))
    assert release.ran
    assert [line for line in release.ran if not line.startswith(f"{NOBODY} {NOBODY}")] == []


def test_every_module_that_gets_a_release_is_known_here() -> None:
    found = []
    for path in walk.plugins("modules"):
        options = getattr(importlib.import_module(f"{MODULES}.{path.stem}"), "ARGUMENTS", {})
        flat = {**options, **(options.get("details") or {}).get("options", {})}
        if {"python", "supervisor_bin"} & set(flat) or (
            "release" in flat and path.stem not in ("plan", "preflight", "status")
        ):
            found.append(path.stem)
    supervised = ["ray_take_over", "service_set", "wait_for_ray", "wait_for_vllm"]
    known = [*STARTING, *BUILDING, *DOWNLOADING, *supervised]
    assert [name for name in found if name not in known] == []
    assert set(STARTING) <= set(found)


def test_a_rank_gets_its_environment(release: Release, tmp_path: Path) -> None:
    run("collective_check", **arguments("collective_check", release, tmp_path, "nobody"))
    assert [line.split(" ", 2)[2] for line in release.ran] == ["a b'c"]


class Runner:
    """The part of AnsibleModule that runs commands."""

    def run_command(self, argv: list[str], data: str = "", cwd: str = "/") -> tuple[int, str, str]:
        done = subprocess.run(argv, input=data, capture_output=True, text=True, cwd=cwd, check=False)
        return done.returncode, done.stdout, done.stderr


def test_root_loads_no_library_of_the_environment(release: Release) -> None:
    """ld.so of each process complains of the library; the first one to do so has no longer root's uid."""
    environment = {"LD_PRELOAD": "/no-such-library.so", "not a name; id": "x"}
    rc, out, err = _account_io.run_as(Runner(), "nobody", ["/bin/echo", "it ran"], environment)
    assert (rc, out) == (0, "it ran\n")
    assert err.count("no-such-library") == 1


def test_it_has_no_terminal_no_capabilities_and_nothing_of_roots_environment() -> None:
    os.environ["A_SECRET_OF_ROOT"] = "yes"
    try:
        argv = ["/bin/sh", "-c", "env; cat /proc/self/status; cut -d ' ' -f 7 /proc/self/stat"]
        _rc, out, _err = _account_io.run_as(Runner(), "nobody", argv)
    finally:
        del os.environ["A_SECRET_OF_ROOT"]
    assert "A_SECRET_OF_ROOT" not in out
    assert "CapEff:\t0000000000000000" in out
    assert "NoNewPrivs:\t1" in out
    assert out.splitlines()[-1] == "0"


@pytest.mark.parametrize("what", ["owner", "mode", "above", "link"])
def test_root_does_not_build_with_a_python_that_another_account_may_change(
    what: str, release: Release, tmp_path: Path
) -> None:
    own = release.path.parent / "own"
    own.mkdir()
    python = own / "python"
    shutil.copy(release.path / "bin" / "python", python)
    assert _account_io.exposed(str(python)) == ""
    place = {"owner": python, "mode": python, "above": own, "link": release.path / "bin" / "python"}[what]
    if what == "owner":
        os.chown(python, NOBODY, NOBODY)
    elif what == "link":
        python.unlink()
        python.symlink_to(release.path / "bin" / "python")
        place = release.path / "bin"
    else:
        place.chmod(0o775)
    result = run("release_build", root=str(tmp_path), id="x", recipe_dir=str(tmp_path), lock="cpu", python=str(python))
    assert result["failed"]
    assert f"{place} may be changed by another account than root" in result["msg"]
    assert "chown root" in result["msg"]
    assert release.ran == []


def test_the_system_python_may_build() -> None:
    assert _tools_io.root_python_problem("/usr/bin/python3") is None
