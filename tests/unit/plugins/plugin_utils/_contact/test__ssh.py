# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first contact: how it is asked, and what the words of real clients and hosts mean."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import connection_loader

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._contact import _ssh

FIXTURES = Path(__file__).parents[4] / "fixtures" / "ssh"
WAY = _ssh.Way("h1", "gpu01", user="deploy", key_file="/root/.ssh/id_ed25519")
DIRECT = _ssh.Config("gpu01", 22, "deploy", "ask", "/root/.ssh/known_hosts")
JUMPED = replace(DIRECT, address="gpu02", proxied=True)
SHOWN = "SHA256:Rou1Ewnh1ZZgpn/sZYa8cec8K0o84qbWTYz/dFU41C8"


def text(name: str) -> str:
    path = FIXTURES / name
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def judged(name: str, config: _ssh.Config = DIRECT, **change: Any) -> _ssh.State:
    done = _ssh.Done(255, text(f"{name}.out"), text(f"{name}.log"))
    assert done.err, name
    return _ssh.judge(WAY, config, replace(done, **change))


@pytest.mark.parametrize(
    ("name", "state", "said"),
    [
        ("ready", "ready", ""),
        ("ready_noise", "ready", ""),
        ("accept_new", "ready", ""),
        ("unchecked", "ready", ""),
        ("bad_option", "bad_options", "command-line: line 0: Bad configuration option: userknownhostfile"),
        ("bad_config", "bad_options", "/root/.ssh/config: line 1: Bad configuration option: prt"),
        ("bad_config_mode", "bad_options", "Bad owner or permissions on /root/.ssh/config"),
        ("name_unknown", "name_unknown", "Name or service not known"),
        ("resolver", "resolver", "Temporary failure in name resolution"),
        ("refused", "refused", "Connection refused"),
        ("unreachable", "no_route", "Network is unreachable"),
        ("no_route", "no_route", "No route to host"),
        ("timeout", "timeout", "Connection timed out"),
        ("silent", "silent", "Connection timed out during banner exchange"),
        ("closed", "closed", "Connection reset by peer"),
        ("busy", "busy", "Exceeded MaxStartups"),
        ("not_ssh", "not_ssh", "HTTP/1.1 400 Bad Request"),
        ("not_ssh_binary", "not_ssh", "banner line contains invalid characters"),
        ("key_unknown", "key_unknown", "Host key verification failed"),
        ("key_changed", "key_changed", "REMOTE HOST IDENTIFICATION HAS CHANGED"),
        ("key_revoked", "key_revoked", "REVOKED HOST KEY DETECTED"),
        ("too_many_keys", "too_many_keys", "Too many authentication failures"),
        ("private_open", "private_open", "0644"),
        ("private_broken", "private_broken", "error in libcrypto"),
        ("private_public", "private_broken", "error in libcrypto"),
        ("private_missing", "private_missing", "No such file or directory"),
        ("account_expired", "account", "Your account has expired; please contact your system administrator."),
        (
            "account_booting",
            "account",
            "System is booting up. Unprivileged users are not permitted to log in yet.",
        ),
        ("no_shell", "no_shell", "This account is currently not available."),
    ],
)
def test_states(name: str, state: str, said: str) -> None:
    assert (judged(name).state, judged(name).said) == (state, said)


def test_algorithms_are_named() -> None:
    state = judged("no_algorithm")
    assert state.state == "no_algorithm"
    assert "Their offer: diffie-hellman-group14-sha1" in state.said


def test_an_expired_password_is_told_by_the_hosts_words() -> None:
    assert "WARNING: Your password has expired." in judged("password_expired").said


