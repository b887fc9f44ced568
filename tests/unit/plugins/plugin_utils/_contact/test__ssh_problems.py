# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results of a first contact, as messages for the user who has to fix it."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from pathlib import Path

import pytest

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._contact import _ssh, _ssh_problems

FIXTURES = Path(__file__).parents[4] / "fixtures" / "ssh"
DIRECT = _ssh.Config("gpu01", 22, "deploy", "ask", "/root/.ssh/known_hosts")
JUMPED = replace(DIRECT, address="gpu02", proxied=True)


def judged(name: str) -> _ssh.State:
    out = FIXTURES / f"{name}.out"
    log = (FIXTURES / f"{name}.log").read_text(encoding="utf-8")
    done = _ssh.Done(255, out.read_text(encoding="utf-8") if out.is_file() else "", log)
    return _ssh.judge(_ssh.Way("h1", "gpu01"), JUMPED if name.startswith("jump_") else DIRECT, done)


@pytest.mark.parametrize(
    ("name", "found", "fix"),
    [
        ("name_unknown", "the name gpu01 does not resolve (Name or service not known)", "set ansible_host to"),
        ("resolver", "the controller's DNS does not answer", "fix DNS on the controller"),
        ("refused", "gpu01 is up, but nothing listens on port 22 (Connection refused)", "set ansible_port"),
        ("not_ssh", "port 22 of gpu01 is not an SSH server: HTTP/1.1 400 Bad Request", "set ansible_port"),
        ("user_refused", "deploy is refused at gpu01; offered: /root/.ssh/other ED25519", "-i /root/.ssh/other.pub"),
        ("private_open", "others may read the key /root/.ssh/open (mode 0644)", "chmod 600 /root/.ssh/open"),
        ("private_missing", "the key /root/.ssh/missing is not on the controller", "ansible_ssh_private_key_file"),
        ("private_locked", "the key /root/.ssh/locked has a passphrase (agent: none)", "ssh-add /root/.ssh/locked"),
        ("agent_missing", "no key to log in with, and the agent does not answer", 'eval "$(ssh-agent)" && ssh-add'),
        ("account_expired", "refuses the account: Your account has expired", "chage -l deploy"),
        (
            "jump_refused",
            "at the jump host jump: jump is up, but nothing listens on port 2299",
            "ssh -p 2299 deploy@jump",
        ),
        ("sudo_password", "sudo asks deploy for a password", "'deploy ALL=(ALL) NOPASSWD: ALL'"),
        ("sudo_missing", "there is no sudo", "vllm_ray_scope=user"),
        ("sudo_unlisted", "deploy is not in the sudoers file", "ansible_user"),
        ("sudo_tty", "sudo requires a terminal", "Defaults:deploy !requiretty"),
        ("python_missing", "there is no Python", "ansible_python_interpreter"),
        ("python_broken", "/usr/bin/python3.11 does not run", "ansible_python_interpreter"),
    ],
)
def test_one_fault_is_one_problem_with_its_mend(name: str, found: str, fix: str) -> None:
    (problem,) = _ssh_problems.problems([judged(name)])
    assert found in problem.found
    assert fix in problem.fix
    assert (problem.host, problem.severity) == ("h1", "error")


@pytest.mark.parametrize("name", ["ready", "ready_noise", "accept_new", "unchecked", "jump_ready"])
def test_a_good_host_has_no_problem(name: str) -> None:
    assert _ssh_problems.problems([judged(name)]) == []


def test_hosts_that_are_not_reached_by_ssh_have_no_problem() -> None:
    assert _ssh_problems.problems([_ssh.State("h1", "passed_over", said="its connection is local")]) == []


def test_key_problems_name_fingerprints_and_commands() -> None:
    line = (FIXTURES / "key_changed.known_hosts").read_text(encoding="utf-8")
    shown = _ssh.fingerprint(line)
    unknown, changed = (
        _ssh_problems.problems([_ssh.with_host_key(judged(name), line, "/root/.ssh/known_hosts", line)])[0]
        for name in ("key_unknown", "key_changed")
    )
    assert shown in unknown.found
    assert f"echo '{line.strip()}' >> /root/.ssh/known_hosts" in unknown.fix
    assert "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub" in unknown.fix
    assert "/root/.ssh/changed:2" in changed.found
    assert changed.found.count("SHA256:") == 2
    assert 'ssh-keygen -f "/root/.ssh/changed" -R "gpu01" && echo' in changed.fix


def test_every_state_has_its_words() -> None:
    states = {name for name, _pattern in _ssh.CONNECTION} - {"denied"}
    source = Path(_ssh.__file__).read_text(encoding="utf-8")
    states |= set(re.findall(r'state="(\w+)"', source)) | set(re.findall(r'\("(private_\w+)"', source))
    assert states - {"ready"} <= set(_ssh_problems.LOGIN)
    assert len(states) > 25


def test_all_words_can_be_said_of_any_state() -> None:
    for name in _ssh_problems.LOGIN:
        for problem in _ssh_problems.problems(
            [_ssh.State("h1", name, said="a"), _ssh.State("h2", name, said="a", jump="j")]
        ):
            assert problem.found
            assert problem.fix
    for name in _ssh_problems.SUDO:
        ready = _ssh.State("h1", "ready", machine="x86_64", python="/p", python_version="3.11.2", sudo=name)
        assert [problem.check for problem in _ssh_problems.problems([ready])] == ["sudo"]


def test_every_part_of_a_state_is_said_in_its_docstring() -> None:
    assert [f.name for f in fields(_ssh.State) if f.name not in str(_ssh.State.__doc__) + " user address port"] == [
        "machine",
        "python",
        "python_version",
        "sudo_said",
    ]


def ready(host: str, machine: str, version: str = "3.11.2") -> _ssh.State:
    return _ssh.State(host, "ready", machine=machine, python="/usr/bin/python3", python_version=version)


def test_an_old_python_is_named() -> None:
    (problem,) = _ssh_problems.problems([ready("h1", "x86_64", "3.8.10")])
    assert (problem.found, problem.wanted) == ("/usr/bin/python3 is Python 3.8.10", "Python 3.9 or later")
    assert _ssh_problems.problems([ready("h1", "x86_64", "3.9.2"), ready("h2", "x86_64", "3.13.0rc1")]) == []


def test_the_odd_machine_is_named() -> None:
    found = _ssh_problems.problems([ready("h1", "aarch64"), ready("h2", "x86_64"), ready("h3", "x86_64")])
    assert [(problem.host, problem.found) for problem in found] == [("h1", "aarch64, while most hosts are x86_64")]
    assert _ssh_problems.problems([ready("h1", "aarch64"), ready("h2", "aarch64")]) == []
    (problem,) = _ssh_problems.problems([ready("h1", "riscv64"), ready("h2", "x86_64")])
    assert (problem.host, problem.wanted) == ("h1", "x86_64 or aarch64")


def test_a_password_that_was_not_tried_is_no_error() -> None:
    state = _ssh.untried_password(judged("user_refused"), "there is no paramiko on the controller")
    (problem,) = _ssh_problems.problems([state])
    assert (problem.severity, problem.found) == (
        "info",
        "the password for deploy was not tried: there is no paramiko on the controller",
    )
