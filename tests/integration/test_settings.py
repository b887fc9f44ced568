# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hostile values of every variable: refused, or read back unchanged by the readers of what the roles write.

The readers are the shell, systemd (systemd-analyze), sudo (visudo, cvtsudoers) and the release's own supervisor.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.vllm_ray.cluster.plugins.filter.shell_environment import shell_environment
from ansible_collections.vllm_ray.cluster.plugins.filter.sudoers_value import sudoers_value
from ansible_collections.vllm_ray.cluster.plugins.filter.supervisor_value import supervisor_value
from ansible_collections.vllm_ray.cluster.plugins.filter.systemd_value import systemd_value
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _settings
from ansible_collections.vllm_ray.cluster.tests.unit.hostile import HOSTILE

# A release's programs say by what they were started.
STUB = """#!/bin/sh
/usr/bin/env -0 > "$0.environment"
for word in "$0" "$@"; do printf '%s\\0' "$word"; done > "$0.words"
"""
# Prints what supervisor reads from files of configuration, in the release's Python.
SUPERVISOR = """
import json, sys, warnings
from supervisor.options import ServerOptions
warnings.simplefilter("ignore")
for path in sys.argv[1:]:
    options = ServerOptions()
    options.realize(["-c", path])
    programs = [one for group in options.process_group_configs for one in group.process_configs]
    words = {one.name: [one.command, one.stdout_logfile] for one in programs}
    print(json.dumps({"programs": words, "logfile": options.logfile, "directory": options.directory}))
"""


def taken(name: str, shape: Callable[[str], Any] = lambda value: value) -> list[str]:
    """Return the hostile values that a variable may have. shape: makes a value of the variable from one."""
    return [value for value in HOSTILE if not _settings.wrong(name, shape(value))]


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """Return a home with a path that is short enough for Ray, and a release of stubs in it."""
    with tempfile.TemporaryDirectory(prefix="h", dir="/tmp") as folder:
        for name in ("ray", "vllm"):
            program = Path(folder, "release", "bin", name)
            program.parent.mkdir(parents=True, exist_ok=True)
            program.write_text(STUB)
            program.chmod(0o755)
        yield Path(folder)