@pytest.mark.parametrize(
    ("name", "state", "key_file", "agent"),
    [
        ("user_refused", "user_refused", "", "none"),
        ("user_unknown", "user_refused", "", "none"),
        ("agent_empty", "user_refused", "", "without keys"),
        ("no_key", "no_key", "", "none"),
        ("agent_missing", "agent_missing", "", "does not answer (No such file or directory)"),
        ("private_missing", "private_missing", "/root/.ssh/missing", "none"),
        ("private_open", "private_open", "/root/.ssh/open", "none"),
        ("private_broken", "private_broken", "/root/.ssh/garbage", "none"),
        ("private_locked", "private_locked", "/root/.ssh/locked", "none"),
        ("private_locked_pem", "private_locked", "/root/.ssh/locked_pem", "none"),
    ],
)
def test_why_a_user_is_refused(name: str, state: str, key_file: str, agent: str) -> None:
    found = judged(name)
    assert (found.state, found.key_file, found.agent) == (state, key_file, agent)
    assert found.methods == "publickey,password"


def test_the_keys_that_were_offered_are_named() -> None:
    (key,) = judged("user_refused").keys
    assert key.startswith("/root/.ssh/other ED25519 SHA256:")
    assert judged("no_key").keys == ()


@pytest.mark.parametrize(
    ("name", "state", "jump", "user", "port"),
    [
        ("jump_ready", "ready", "", "deploy", 22),
        ("jump_key_unknown", "key_unknown", "bastion", "root", 22),
        ("jump_user_refused", "user_refused", "jump", "nobody2", 22),
        ("jump_refused", "refused", "jump", "deploy", 2299),
        ("jump_name_unknown", "name_unknown", "nosuchjump", "deploy", 22),
        ("jump_forbidden", "no_forwarding", "jump", "deploy", 2200),
        ("jump_then_refused", "refused", "", "deploy", 22),
        ("jump_then_name_unknown", "name_unknown", "", "deploy", 22),
        ("jump_then_user_refused", "user_refused", "", "deploy", 22),
        ("jump_then_key_unknown", "key_unknown", "", "deploy", 22),
    ],
)
def test_what_ends_at_a_jump_host_is_put_down_to_it(name: str, state: str, jump: str, user: str, port: int) -> None:
    found = judged(name, JUMPED)
    assert (found.state, found.jump, found.user, found.port) == (state, jump, user, port)


def test_what_a_jump_host_sees_is_said_to_be_its_view() -> None:
    assert judged("jump_then_refused", JUMPED).said == "Connection refused, as the jump host jump sees it"


@pytest.mark.parametrize(
    ("name", "timed_out", "log", "state"),
    [
        ("slow", True, "", "slow"),
        # What OpenSSH had said at these moments.
        ("timeout", True, "debug1: connect to address", "timeout"),
        ("resolver", True, "ssh: Could not resolve", "resolver"),
    ],
)
def test_who_was_ended_is_judged_by_how_far_it_came(name: str, timed_out: bool, log: str, state: str) -> None:
    full = text(f"{name}.log")
    assert log in full
    found = judged(name, err=full[: full.index(log)] if log else full, timed_out=timed_out)
    assert found.state == state


def test_what_nobody_has_seen_yet_is_shown_as_it_is() -> None:
    state = _ssh.judge(WAY, DIRECT, _ssh.Done(255, "", "debug1: a\r\nsomething new\r\n"))
    assert (state.state, state.said) == ("failed", "something new")
    assert _ssh.judge(WAY, DIRECT, _ssh.Done(7, "", "")).said == "ssh ended with 7"


@pytest.mark.parametrize(
    ("name", "sudo"),
    [
        ("ready", "ok"),
        ("sudo_right_password", "ok"),
        ("sudo_missing", "missing"),
        ("sudo_password", "password"),
        # Without its password sudo asks strangers, too.
        ("sudo_password_unlisted", "password"),
        ("sudo_wrong_password", "wrong_password"),
        ("sudo_unlisted", "not_allowed"),
        ("sudo_not_allowed", "not_allowed"),
        ("sudo_tty", "tty"),
        ("sudo_broken", "broken"),
    ],
)
def test_sudo(name: str, sudo: str) -> None:
    found = judged(name)
    assert (found.state, found.sudo, found.python_version) == ("ready", sudo, "3.11.2")


