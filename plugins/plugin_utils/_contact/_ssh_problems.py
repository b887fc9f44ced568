# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with first contacts, in words, and how to fix it. PRIVATE to the collection."""

from __future__ import annotations

import re
import shlex
import typing as t
from collections import Counter
from dataclasses import asdict

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._problem import Problem
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._contact._ssh import State, search

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Modules run on this Python and later; vLLM has packages for these machines.
PYTHON_MINIMUM = (3, 9)
MACHINES = ("x86_64", "aarch64")

CONSOLE = "on the host's console: ssh-keygen -lf /etc/ssh/ssh_host_{kind}_key.pub"
# State: (found, wanted, fix), each with {fields of State} and those of problems().
LOGIN = {
    "no_client": ("no ssh on the controller: {said}", "OpenSSH", "install openssh-client on the controller"),
    "bad_variables": (
        "its variables can't be evaluated: {said}",
        "variables with values",
        "correct them in the inventory",
    ),
    "bad_options": (
        "ssh refuses its options: {said}",
        "options that ssh knows",
        "correct that file, or ansible_ssh_common_args and ansible_ssh_args of this host",
    ),
    "resolver": (
        "the name {where} can't be looked up: the controller's DNS does not answer ({said})",
        "an address",
        "fix DNS on the controller, or set ansible_host to the host's address",
    ),
    "name_unknown": (
        "the name {where} does not resolve ({said})",
        "a name with an address",
        "set ansible_host to the host's address, or add the name to DNS or to /etc/hosts on the controller",
    ),
    "no_route": (
        "{where} can't be reached ({said})",
        "a host that answers",
        "check that the host is on and ansible_host is correct; a firewall that rejects looks the same",
    ),
    "timeout": (
        "nothing answers at {where} port {port} ({said})",
        "a host that answers",
        "check that the host is on and ansible_host is correct; a firewall that drops packets looks the same",
    ),
    "refused": (
        "{where} is up, but nothing listens on port {port} ({said})",
        "sshd",
        "on the host's console: systemctl enable --now ssh; or set ansible_port to the port of its sshd",
    ),
    "silent": (
        "port {port} of {where} accepts connections but sends no SSH banner",
        "sshd",
        "set ansible_port if sshd uses another port; else the host hangs: check its console (load, memory, disk)",
    ),
    "busy": (
        "sshd of {where} refuses more connections: {said}",
        "sshd that accepts the connection",
        "wait a minute; if the problem persists, raise MaxStartups, or PerSourcePenalties, in its sshd_config",
    ),
    "not_ssh": (
        "port {port} of {where} is not an SSH server: {said}",
        "sshd",
        "set ansible_port to the port of sshd",
    ),
    "closed": (
        "{where} closes the connection to port {port} before its SSH banner",
        "sshd that accepts the connection",
        "on its console: journalctl -u ssh; check MaxStartups, fail2ban, /etc/hosts.deny; or the port is not SSH",
    ),
    "no_algorithm": (
        "{said}",
        "algorithms that both sides support",
        "update the host's sshd; for old hosts set ansible_ssh_common_args='-o HostKeyAlgorithms=+…' to one it offers",
    ),
    "no_forwarding": (
        "the jump host does not forward the connection: {said}",
        "a jump host that forwards connections",
        "set AllowTcpForwarding and PermitOpen in its sshd_config",
    ),
    "key_unknown": (
        "host key not known yet; it shows {host_key}",
        "a host key that you have verified",
        f"compare the fingerprint with the one {CONSOLE}; if they are the same: {{add}}",
    ),
    "key_changed": (
        "HOST KEY CHANGED: expected {known_key} (line {known_at}), it shows {host_key}",
        "the known key",
        f"if it was reinstalled, compare it with the one {CONSOLE}; if they are the same: {{remove}} && {{add}}",
    ),
    "key_revoked": (
        "its host key {host_key} is marked as revoked",
        "a host key that is not revoked",
        "make new host keys on the host (ssh-keygen -A after removing the old ones)",
    ),
    "user_refused": (
        "{user} is refused at {where}; {tried}; the host accepts {methods}",
        "a key that it accepts",
        "give the host the key: {copy}; or set ansible_user, ansible_ssh_private_key_file",
    ),
    "too_many_keys": (
        "the agent offers so many keys that the host disconnects before the right one",
        "the right key first",
        "set ansible_ssh_private_key_file, and ansible_ssh_common_args='-o IdentitiesOnly=yes'",
    ),
    "no_key": (
        "there is no key to log in with (agent: {agent}); the host accepts {methods} for {user}",
        "a key",
        "set ansible_ssh_private_key_file, or make one and give it to the host: ssh-keygen -t ed25519; {copy}",
    ),
    "agent_missing": (
        "there is no key to log in with, and the agent {agent}; the host accepts {methods} for {user}",
        "an agent with a key",
        'eval "$(ssh-agent)" && ssh-add; or set ansible_ssh_private_key_file',
    ),
    "private_missing": (
        "the key {key_file} is not on the controller",
        "a private key",
        "set ansible_ssh_private_key_file to the key's path",
    ),
    "private_open": (
        "others may read the key {key_file} (mode {said}), so ssh ignores it",
        "mode 0600",
        "chmod 600 {key}",
    ),
    "private_unreadable": (
        "you may not read the key {key_file}",
        "your own key",
        "chown {me} {key} as root, or run ansible as the owner of the key",
    ),
    "private_broken": (
        "{key_file} is not a private key that ssh can read ({said})",
        "a private key",
        "set ansible_ssh_private_key_file to the private key, not to the .pub; see: ssh-keygen -yf {key}",
    ),
    "private_locked": (
        "the key {key_file} has a passphrase (agent: {agent})",
        "a key that is unlocked",
        'ssh-add {key}; where there is no agent, first: eval "$(ssh-agent)"',
    ),
    "account": (
        "{where} accepts the key of {user} but refuses the account: {said}",
        "an account that may log in",
        "on the host's console: chage -l {user}; passwd -S {user}; journalctl -u ssh",
    ),
    "no_shell": (
        "{user} logs in at {where}, but no command runs: {said}",
        "a shell",
        "on the host: usermod -s /bin/bash {user}; where a password has expired: passwd {user}",
    ),
    "slow": (
        "{user} logs in at {where}, but a small script does not end in time: {said}",
        "an answer within seconds",
        "check the host: load, disk, what {user}'s shell runs at login, and whether sudo waits for input",
    ),
    "password_wrong": (
        "{user} is refused at {where} with the password that was given",
        "the right password",
        "correct ansible_password, or what you type for -k, or ansible_user; better, give the host a key: {copy}",
    ),
    "password_untried": (
        "the password for {user} was not tried: {said}",
        "a login that can be tried",
        "give the host a key: {copy}; or install paramiko beside ansible-core",
    ),
    "failed": ("{said}", "a login", "try it by hand: ssh -v {destination}"),
}

