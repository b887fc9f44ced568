# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""First contacts with hosts, by OpenSSH, and by paramiko where a password is to be tried. PRIVATE to the collection."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shlex
import signal
import socket
import subprocess
import tempfile
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._contact import _ssh

if t.TYPE_CHECKING:
    from collections.abc import Sequence

try:
    import paramiko
except ImportError:
    paramiko = None  # type: ignore[assignment]

# Connections at once. Each is mostly waiting.
AT_ONCE = 32
# What is left of a host's time when OpenSSH stops waiting for an answer, so that it can say so itself.
RESERVE = 2


@dataclass(frozen=True)
class Secrets:
    """Passwords of one host, empty where there are none. They reach ssh by its input, and nothing else."""

    login: str = ""
    become: str = ""

    def __repr__(self) -> str:
        return "Secrets()"


def contact_all(ways: Sequence[tuple[_ssh.Way, Secrets]], seconds: int) -> list[_ssh.State]:
    """Contact all hosts at once, each within so many seconds, and return what came of it in the same order."""
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        return list(pool.map(lambda pair: contact(pair[0], pair[1], seconds), ways))


def contact(way: _ssh.Way, secrets: Secrets, seconds: int) -> _ssh.State:
    """Contact one host."""
    end = time.monotonic() + seconds

    def left() -> float:
        return max(end - time.monotonic(), 0.1)

    try:
        shown = run(_ssh.config_argv(way), left())
    except OSError as error:
        return _ssh.State(way.host, "no_client", said=f"{way.executable}: {error.strerror}")
    config = _ssh.parse_config(shown.out, way)
    if shown.rc:
        return _ssh.judge(way, config, shown)
    with tempfile.TemporaryDirectory(prefix="vllm-ray-ssh-") as folder:
        # Hosts of one name do not meet: each has its own file.
        scratch = os.path.join(folder, "known_hosts")
        state = _ssh.State(way.host, "closed")
        # A busy sshd drops some connections at random.
        for pause in (0.0, 0.5):
            if state.state in ("busy", "closed") and left() > pause:
                time.sleep(pause)
                argv = _ssh.contact_argv(way, config, scratch, max(int(left()) - RESERVE, 1))
                state = _ssh.judge(way, config, run(argv, left(), f"{secrets.become}\n" if secrets.become else None))
        if state.state in ("key_unknown", "key_changed") and not state.jump:
            shown_key = os.path.join(folder, "key")
            run(_ssh.key_argv(way, shown_key, max(int(left()), 1)), left())
            return _ssh.with_host_key(state, line_of(f"{shown_key}:1"), config.known_hosts, line_of(state.known_at))
    if secrets.login and _ssh.wants_password(state):
        return try_password(way, config, state, secrets, left())
    return state


def run(argv: Sequence[str], seconds: float, given: str | None = None) -> _ssh.Done:
    """Run a command without a terminal, so that nothing asks a question, and end it with its children in time."""
    env = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "SSH_ASKPASS")}
    env.update(LC_ALL="C", SSH_ASKPASS_REQUIRE="never")
    with subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL if given is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=env,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(given, timeout=seconds)
            return _ssh.Done(process.returncode, out, err)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            return _ssh.Done(process.returncode, out, err, timed_out=True)


def line_of(place: str) -> str:
    """Return the line of FILE:NUMBER, or an empty text where there is none."""
    path, _colon, number = place.rpartition(":")
    try:
        lines = pathlib.Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
        return lines[int(number) - 1]
    except (OSError, ValueError, IndexError):
        return ""


def try_password(way: _ssh.Way, config: _ssh.Config, state: _ssh.State, secrets: Secrets, seconds: float) -> _ssh.State:
    """Log in by password, which OpenSSH takes from a terminal only, and look at Python and sudo."""
    if paramiko is None:
        return _ssh.untried_password(state, "there is no paramiko on the controller")
    if config.proxied:
        return _ssh.untried_password(state, "the host is behind a jump host")
    try:
        with socket.create_connection((config.address, config.port), timeout=seconds) as link:
            transport = paramiko.Transport(link)
            try:
                return over_paramiko(way, transport, state, secrets, seconds)
            finally:
                transport.close()
    except (OSError, EOFError, paramiko.SSHException) as error:
        return _ssh.untried_password(state, f"{type(error).__name__}: {error}")


def over_paramiko(
    way: _ssh.Way, transport: paramiko.Transport, state: _ssh.State, secrets: Secrets, seconds: float
) -> _ssh.State:
    """Go on where OpenSSH stopped: it has checked the host's key, and no other key gets the password."""
    transport.banner_timeout = transport.auth_timeout = seconds
    kind = "rsa-sha2-512" if state.host_key_type == "ssh-rsa" else state.host_key_type
    transport.get_security_options().key_types = (kind,)
    transport.start_client(timeout=seconds)
    key = transport.get_remote_server_key()
    if _ssh.fingerprint(f"- {key.get_name()} {key.get_base64()}") != state.host_key:
        return _ssh.untried_password(state, "paramiko was shown another host key than ssh")
    try:
        transport.auth_password(state.user, secrets.login)
    except paramiko.AuthenticationException:
        return replace(state, state="password_wrong")
    channel = transport.open_session(timeout=seconds)
    channel.settimeout(seconds)
    channel.exec_command(f"/bin/sh -c {shlex.quote(_ssh.script(way))}")
    channel.sendall(f"{secrets.become}\n".encode() if secrets.become else b"")
    channel.shutdown_write()
    out = channel.makefile("rb").read().decode(errors="replace")
    return _ssh.read_script(replace(state, methods="", keys=()), out)