def test_the_script_tells_machine_and_python() -> None:
    for name in ("ready", "ready_noise"):
        found = judged(name)
        assert (found.machine, found.python, found.python_version) == ("x86_64", "/usr/bin/python3.11", "3.11.2")
    assert judged("python_missing").python == ""
    broken = judged("python_broken")
    assert (broken.python, broken.python_version) == ("/usr/bin/python3.11", "")


# --- Host keys ------------------------------------------------------------------------------------------------------


def test_an_unknown_key_is_shown_with_the_command_that_adds_just_this_key() -> None:
    line = text("key_unknown.known_hosts")
    state = _ssh.with_host_key(judged("key_unknown"), line, "/root/.ssh/known_hosts /root/.ssh/known_hosts2")
    assert (state.host_key, state.host_key_type) == (SHOWN, "ssh-ed25519")
    assert shlex.split(state.add) == ["echo", line.strip(), ">>", "/root/.ssh/known_hosts"]


def test_the_fingerprint_is_that_of_the_key_that_the_command_adds() -> None:
    """Another key in the second connection must not come under the first one's fingerprint."""
    other = text("key_unknown.known_hosts").replace("AAAAIF", "AAAAIG")
    state = _ssh.with_host_key(judged("key_unknown"), other, "/root/.ssh/known_hosts")
    assert state.host_key not in ("", SHOWN)


def test_a_changed_key_comes_with_both_fingerprints_and_the_line() -> None:
    known = f"gpu01 {text('key_unknown.known_hosts').split(' ', 1)[1].replace('AAAAIF', 'AAAAIG')}"
    state = judged("key_changed")
    assert state.known_at == "/root/.ssh/changed:2"
    assert shlex.split(state.remove) == ["ssh-keygen", "-f", "/root/.ssh/changed", "-R", "gpu01"]
    state = _ssh.with_host_key(state, text("key_changed.known_hosts"), "/root/.ssh/changed", known)
    assert state.host_key == SHOWN
    assert state.known_key.startswith("SHA256:")
    assert state.known_key != SHOWN


@pytest.mark.parametrize("line", ["", "gpu01", "gpu01 ssh-ed25519 AAAA!", "gpu01 ssh-ed25519 AAAAC"])
def test_a_line_without_a_key_has_no_fingerprint_and_no_command(line: str) -> None:
    assert _ssh.fingerprint(line) == ""
    state = _ssh.with_host_key(judged("key_unknown"), line, "/root/.ssh/known_hosts")
    assert (state.host_key, state.add) == (SHOWN, "")


def test_a_file_with_an_odd_name_is_quoted() -> None:
    line = text("key_unknown.known_hosts")
    assert _ssh.with_host_key(judged("key_unknown"), line, "~/.ssh/known_hosts").add.endswith(">> ~/.ssh/known_hosts")
    assert _ssh.with_host_key(judged("key_unknown"), line, "/a;b").add.endswith(">> '/a;b'")


# --- How it is asked ------------------------------------------------------------------------------------------------


def pairs(argv: list[str]) -> dict[str, str]:
    """Return the options of ssh as it reads them: the first of a name counts."""
    found: dict[str, str] = {}
    for word, value in zip(argv, argv[1:]):
        if word == "-o":
            name, _equals, setting = value.partition("=")
            found.setdefault(name, setting)
    return found


GIVEN = ("-o", "StrictHostKeyChecking=accept-new", "-o", "UserKnownHostsFile=/mine", "-o", "ControlPath=/open")