SUDO = {
    "missing": (
        "there is no sudo",
        "sudo",
        "install sudo as root; or log in as root by ansible_user=root; or set vllm_ray_scope=user",
    ),
    "password": (
        "sudo asks {user} for a password",
        "sudo without a password, or its password",
        "run with -K; or {sudoers}; or set vllm_ray_scope=user. Only then is it known whether {user} may use sudo",
    ),
    "wrong_password": (
        "sudo does not accept the password of {user}",
        "the right password",
        "correct ansible_become_password, or what you type for -K",
    ),
    "not_allowed": (
        "{user} may not become root: {sudo_said}",
        "a user who may",
        "{sudoers}; or set ansible_user to one who may; or set vllm_ray_scope=user",
    ),
    "tty": (
        "sudo requires a terminal",
        "sudo without one",
        "as root, in /etc/sudoers.d/{user}: Defaults:{user} !requiretty",
    ),
    "broken": ("sudo fails: {sudo_said}", "sudo that works", "fix it on the host as root; see: sudo -v"),
}


def problems(states: Iterable[State]) -> list[Problem]:
    """Return what is wrong with the first contacts, by host, and with all of them together."""
    every = list(states)
    found = [problem for state in every for problem in host_problems(state)]
    return found + machine_problems(every)


def host_problems(state: State) -> list[Problem]:
    """Return what is wrong with one host."""
    fields = words(state)

    def problem(check: str, texts: Sequence[str], severity: str = "error") -> Problem:
        found, wanted, fix = (text.format_map(fields) for text in texts)
        if state.jump and check == "ssh":
            found = f"at the jump host {state.jump}: {found}"
            fix = f"fix the connection to the jump host first. To test it: ssh {fields['destination']}"
        return Problem(state.host, check, severity, found, wanted, fix)

    if state.state in LOGIN:
        severity = "info" if state.state == "password_untried" else "error"
        return [problem("ssh", LOGIN[state.state], severity)]
    if state.state != "ready":
        return []
    result = [problem("sudo", SUDO[state.sudo])] if state.sudo in SUDO else []
    fix = "as root on the host: apt-get install python3; or set ansible_python_interpreter to its path"
    wanted = f"Python {'.'.join(map(str, PYTHON_MINIMUM))} or later"
    if not state.python:
        result.append(problem("python", ("there is no Python", wanted, fix)))
    elif not state.python_version:
        result.append(problem("python", ("{python} does not run", wanted, fix)))
    elif version(state.python_version) < PYTHON_MINIMUM:
        result.append(problem("python", ("{python} is Python {python_version}", wanted, fix)))
    if state.machine not in MACHINES:
        fix = "leave this host out of the inventory: vLLM has no packages for it"
        result.append(problem("machine", ("a machine of the kind {machine}", " or ".join(MACHINES), fix)))
    return result


