# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the command vllm-ray promises, run by a shell on clusters that are only directories."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import jinja2
import pytest

from ansible_collections.vllm_ray.cluster.plugins.filter.sudoers_value import sudoers_value
from ansible_collections.vllm_ray.cluster.tests.contract import walk

TEMPLATES = walk.ROOT / "roles" / "ray" / "templates"
TOOLS = {
    "ray": 'echo "ray $* at $RAY_ADDRESS"',
    "supervisorctl": 'echo "supervisorctl $*"; exit 3',
}


def render(name: str, **variables: Any) -> str:
    environment = jinja2.Environment(trim_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined)
    environment.filters.update(quote=shlex.quote, dirname=os.path.dirname)
    environment.filters["vllm_ray.cluster.sudoers_value"] = sudoers_value
    return environment.from_string((TEMPLATES / name).read_text(encoding="utf-8")).render(variables)


class Host:
    """A host with the command, for its own user."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.command = root / "vllm-ray"
        self.clusters = root / ".clusters"
        self.clusters.mkdir()
        text = render("vllm-ray.j2", ray_clusters_dir=str(self.clusters), ray_command=str(self.command))
        self.command.write_text(text, encoding="utf-8")
        (root / "bin").mkdir()
        for name, body in TOOLS.items():
            (root / "bin" / name).write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
            (root / "bin" / name).chmod(0o755)

    def add(self, cluster: str, config_root: str = "etc") -> Path:
        """Add a cluster that supervisor runs."""
        config, state = self.root / config_root / cluster, self.root / "state" / cluster
        (state / "log").mkdir(parents=True)
        config.mkdir(parents=True)
        path = f"{self.root / 'bin'}:{os.environ['PATH']}"
        (config / "node.env").write_text(f"HOME={state}\nPATH={path}\n", encoding="utf-8")
        (config / "client.env").write_text("RAY_ADDRESS=192.0.2.11:6379\n", encoding="utf-8")
        for name, text in (("ray.token", "t"), ("api.key", f"key of {cluster}"), ("supervisord.conf", "")):
            (config / name).write_text(text, encoding="utf-8")
        (self.clusters / cluster).write_text(f"{config}\n", encoding="utf-8")
        for name in ("node", "serve-main"):
            (state / "log" / f"{name}.log").write_text(f"{name} of {cluster}\n", encoding="utf-8")
        return config

    def run(self, *words: str, **options: Any) -> tuple[int, str]:
        options = {"cwd": self.root, **options}
        done = subprocess.run(
            ["sh", self.command, *words],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            **options,
        )
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("status",), "ray status at 192.0.2.11:6379\n"),
        (("exec", "sh", "-c", "echo $RAY_ADDRESS $HOME"), "192.0.2.11:6379 "),
        (("key",), "key of demo\n"),
        (("logs", "node"), "node of demo\n"),
        (("logs",), "node of demo\n"),
    ],
)
def test_the_only_cluster_needs_no_name(host: Host, words: tuple[str, ...], wanted: str) -> None:
    host.add("demo")
    status, text = host.run(*words)
    assert (status, wanted in text) == (0, True), text


def test_the_log_is_the_engines_where_one_is(host: Host) -> None:
    (host.add("demo") / "serve-main.env").touch()
    assert host.run("logs") == (0, "serve-main of demo\n")


def test_one_command_serves_several_clusters_wherever_their_configuration_lies(host: Host) -> None:
    host.add("a")
    host.add("b", "elsewhere")
    status, text = host.run("key")
    assert status == 1 and "several clusters: a b; choose one by -c" in text
    assert host.run("-c", "a", "key") == (0, "key of a\n")
    assert host.run("-c", "b", "key") == (0, "key of b\n")


@pytest.mark.parametrize(
    "words", [("-c", "a", "-c", "b", "key"), ("-ca", "-cb", "key"), ("-c", "a exec x", "-c", "b", "key")]
)
def test_the_cluster_is_chosen_once(host: Host, words: tuple[str, ...]) -> None:
    host.add("a")
    host.add("b")
    status, text = host.run(*words)
    assert (status != 0, "key of" in text) == (True, False), text


def hostile(path: Path) -> str:
    """Fill a directory with what shells, Python and Ray might read there by themselves. Return what it would print."""
    path.mkdir(parents=True, exist_ok=True)
    for name in (".bashrc", ".profile", ".bash_profile", ".kshrc", ".env"):
        (path / name).write_text("echo HOSTILE\n", encoding="utf-8")
    for name in ("ray", "sitecustomize", "usercustomize", "json"):
        (path / f"{name}.py").write_text("print('HOSTILE')\n", encoding="utf-8")
    for name in ("id", "stat", "cat", "basename", "python", "python3", "env", "ray", "ls", "tail", "supervisorctl"):
        (path / name).write_text("#!/bin/sh\necho HOSTILE\n", encoding="utf-8")
        (path / name).chmod(0o755)
    return "HOSTILE"


@pytest.mark.parametrize(
    "words",
    [("status",), ("nodes",), ("key",), ("logs",), ("exec", "true"), ("exec", "bash", "-i", "-c", "true")],
    ids=" ".join,
)
def test_nothing_of_the_callers_directory_home_and_path_runs(
    host: Host, tmp_path: Path, words: tuple[str, ...]
) -> None:
    config = host.add("demo")
    sign = hostile(tmp_path / "hostile")
    with (config / "node.env").open("a", encoding="utf-8") as stream:
        stream.write(f"HOME={tmp_path / 'hostile'}\n")
    environment = {"PATH": f"{tmp_path / 'hostile'}:.:{os.environ['PATH']}", "HOME": "/nonexistent", "ENV": ".env"}
    _status, text = host.run(*words, cwd=tmp_path / "hostile", env=environment)
    assert sign not in text


def test_a_command_runs_in_the_callers_directory_with_the_callers_home(host: Host, tmp_path: Path) -> None:
    host.add("demo")
    home = str(tmp_path / "home")
    status, text = host.run("exec", "sh", "-c", "pwd; echo $HOME", cwd=tmp_path, env={**os.environ, "HOME": home})
    assert (status, text.split()) == (0, [str(tmp_path), home])


@pytest.mark.parametrize(("engines", "wanted"), [((), ("main",)), (("main", "b"), ("b", "main"))])
def test_services_are_named_in_full(host: Host, engines: tuple[str, ...], wanted: tuple[str, ...]) -> None:
    config = host.add("a")
    (config / "supervisord.conf").unlink()
    for engine in engines:
        (config / f"serve-{engine}.env").touch()
    (host.root / "bin" / "systemctl").write_text('#!/bin/sh\nprintf "<%s>" "$@"\n', encoding="utf-8")
    (host.root / "bin" / "systemctl").chmod(0o755)
    _status, text = host.run("status")
    units = [word for word in text.replace(">", "<").split("<") if word.startswith("vllm-ray-")]
    assert units == ["vllm-ray-node@a.service", *(f"vllm-ray-serve@a-{engine}.service" for engine in wanted)]


@pytest.mark.parametrize("name", ["../etc/demo", "/etc", "..", ".hidden", "", "-x", "a b", "a*", "a;b", "a\nb"])
def test_a_path_is_no_cluster(host: Host, name: str) -> None:
    host.add("demo")
    assert host.run("-c", name, "exec", "true") == (1, f"vllm-ray: {name} is no name of a cluster\n")


@pytest.mark.parametrize("words", [(), ("exec",), ("unknown",), ("-x",), ("logs", "all")])
def test_misuse_shows_the_usage(host: Host, words: tuple[str, ...]) -> None:
    host.add("demo")
    status, text = host.run(*words)
    assert status == 2 and "vllm-ray [-c CLUSTER] status" in text


def test_it_says_when_there_is_nothing(host: Host) -> None:
    status, text = host.run("status")
    assert status == 1 and "no cluster is registered in" in text
    config = host.add("demo")
    status, text = host.run("-c", "other", "status")
    assert status == 1 and "this host has no cluster other" in text
    (config / "client.env").unlink()
    status, text = host.run("status")
    assert status == 1 and f"the cluster demo has no configuration in {config}" in text


SUDOERS = {
    "ray_operators_group": "ops",
    "ray_user": "vllm-ray",
    "ray_cluster": "demo",
    "ray_config_dir": "/etc/vllm-ray/demo",
}


def test_sudo_gives_one_cluster_and_of_root_only_whole_command_lines() -> None:
    *_comments, defaults, line = render("sudoers.j2", **SUDOERS).replace("\\\n", "").splitlines()
    assert defaults == "Defaults!/etc/vllm-ray/demo/vllm-ray use_pty"
    as_user, as_root = line.split("(root) NOPASSWD:")
    assert as_user.split() == ["%ops", "ALL=(vllm-ray)", "NOPASSWD:", "/etc/vllm-ray/demo/vllm-ray,"]
    commands = [" ".join(part.split()) for part in as_root.split(",")]
    assert commands == [
        f"/etc/vllm-ray/demo/vllm-ray logs {words}" for words in ("node", "serve", "-f node", "-f serve")
    ]


def test_the_file_for_sudo_is_good_for_its_cluster_alone(host: Host) -> None:
    host.add("a")
    host.add("b")
    file = host.root / "operators.sh"
    file.write_text(render("operators.sh.j2", ray_cluster="a", ray_command=str(host.command)), encoding="utf-8")
    host.command.chmod(0o755)
    for words, wanted in ((("key",), (0, "key of a\n")), (("-c", "b", "key"), (2, ""))):
        done = subprocess.run(["sh", file, *words], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == wanted


@pytest.mark.parametrize(
    ("name", "variables"),
    [
        ("vllm-ray.j2", {"ray_clusters_dir": "/a b/'c", "ray_command": "/x"}),
        ("operators.sh.j2", {"ray_cluster": "demo", "ray_command": "/a b/'c"}),
    ],
)
def test_the_scripts_are_read_by_sh(name: str, variables: dict[str, str]) -> None:
    done = subprocess.run(["sh", "-n"], input=render(name, **variables), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
