# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The start scripts of the services, as the roles write them: what they record, where, and as whom."""

from __future__ import annotations

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

from ansible_collections.vllm_ray.cluster.plugins.module_utils._services._service_set import parse_sums, sha256

ROOT = Path(__file__).resolve().parents[2]
# A number without an account: the service user.
SERVICE = 64123
MANAGERS = ("systemd", "supervisor")
UNITS = {"ray": "node.service.j2", "vllm": "serve.service.j2"}
SCRIPTS = {"ray": "node.sh.j2", "vllm": "serve.sh.j2"}
NAMES = {"ray": "node", "vllm": "serve-main"}
# What each record must hold, besides unit and script.
FILES = {
    "ray": ["node.env", "ray.token"],
    "vllm": [
        *("serve-main.env", "serve-main.yaml", "api.key"),
        *("vllm/closed_api.py", "vllm/ray_non_carry_over_env_vars.json"),
    ],
}
BASE: dict[str, Any] = {
    "release": "/opt/release",
    "address": "192.0.2.11",
    "nic": "eno1",
    "head_address": "192.0.2.11",
    "cluster": "test",
    "accelerator": "cpu",
}
OF_VLLM = {"vllm_model": "/srv/demo", "vllm_served_model_name": "demo", "vllm_api_host": "192.0.2.11"}


class Rendered:
    """The files of one role below a folder. role: ray or vllm."""

    def __init__(self, folder: Path, role: str, manager: str) -> None:
        self.folder, self.role, self.manager = folder / f"{role}-{manager}", role, manager
        self.config, self.state, units = (self.folder / name for name in ("etc", "state", "units"))
        self.started = self.folder / "run" / "test"
        for directory in (self.config / "vllm", self.state / "log", units):
            directory.mkdir(parents=True)
        self.script = self.config / f"{NAMES[role]}.sh"
        unit = f"vllm-ray-{'node@test' if role == 'ray' else 'serve@test-main'}"
        self.unit = units / f"{unit}.{'service' if manager == 'systemd' else 'conf'}"

    def play(self) -> dict[str, Any]:
        """Return the play that writes script and unit by the role's own defaults and variables."""
        places = {"config_dir": self.config, "state_dir": self.state, "started_dir": self.started}
        given = {**BASE, **places, "units_dir": self.unit.parent, "manager": self.manager}
        base, own = ROOT / "roles" / self.role, self.folder / "given.yml"
        values = {f"{self.role}_{name}": str(value) for name, value in given.items()}
        own.write_text(json.dumps({**values, **OF_VLLM}), encoding="utf-8")
        wanted = {self.script: (SCRIPTS, "0755"), self.unit: (UNITS, "0644")}
        return {
            "name": f"Render {self.folder.name}",
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "vars_files": [*(str(base / part / "main.yml") for part in ("defaults", "vars")), str(own)],
            "tasks": [
                {
                    "name": f"Write {path.name}",
                    "ansible.builtin.template": {
                        "src": str(base / "templates" / names[self.role]),
                        "dest": str(path),
                        "mode": mode,
                    },
                }
                for path, (names, mode) in wanted.items()
            ],
        }

    def fresh(self) -> Rendered:
        """Put in what the script records, and take away what it has written."""
        for name in FILES[self.role]:
            (self.config / name).write_text(f"content of {name}\n", encoding="utf-8")
        shutil.rmtree(self.started.parent, ignore_errors=True)
        for path in (self.state / "log").iterdir():
            path.unlink()
        return self

    def run(self, *words: str, **more: Any) -> subprocess.CompletedProcess[str]:
        argv = [str(self.script), *words]
        return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=20, **more)

    def sums(self) -> dict[str, str]:
        return parse_sums((self.started / NAMES[self.role]).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def rendered() -> Iterator[dict[tuple[str, str], Rendered]]:
    """Return the files by role and manager, in a folder that everybody may pass, as on a host."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        made = {(role, manager): Rendered(folder, role, manager) for role in UNITS for manager in MANAGERS}
        (folder / "play.yml").write_text(json.dumps([one.play() for one in made.values()]), encoding="utf-8")
        env = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT), "ANSIBLE_LOCALHOST_WARNING": "false"}
        argv = [str(Path(sys.executable).parent / "ansible-playbook"), str(folder / "play.yml")]
        done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=180)
        assert done.returncode == 0, done.stdout + done.stderr
        yield made


@pytest.fixture(params=list(UNITS))
def unit(rendered: dict[tuple[str, str], Rendered], request: pytest.FixtureRequest) -> Rendered:
    """Return the files of each role for systemd."""
    return rendered[request.param, "systemd"].fresh()


@pytest.fixture(params=list(UNITS))
def program(rendered: dict[tuple[str, str], Rendered], request: pytest.FixtureRequest) -> Rendered:
    """Return the files of each role for supervisor."""
    return rendered[request.param, "supervisor"].fresh()


def test_root_records_what_the_service_user_starts_with(unit: Rendered) -> None:
    done = unit.run("record", umask=0o077)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    files = [unit.unit, unit.script, *(unit.config / name for name in FILES[unit.role])]
    assert unit.sums() == {str(path): sha256(path.read_text(encoding="utf-8")) for path in files}
    assert (unit.started.stat().st_mode & 0o777, unit.started.stat().st_uid) == (0o755, 0)
    # It reads secrets, and leaves nothing of them.
    assert "content of" not in (unit.started / NAMES[unit.role]).read_text(encoding="utf-8")
    # Nothing is left in the directory of the service user.
    assert not list((unit.state / "log").iterdir())
    if unit.role == "vllm":
        copy = unit.started / "serve-main.yaml"
        assert copy.read_text(encoding="utf-8") == "content of serve-main.yaml\n"
        assert copy.stat().st_mode & 0o777 == 0o600


def test_the_service_user_can_not_write_there(unit: Rendered) -> None:
    assert unit.run("record").returncode == 0
    before = unit.sums()
    done = unit.run("record", user=SERVICE, group=SERVICE, extra_groups=[])
    assert done.returncode != 0
    assert "Permission denied" in done.stderr
    assert unit.sums() == before


def test_a_start_that_can_not_be_recorded_fails(unit: Rendered) -> None:
    (unit.config / FILES[unit.role][0]).unlink()
    assert unit.run("record").returncode != 0


def test_systemd_takes_the_unit(unit: Rendered, tmp_path: Path) -> None:
    text = unit.unit.read_text(encoding="utf-8")
    assert f"ExecStartPre=+{unit.script} record\nExecStart={unit.script}\n" in text.replace('"', "")
    # The account need not be here.
    copy = tmp_path / unit.unit.name
    copy.write_text(text.replace("User=vllm-ray", "User=daemon"), encoding="utf-8")
    argv = ["systemd-analyze", "verify", "--man=no", str(copy)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert copy.name not in done.stderr, done.stderr


def test_under_supervisor_the_script_records_by_itself_and_counts_its_starts(program: Rendered) -> None:
    environment = program.config / FILES[program.role][0]
    environment.write_text("A=1\n", encoding="utf-8")
    for name in ("ray.token", "api.key"):
        (program.config / name).write_text("a-secret-of-this-test-that-is-long-enough", encoding="utf-8")
    for count in (1, 2):
        done = program.run()
        # There is no release here.
        assert done.returncode == 127, done.stderr
        assert done.stdout.startswith("Start of vllm-ray-")
        assert (program.state / "log" / f"{NAMES[program.role]}.starts").stat().st_size == count
    assert program.sums()[str(environment)] == sha256("A=1\n")