def version(text: str) -> tuple[int, ...]:
    """Return the first two numbers of a version."""
    return tuple(int(number) for number in re.findall(r"\d+", text)[:2])


def machine_problems(states: Sequence[State]) -> list[Problem]:
    """A release is made once, for one kind of machine: name the hosts that are not of the most common kind."""
    kinds = Counter(state.machine for state in states if state.machine in MACHINES)
    if len(kinds) < 2:
        return []
    common = kinds.most_common(1)[0][0]
    fix = "use a separate cluster for each kind of machine: one release can't run on both"
    return [
        Problem(state.host, "machine", "error", f"{state.machine}, while most hosts are {common}", common, fix)
        for state in states
        if state.machine in MACHINES and state.machine != common
    ]


def words(state: State) -> dict[str, object]:
    """Return what the texts of problems are filled in with."""
    where = state.jump or state.address or state.host
    login = f"{state.user}@{where}" if state.user else where
    port = f"-p {state.port} " if state.port != 22 else ""
    # The key that was offered first is most likely the one that was meant.
    offered = state.key_file or next((key.split()[0] for key in state.keys), "")
    public = f"-i {shlex.quote(offered + '.pub')} " if offered.startswith("/") else ""
    kind = search(r"(rsa|ed25519|ecdsa)", state.host_key_type)
    keys = "; ".join(state.keys)
    destination = shlex.join([*port.split(), login])
    return {
        **asdict(state),
        "add": state.add or f"ssh {destination}, which asks for it",
        "where": where,
        "destination": destination,
        "copy": f"ssh-copy-id {public}{port}{shlex.quote(login)}",
        "key": shlex.quote(state.key_file),
        "kind": kind or "*",
        "me": '"$(id -un)"',
        "tried": f"offered: {keys}; agent: {state.agent}",
        "sudoers": f"as root: echo '{state.user} ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/{state.user}",
    }