def render(home: Path, given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what the roles would write for each case."""
    command = [sys.executable, str(Path(__file__).with_name("render_roles.py")), str(home)]
    done = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers


def write(answer: dict[str, Any]) -> None:
    """Write what service_set would, below the home alone."""
    for entry in answer["files"]:
        path = Path(entry["path"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(entry["content"])
        path.chmod(int(entry.get("mode", "0644"), 8))
    for unit in answer["units"]:
        path = Path(unit["unit_path"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(unit["unit"])
    state, config = (Path(answer["directories"][name]) for name in ("state", "config"))
    for name in ("started", "log", "ray"):
        (state / name).mkdir(parents=True, exist_ok=True)
    (config / "ray.token").write_text("t" * 64)
    (config / "api.key").write_text("k" * 64)


def words_of(file: Path) -> list[str]:
    return file.read_bytes().decode().split("\0")[:-1]


def started(script: Path, program: Path) -> tuple[list[str], dict[str, str]]:
    """Run a start script; return the words and the environment that it started the program with."""
    done = subprocess.run([script], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pairs = [pair.partition("=") for pair in words_of(program.with_name(f"{program.name}.environment"))]
    return words_of(program.with_name(f"{program.name}.words")), {name: value for name, _equals, value in pairs}


def test_scripts_start_programs_with_the_values_as_they_are(home: Path) -> None:
    """In scope user, where all files are below the home. A rendering takes a second, so a case has many values."""
    arguments = taken("vllm_ray_start_args", lambda value: [value])
    environment = {
        f"A{number}": value for number, value in enumerate(taken("vllm_ray_env", lambda value: {"A": value}))
    }
    options = {f"x{number}": value for number, value in enumerate(HOSTILE)}
    assert min(len(arguments), len(environment), len(options)) > 40
    scope = {"vllm_ray_scope": "user"}
    given: list[dict[str, Any]] = [
        {**scope, "vllm_ray_env": environment, "vllm_ray_start_args": arguments, "vllm_ray_serve_args": options},
        *({**scope, "vllm_ray_model": f"/srv/{value}"} for value in taken("vllm_ray_model")[::6]),
    ]
    assert len(given) > 5
    for case, answer in zip(given, render(home, given), strict=True):
        write(answer)
        config = Path(answer["directories"]["config"])
        words, of_node = started(config / "node.sh", home / "release" / "bin" / "ray")
        served, of_engine = started(config / "serve-main.sh", home / "release" / "bin" / "vllm")
        assert words == answer["argv"]
        own = ["--middleware", "closed_api.ClosedApi"]
        assert served[1:] == ["serve", "--config", f"{config}/serve-main.yaml", *own]
        config_read = json.loads((config / "serve-main.yaml").read_text())
        assert config_read == answer["config"]
        assert config_read["model"] == case.get("vllm_ray_model", "/srv/demo")
        assert config_read.items() >= case.get("vllm_ray_serve_args", {}).items()
        if "vllm_ray_start_args" in case:
            assert words[-len(arguments) :] == arguments
        wanted = {**answer["environment"], **case.get("vllm_ray_env", {})}
        assert of_node.items() >= wanted.items()
        assert of_engine.items() >= {**wanted, **answer["serve_environment"], "CUDA_VISIBLE_DEVICES": "0"}.items()
    assert not Path("/tmp/vllm-ray-was-run").exists()


def supervisor_reads(*files: Path) -> list[dict[str, Any]]:
    python = Path(os.environ["VLLM_RAY_TEST_RELEASE"], "bin", "python")
    command = [str(python), "-c", SUPERVISOR, *map(str, files)]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    return [json.loads(line) for line in said.stdout.splitlines()]


@pytest.mark.parametrize("name", ["demo", "a.b_c-d", "x" * 14])
def test_supervisor_reads_what_the_roles_write(home: Path, name: str) -> None:
    (answer,) = render(home, [{"vllm_ray_scope": "user", "vllm_ray_cluster": name}])
    write(answer)
    config, state = answer["directories"]["config"], answer["directories"]["state"]
    (read,) = supervisor_reads(Path(config, "supervisord.conf"))
    assert read == {
        "programs": {
            f"vllm-ray-node@{name}": [f"{config}/node.sh", f"{state}/log/node.log"],
            f"vllm-ray-serve@{name}-main": [f"{config}/serve-main.sh", f"{state}/log/serve-main.log"],
        },
        "logfile": f"{state}/log/supervisord.log",
        "directory": state,
    }


def settings_of(unit: str) -> dict[str, str]:
    return {name: value for name, _equals, value in (line.partition("=") for line in unit.splitlines())}


def analyze(folder: Path, units: dict[str, str]) -> str:
    """Return what systemd says of units. It looks for the programs of ExecStart, too."""
    for name, text in units.items():
        (folder / name).write_text(text)
    verify = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no"]
    done = subprocess.run([*verify, *(folder / name for name in units)], capture_output=True, text=True, check=False)
    # Words about units of the machine are none of ours.
    return "\n".join(line for line in done.stderr.splitlines() if str(folder) in line or "vllm" in line)


def test_units_and_sudoers_have_the_values_as_they_are(home: Path, tmp_path: Path) -> None:
    """In scope system, with what may name a unit, its user and its group."""
    base = {"vllm_ray_operators_group": "mlops", "vllm_ray_config_root": f"{home}/etc"}
    groups = [*("domain users", "DOM\\ops", "a=b", "a%b"), *taken("vllm_ray_operators_group")[::5]]
    given = [
        *({**base, "vllm_ray_operators_group": group} for group in groups),
        {**base, "vllm_ray_cluster": "a.b_c-d", "vllm_ray_user": "A.b-c"},
        {**base, "vllm_ray_config_root": f"{home}/a+b@c=d,e~\u00f6", "vllm_ray_cluster": "x" * 14},
    ]
    assert len(given) > 5
    units: dict[str, str] = {}
    for case, answer in zip(given, render(home, given), strict=True):
        config = Path(answer["directories"]["config"])
        config.mkdir(parents=True, exist_ok=True)
        for unit, script in zip(answer["units"], ("node.sh", "serve-main.sh"), strict=True):
            (config / script).write_text("#!/bin/sh\n")
            (config / script).chmod(0o755)
            read = settings_of(unit["unit"])
            assert read["User"] == answer["names"]["ray_user"]
            assert f"of the cluster {answer['names']['ray_cluster']}" in read["Description"]
            assert shlex.split(read["ExecStart"]) == [f"{config}/{script}"]
            units[f"vllm-{len(units)}-{unit['name']}.service"] = unit["unit"]
        (sudoers,) = [entry for entry in answer["files"] if entry["path"].startswith("/etc/sudoers.d/")]
        assert sudoers["validate"] == "sudoers"
        command = f"{config}/vllm-ray"
        assert sudo_reads(sudoers["content"]) == {
            "group": case["vllm_ray_operators_group"],
            "as": {answer["names"]["ray_user"], "root"},
            "commands": {command} | {f"{command} logs {end}" for end in ("node", "serve", "-f node", "-f serve")},
        }
    assert analyze(tmp_path, units) == ""


def sudo_reads(text: str) -> dict[str, Any]:
    """Return the rules of a sudoers file as sudo reads them."""
    checked = subprocess.run(["visudo", "-c", "-f", "-"], input=text, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, f"{text}\n{checked.stderr}"
    command = ["cvtsudoers", "-f", "json", "-"]
    told = json.loads(subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout)
    (rule,) = told["User_Specs"]
    (group,) = rule["User_List"]
    return {
        "group": group["usergroup"],
        "as": {user["username"] for spec in rule["Cmnd_Specs"] for user in spec["runasusers"]},
        "commands": {command["command"] for spec in rule["Cmnd_Specs"] for command in spec["Commands"]},
    }


# --- Roles that are used alone: their variables have no types, and the filters stand guard ---------------------------


def test_systemd_reads_a_path_as_it_is_or_the_filter_refuses_it(tmp_path: Path) -> None:
    """The path of a program in ExecStart, by whether systemd finds the program."""
    units, programs = {}, []
    for number, value in enumerate(HOSTILE):
        name = value.replace("/", "_")
        try:
            quoted = systemd_value(f"{tmp_path}/p{name}", quoted=True)
        except AnsibleFilterError:
            assert not name.isprintable() or name[-1] == " " or re.search(r"[\"'\\]", name)
            continue
        if len(name) < 200:
            programs.append(tmp_path / f"p{name}")
            programs[-1].write_text("#!/bin/sh\n")
            programs[-1].chmod(0o755)
            described = systemd_value(f"vllm {value.strip()}")
            units[f"vllm{number}.service"] = f"[Unit]\nDescription={described}\n[Service]\nExecStart={quoted}\n"
    assert len(units) > 25
    assert analyze(tmp_path, units) == ""
    for program in programs:
        program.unlink()
    said = analyze(tmp_path, units)
    assert [program for program in programs if f"Command {program} is not executable" not in said] == []


def test_supervisor_reads_a_command_as_it_is_or_the_filter_refuses_it(tmp_path: Path) -> None:
    wanted = {}
    for number, value in enumerate(HOSTILE):
        try:
            command, log = supervisor_value(shlex.quote(f"/srv/{value}")), supervisor_value(f"{tmp_path}/{value}")
        except AnsibleFilterError:
            assert not value.isprintable() or value != value.strip() or re.search(r"\s[;#]|%", value)
            continue
        if len(value) > 200 or "/" in value:
            continue  # no name of a file
        file = tmp_path / f"{number}.conf"
        file.write_text(f"[supervisord]\nlogfile=/tmp/x\n[program:p]\ncommand={command}\nstdout_logfile={log}\n")
        wanted[file] = (f"/srv/{value}", f"{tmp_path}/{value}")
    assert len(wanted) > 25
    for read, (command, log) in zip(supervisor_reads(*wanted), wanted.values(), strict=True):
        assert shlex.split(read["programs"]["p"][0]) == [command]
        assert read["programs"]["p"][1] == log


@pytest.mark.parametrize("value", HOSTILE)
def test_sudo_reads_a_group_as_it_is_or_the_filter_refuses_it(value: str) -> None:
    try:
        word = sudoers_value(value)
    except AnsibleFilterError:
        assert not re.fullmatch(r"\w[\w.@ ,:=-]*", value)
        return
    # A name has no slash, and a backslash in the path of a command is refused by visudo.
    if len(value) > 200 or "/" in value:
        return
    assert sudo_reads(f"%{word} ALL=(root) NOPASSWD: /bin/true\n")["group"] == value
    if "\\" not in value:
        assert sudo_reads(f"%g ALL=(root) NOPASSWD: /bin/{word} -c x\n")["commands"] == {f"/bin/{value} -c x"}


@pytest.mark.parametrize("value", HOSTILE)
def test_a_shell_reads_an_environment_as_it_is(tmp_path: Path, value: str) -> None:
    file = tmp_path / "x.env"
    file.write_text(shell_environment({"A": value, "B": 1}), newline="")
    assert subprocess.run(["sh", "-n", file], check=False).returncode == 0
    read = subprocess.run(["sh", "-c", f"set -a; . {file}; env -0"], capture_output=True, check=True).stdout
    assert f"A={value}".encode() in read.split(b"\0")
    if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", value):
        with pytest.raises(AnsibleFilterError):
            shell_environment({value: "1"})


# --- Start scripts, and files that are checked before they get their names -------------------------------------------


@pytest.mark.parametrize(("file", "script"), [("ray.token", "node.sh"), ("api.key", "serve-main.sh")])
@pytest.mark.parametrize("secret", ["", "\n", "x" * 31], ids=["empty", "blank", "short"])
def test_no_service_starts_without_a_secret(home: Path, file: str, script: str, secret: str) -> None:
    (answer,) = render(home, [{"vllm_ray_scope": "user", "vllm_ray_cluster": "s"}])
    write(answer)
    config = Path(answer["directories"]["config"])
    (config / file).write_text(secret)
    programs = [home / "release" / "bin" / name for name in ("ray.words", "vllm.words")]
    for program in programs:
        program.unlink(missing_ok=True)
    done = subprocess.run([config / script], capture_output=True, text=True, check=False)
    assert (done.returncode, str(config / file) in done.stderr) == (78, True)
    assert not any(program.exists() for program in programs)


def run_module(name: str, arguments: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """Run a module on this machine, as Ansible runs it; return its result."""
    root = Path(__file__).resolve().parents[2]
    command = ["ansible", "localhost", "-m", f"vllm_ray.cluster.{name}", "-a", json.dumps(arguments)]
    env = {**os.environ, "ANSIBLE_HOME": str(tmp_path / "ansible"), "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"}
    said = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, check=False).stdout
    result: dict[str, Any] = json.loads(said.partition("=>")[2])
    return {**result, "failed": "FAILED!" in said.partition("=>")[0]}


def test_a_sudoers_file_that_sudo_can_not_read_is_never_written(tmp_path: Path) -> None:
    """Nor is anything else of that call."""
    target, other = tmp_path / "sudoers", tmp_path / "a"
    entry = {"path": str(target), "validate": "sudoers", "mode": "0440"}
    bad = {**entry, "content": "%domain users ALL=(ALL) ALL\n"}
    result = run_module("service_set", {"files": [{"path": str(other), "content": "x"}, bad]}, tmp_path)
    assert (result.get("failed"), "visudo refuses" in result["msg"]) == (True, True)
    assert not target.exists()
    assert not other.exists()
    good = {**entry, "content": "%domain\\ users ALL=(ALL) ALL\n"}
    assert run_module("service_set", {"files": [good]}, tmp_path)["changed"] is True
    assert target.read_text() == good["content"]


@pytest.mark.parametrize(
    "arguments",
    [
        {"files": [{"path": "{}/a/../b", "content": "x"}]},
        {"directories": [{"path": "{}/a\nb"}]},
        {"directories": [{"path": "{}/a", "owner": "a/b"}]},
        {"directories": [{"path": "{}/a"}], "account": {"name": "-x", "home": "/x"}},
        {
            "services": [
                {"name": "a/../b", "unit_path": "{}/b", "unit": "x", "record": "{}/c"},
            ]
        },
    ],
    ids=["parent", "line break", "owner", "account", "service"],
)
def test_service_set_refuses_names_before_it_changes_anything(tmp_path: Path, arguments: dict[str, Any]) -> None:
    given = json.loads(json.dumps(arguments).replace("{}", str(tmp_path / "t")))
    result = run_module("service_set", {**given, "manager": "systemd"}, tmp_path)
    assert result.get("failed") is True
    assert "Correct the variables of the role" in result["msg"]
    assert not (tmp_path / "t").exists()


def test_no_service_runs_as_root(tmp_path: Path) -> None:
    """Also where root's account has another name: then it is the uid that counts."""
    account = {"name": pwd.getpwuid(0).pw_name, "home": "/x"}
    result = run_module("service_set", {"account": account, "directories": [{"path": str(tmp_path / "t")}]}, tmp_path)
    assert (result["failed"], "has uid 0" in result["msg"]) == (True, True)
    assert not (tmp_path / "t").exists()


@pytest.mark.parametrize("text", ["", "short", "a b" * 20])
def test_a_secret_that_is_none_is_an_error_that_names_the_file(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "api.key").write_text(text)
    result = run_module("cluster_secrets", {"directory": str(folder), "names": ["ray.token", "api.key"]}, tmp_path)
    assert result.get("failed") is True
    assert f"{folder}/api.key" in result["msg"]
    assert "remove it" in result["msg"]
    assert not text or text not in result["msg"]


def test_the_tools_are_here() -> None:
    assert [tool for tool in ("systemd-analyze", "visudo", "cvtsudoers") if not shutil.which(tool)] == []