@pytest.mark.parametrize(
    ("check", "files", "strict"),
    [
        ("ask", "/scratch /root/.ssh/known_hosts", "yes"),
        ("true", "/scratch /root/.ssh/known_hosts", "yes"),
        ("accept-new", "/scratch /root/.ssh/known_hosts", "accept-new"),
        ("false", "/scratch", "accept-new"),
    ],
)
def test_nothing_is_learned_and_no_open_connection_is_used(check: str, files: str, strict: str) -> None:
    way = replace(WAY, arguments=(GIVEN, GIVEN))
    argv = _ssh.contact_argv(way, replace(DIRECT, check=check), "/scratch", 8)
    options = pairs(argv)
    # OpenSSH writes what it learns to the first file.
    assert (options["UserKnownHostsFile"], options["StrictHostKeyChecking"]) == (files, strict)
    assert (options["ControlMaster"], options["ControlPath"], options["UpdateHostKeys"]) == ("no", "none", "no")
    assert options["BatchMode"] == "yes"
    assert argv[1] == "-v"
    assert pairs(_ssh.key_argv(way, "/scratch", 8))["UserKnownHostsFile"] == "/scratch"
    assert pairs(_ssh.key_argv(way, "/scratch", 8))["PreferredAuthentications"] == "none"


def test_the_options_are_those_of_ansible() -> None:
    """The oracle is ansible-core's own plugin."""
    plugin = connection_loader.get("ssh", PlayContext())
    direct = {
        "host": "gpu01",
        "port": 2222,
        "remote_user": "deploy",
        "private_key_file": "/root/.ssh/id_ed25519",
        "ssh_args": "-C -o ServerAliveInterval=15",
        "ssh_common_args": "-o ProxyJump=bastion",
        "ssh_extra_args": "-4",
    }
    plugin.set_options(direct=direct)
    theirs: list[str] = []
    for word in (word.decode() for word in plugin._build_command("ssh", "ssh", "gpu01")):
        # Ours has a time of its own, and is asked for no password.
        if word.startswith(("ConnectTimeout=", "NumberOfPasswordPrompts=")):
            theirs.pop()
        else:
            theirs.append(word)
    way = replace(WAY, port=2222, arguments=(("-C", "-o", "ServerAliveInterval=15"), ("-o", "ProxyJump=bastion", "-4")))
    assert ["ssh", *_ssh.ansible_options(way), "gpu01"] == theirs


def test_what_would_silence_ssh_is_left_out() -> None:
    assert "-q" not in _ssh.contact_argv(replace(WAY, arguments=(("-q",), ("-q",))), DIRECT, "/scratch", 8)


def test_the_configuration_of_openssh_counts() -> None:
    shown = (
        "user ops\nhostname 192.0.2.7\nport 2222\nstricthostkeychecking ask\nuserknownhostsfile /a /b\nproxyjump j\n"
    )
    config = _ssh.parse_config(shown, WAY)
    assert config == _ssh.Config("192.0.2.7", 2222, "ops", "ask", "/a /b", proxied=True)
    assert _ssh.parse_config(shown, replace(WAY, checks_keys=False)).check == "false"
    assert not _ssh.parse_config(shown.replace("proxyjump j", "proxycommand none"), WAY).proxied


def test_a_password_is_no_part_of_the_script() -> None:
    become = _ssh.Become(has_password=True, flags="-H -S -n")
    script = _ssh.script(replace(WAY, become=become))
    assert "sudo -H -S - -p" not in script
    assert "sudo -H -S -p '' -u root /bin/sh -c :" in script
    assert "sudo -H -S -n -u root /bin/sh -c :" in _ssh.script(replace(WAY, become=_ssh.Become()))
    assert "sudo" not in _ssh.script(WAY)


def test_a_password_is_tried_only_where_the_host_itself_takes_one() -> None:
    assert _ssh.wants_password(judged("user_refused"))
    assert not _ssh.wants_password(judged("refused"))
    assert not _ssh.wants_password(judged("jump_user_refused", JUMPED))
    state = _ssh.untried_password(judged("user_refused"), "there is no paramiko on the controller")
    assert state.not_told == ("whether the password is right", "Python", "sudo")
