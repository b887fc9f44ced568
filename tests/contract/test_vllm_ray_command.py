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
        text = render("vllm-ray.j2", ray_config_dir=str(root / "etc" / "any"), ray_command=str(self.command))
        self.command.write_text(text, encoding="utf-8")
        (root / "bin").mkdir()
        for name, body in TOOLS.items():
            (root / "bin" / name).write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
            (root / "bin" / name).chmod(0o755)

    def add(self, cluster: str) -> Path:
        """Add a cluster that supervisor runs."""
        config, state = self.root / "etc" / cluster, self.root / "state" / cluster
        (state / "log").mkdir(parents=True)
        config.mkdir(parents=True)
        path = f"{self.root / 'bin'}:{os.environ['PATH']}"
        (config / "node.env").write_text(f"HOME={state}\nPATH={path}\n", encoding="utf-8")
        (config / "client.env").write_text("RAY_ADDRESS=192.0.2.11:6379\n", encoding="utf-8")
        for name, text in (("ray.token", "t"), ("api.key", f"key of {cluster}"), ("supervisord.conf", "")):
            (config / name).write_text(text, encoding="utf-8")
        for name in ("node", "serve-main"):
            (state / "log" / f"{name}.log").write_text(f"{name} of {cluster}\n", encoding="utf-8")
        return config

    def run(self, *words: str) -> tuple[int, str]:
        done = subprocess.run(
            ["sh", self.command, *words], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
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


def test_one_command_serves_several_clusters(host: Host) -> None:
    host.add("a")
    host.add("b")
    status, text = host.run("key")
    assert status == 1 and "several clusters: a b; choose one by -c" in text
    assert host.run("-c", "b", "key") == (0, "key of b\n")


@pytest.mark.parametrize("name", ["../etc/demo", "/etc", "..", ".hidden"])
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
    assert status == 1 and "no cluster has its configuration in" in text
    host.add("demo")
    status, text = host.run("-c", "other", "status")
    assert status == 1 and "this host has no cluster other" in text


def test_sudo_gives_of_root_only_whole_command_lines() -> None:
    text = render(
        "sudoers.j2", ray_operators_group="ops", ray_user="vllm-ray", ray_cluster="demo", ray_command="/c/vllm-ray"
    )
    line = text.replace("\\\n", "").splitlines()[-1]
    as_user, as_root = line.split("(root) NOPASSWD:")
    assert as_user.split() == ["%ops", "ALL=(vllm-ray)", "NOPASSWD:", "/c/vllm-ray,"]
    commands = [" ".join(part.split()) for part in as_root.split(",")]
    assert commands == [f"/c/vllm-ray -c demo logs {words}" for words in ("node", "serve", "-f node", "-f serve")]
