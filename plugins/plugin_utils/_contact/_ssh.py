# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first contact with a host: how it is made, and what its outcome means. PRIVATE to the collection.

OpenSSH is the judge: it reads what Ansible's own connections read (~/.ssh/config, jump hosts, agents, certificates),
and its words at `-v` distinguish what can go wrong. They are not translated, and were captured in tests/fixtures/ssh.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import shlex
from dataclasses import asdict, dataclass, replace

# The first and the last line that our script on the host prints.
BEGIN, END = "contact vllm_ray", "contact end"


@dataclass(frozen=True)
class Become:
    """How tasks become root on a host: the options of Ansible's become plugin sudo."""

    user: str = "root"
    executable: str = "sudo"
    flags: str = "-H -S -n"
    has_password: bool = False


@dataclass(frozen=True)
class Way:
    """How Ansible reaches a host by SSH, as its options say, before OpenSSH reads its own configuration.

    arguments: ansible_ssh_args, then ansible_ssh_common_args and ansible_ssh_extra_args, each split into words.
    checks_keys: False where host_key_checking is off. python: names or paths to try, in this order.
    become: None where no task becomes root. not_told: what can't be determined for this host anyway.
    """

    host: str
    address: str
    port: int | None = None
    user: str | None = None
    key_file: str | None = None
    arguments: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    executable: str = "ssh"
    checks_keys: bool = True
    python: tuple[str, ...] = ("python3",)
    become: Become | None = None
    not_told: tuple[str, ...] = ()


@dataclass(frozen=True)
class Config:
    """What OpenSSH makes of a way: the lines of `ssh -G` that matter here.

    check: what an unknown host key does: "ask", "true" (refuse), "accept-new" or "false" (nothing is checked).
    """

    address: str = ""
    port: int = 22
    user: str = ""
    check: str = "ask"
    known_hosts: str = ""
    proxied: bool = False


@dataclass(frozen=True)
class Done:
    """A command that has ended, or was ended because its time was up."""

    rc: int
    out: str
    err: str
    timed_out: bool = False


@dataclass(frozen=True)
class State:
    """What the first contact with a host came to.

    state: "ready" (logged in), "passed_over" (not reached by SSH), or a key of LOGIN in _ssh_problems.py.
    said: the words of OpenSSH or of the host. jump: the jump host at which it ended, empty where there was none.
    host_key: fingerprint that the host showed, of a key of host_key_type. known_key, known_at: the one that was
    expected, and its FILE:LINE.
    add, remove: commands for known_hosts. key_file: the private key that can't be used. keys: those that were offered.
    methods: what the host lets users log in by. agent: what was wrong with it, or how many keys it has.
    sudo: a key of SUDO there, "ok", or empty where it was not tried. not_told: what was not distinguished, and why.
    """

    host: str
    state: str
    user: str = ""
    address: str = ""
    port: int = 22
    said: str = ""
    jump: str = ""
    host_key: str = ""
    host_key_type: str = ""
    known_key: str = ""
    known_at: str = ""
    add: str = ""
    remove: str = ""
    key_file: str = ""
    keys: tuple[str, ...] = ()
    methods: str = ""
    agent: str = ""
    machine: str = ""
    python: str = ""
    python_version: str = ""
    sudo: str = ""
    sudo_said: str = ""
    not_told: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


# --- How it is asked ------------------------------------------------------------------------------------------------


def ansible_options(way: Way) -> list[str]:
    """Return the options of ssh as Ansible gives them; where one comes twice, OpenSSH takes the first.

    Source: _build_command of ansible-core's connection plugin ssh. How host keys are checked is left to contact_argv.
    """
    before, after = way.arguments
    options = [word for word in before if word != "-q"]
    if way.port is not None:
        options += ["-o", f"Port={way.port}"]
    if way.key_file:
        options += ["-o", f'IdentityFile="{way.key_file}"']
    options += ["-o", "KbdInteractiveAuthentication=no"]
    options += ["-o", "PreferredAuthentications=gssapi-with-mic,gssapi-keyex,hostbased,publickey"]
    options += ["-o", "PasswordAuthentication=no"]
    if way.user:
        options += ["-o", f'User="{way.user}"']
    return options + [word for word in after if word != "-q"]


def config_argv(way: Way) -> list[str]:
    """Return the command that shows what OpenSSH makes of the options. It connects to nothing."""
    return [way.executable, "-G", *ansible_options(way), way.address]


def parse_config(text: str, way: Way) -> Config:
    """Parse the output of `ssh -G`."""
    lines = dict(line.partition(" ")[::2] for line in text.splitlines())
    return Config(
        address=lines.get("hostname", way.address),
        port=int(lines.get("port", 22)),
        user=lines.get("user", way.user or ""),
        check=lines.get("stricthostkeychecking", "ask") if way.checks_keys else "false",
        known_hosts=lines.get("userknownhostsfile", ""),
        proxied=any(lines.get(name, "none") != "none" for name in ("proxyjump", "proxycommand")),
    )


def contact_argv(way: Way, config: Config, scratch: str, seconds: int) -> list[str]:
    """Return the command that logs in and looks at Python and sudo.

    It is a connection of its own, not one that Ansible keeps open. Nothing is written to the user's files: what OpenSSH
    learns goes to scratch, an empty file. An unknown host key is refused, unless the user's own settings take it; then
    it is taken here, too, and forgotten.
    """
    known = {"accept-new": f"{scratch} {config.known_hosts}", "false": scratch}
    options = ["BatchMode=yes", f"ConnectTimeout={seconds}", "ConnectionAttempts=1"]
    options += ["ControlMaster=no", "ControlPath=none", "ClearAllForwardings=yes", "UpdateHostKeys=no"]
    options.append(f"UserKnownHostsFile={known.get(config.check, f'{scratch} {config.known_hosts}')}")
    if config.check == "false":
        options.append("GlobalKnownHostsFile=/dev/null")
    options.append(f"StrictHostKeyChecking={'accept-new' if config.check in known else 'yes'}")
    ours = [word for option in options for word in ("-o", option)]
    command = f"/bin/sh -c {shlex.quote(script(way))}"
    return [way.executable, "-v", *ours, *ansible_options(way), way.address, command]


def key_argv(way: Way, scratch: str, seconds: int) -> list[str]:
    """Return the command that writes the host's key to scratch, an empty file, and does not log in."""
    options = ["BatchMode=yes", f"ConnectTimeout={seconds}", "ControlMaster=no", "ControlPath=none"]
    options += [f"UserKnownHostsFile={scratch}", "GlobalKnownHostsFile=/dev/null", "StrictHostKeyChecking=accept-new"]
    options += ["HashKnownHosts=no", "UpdateHostKeys=no", "PreferredAuthentications=none"]
    ours = [word for option in options for word in ("-o", option)]
    return [way.executable, *ours, *ansible_options(way), way.address, "true"]


def script(way: Way) -> str:
    """Return what is run on the host: one line of POSIX shell, which reads a sudo password from its input.

    Python is looked for as Ansible does it: the first name that is there counts.
    """
    names = " ".join(shlex.quote(name) for name in way.python)
    version = "import platform; print(platform.python_version())"
    tell = f'echo "python $path"; echo "python_version $($path -c "{version}" 2>/dev/null </dev/null)"'
    parts = [
        "LC_ALL=C; export LC_ALL",
        f"echo {BEGIN}",
        'echo "machine $(uname -m)"',
        f"for name in {names}; do path=$(command -v $name) || continue; {tell}; break; done",
    ]
    if way.become:
        sudo = shlex.quote(way.become.executable)
        flags = way.become.flags
        if way.become.has_password:
            # As Ansible does: with a password there is a prompt, here an empty one.
            kept = (re.sub(r"^(-\w*)n(\w*)$", r"\1\2", flag) for flag in shlex.split(flags))
            flags = " ".join([*(flag for flag in kept if flag not in ("-", "--non-interactive")), "-p ''"])
        call = f'said=$({sudo} {flags} -u {shlex.quote(way.become.user)} /bin/sh -c : 2>&1); echo "sudo $?"'
        told = 'printf "%s\\n" "$said" | sed "s/^/sudo_said /"'
        parts.append(f'if command -v {sudo} >/dev/null; then {call}; {told}; else echo "sudo missing"; fi')
    return "; ".join([*parts, f"echo {END}"])


# --- What came back -------------------------------------------------------------------------------------------------

# The first that fits counts, so what a jump host says stands before what its end looks like from here.
CONNECTION = (
    (
        "bad_options",
        r"(?P<said>.*(?:Bad configuration option|Bad owner or permissions on|bad configuration options).*)",
    ),
    ("resolver", r"Could not resolve hostname (?P<at>\S+): (?P<said>Temporary failure in name resolution)"),
    ("name_unknown", r"Could not resolve hostname (?P<at>\S+): (?P<said>.*)"),
    ("refused", r"connect to host (?P<at>\S+) port (?P<port>\d+): (?P<said>Connection refused)"),
    ("timeout", r"connect to host (?P<at>\S+) port (?P<port>\d+): (?P<said>(?:Connection|Operation) timed out)"),
    ("no_route", r"connect to host (?P<at>\S+) port (?P<port>\d+): (?P<said>.*)"),
    ("refused", r"open failed: connect failed: (?P<beyond>Connection refused)"),
    ("timeout", r"open failed: connect failed: (?P<beyond>Connection timed out)"),
    (
        "name_unknown",
        r"open failed: connect failed: (?P<beyond>Name or service not known|Temporary failure in name .*)",
    ),
    ("no_route", r"open failed: connect failed: (?P<beyond>.*)"),
    ("no_forwarding", r"open failed: (?P<said>administratively prohibited: .*)"),
    ("busy", r"kex_exchange_identification: banner line \d+: (?P<said>Not allowed at this time|Exceeded MaxStartups)"),
    ("no_algorithm", r"(?P<said>Unable to negotiate with .*)"),
    ("key_revoked", r"(?P<said>REVOKED HOST KEY DETECTED)"),
    ("key_changed", r"(?P<said>REMOTE HOST IDENTIFICATION HAS CHANGED)"),
    ("key_unknown", r"(?P<said>Host key verification failed)"),
    ("too_many_keys", r"(?P<said>Too many authentication failures)"),
    ("denied", r"Permission denied \((?P<said>.*)\)"),
    ("silent", r"(?P<said>Connection timed out during banner exchange)"),
    ("not_ssh", r"kex_exchange_identification: banner line 0: (?P<said>.*\S)"),
    ("not_ssh", r"kex_exchange_identification: (?P<said>banner line contains invalid characters)"),
    ("closed", r"kex_exchange_identification: (?:read: )?(?P<said>Connection (?:closed by remote host|reset by peer))"),
)

# What OpenSSH says at -v in the course of things, and so no reason for anything.
CHATTER = re.compile(
    r"debug\d: |OpenSSH_|Authenticated to |Transferred: sent |Bytes per second: |Warning: Permanently added |"
    r"Connection (?:to \S+ )?closed|Disconnected from |\*\* |@"
)


def judge(way: Way, config: Config, done: Done) -> State:
    """Judge the first contact by the output of contact_argv's command."""
    state = State(way.host, "failed", user=config.user, address=config.address, port=config.port, not_told=way.not_told)
    log = done.err.replace("\r", "")
    if BEGIN in done.out and (END in done.out or not done.timed_out):
        return read_script(state, done.out)
    state, tail = at_station(state, log, config)
    kind, _space, shown = search(r"Server host key: (\S+ \S+)", tail).partition(" ")
    state = replace(state, host_key=shown, host_key_type=kind)
    lines = [line.strip() for line in (log + done.out).splitlines()]
    words = " / ".join(line for line in lines if line and not CHATTER.match(line))
    if f"Authenticated to {config.address} " in log:
        return replace(state, state="slow" if done.timed_out else "no_shell", said=words or "nothing")
    for name, pattern in CONNECTION:
        match = re.search(pattern, log)
        if match is None:
            continue
        found = match.groupdict()
        if config.proxied and found.get("at", config.address).lower() != config.address.lower():
            state = replace(state, jump=found["at"], port=int(found.get("port") or 22))
        if found.get("beyond"):
            said = f"{found['beyond']}, as the jump host {state.jump} sees it"
            return replace(state, state=name, said=said, jump="", user=config.user, port=config.port)
        state = replace(state, state=name, said=found["said"])
        if name == "denied":
            return judge_denied(replace(state, methods=found["said"]), tail)
        if name == "key_changed":
            known_at = search(r"Offending \S+ key in (.*:\d+)", tail)
            return replace(state, known_at=known_at, remove=search(r"remove with:\s*(ssh-keygen .*)", tail))
        return state
    if "Server accepts key: " in tail:
        return replace(state, state="account", said=words or "nothing")
    if done.timed_out:
        begun = "Connecting to " in log or config.proxied
        return replace(state, state="timeout" if begun else "resolver", said="no answer in time")
    return replace(state, said=words or f"ssh ended with {done.rc}")


def search(pattern: str, text: str) -> str:
    """Return what the group of a pattern holds where it is first found, or an empty text."""
    match = re.search(pattern, text)
    return match.group(1) if match else ""


def at_station(state: State, log: str, config: Config) -> tuple[State, str]:
    """Return the state with the jump host where it ended, if it was one, and the log from there on."""
    starts = list(re.finditer(r"Authenticating to (.+):(\d+) as '(.*)'", log))
    if not starts:
        return state, log
    last = starts[-1]
    if config.proxied and last.group(1) != config.address:
        state = replace(state, jump=last.group(1), port=int(last.group(2)), user=last.group(3))
    return state, log[last.start() :]


def judge_denied(state: State, tail: str) -> State:
    """Find out why the host refused the user: what was wrong with the keys on the controller, if anything was."""
    explicit = re.findall(r"Will attempt key: (\S+) .*explicit$", tail, re.MULTILINE)
    offered = tuple(re.findall(r"Offering public key: (.*?)(?: explicit| agent)*$", tail, re.MULTILINE))
    trouble = search(r"get_agent_identities: ssh_get_authentication_socket: (.*)", tail)
    agent = search(r"agent returned (\d+ keys)", tail) or "none"
    if trouble:
        agent = f"does not answer ({trouble})"
    elif "agent contains no identities" in tail:
        agent = "without keys"
    state = replace(state, state="user_refused", keys=offered, agent=agent)
    for name, pattern in (
        ("private_missing", r"no such identity: (?P<path>.*): (?P<why>No such file or directory)"),
        ("private_open", r"Permissions (?P<why>\d+) for '(?P<path>.*)' are too open"),
        ("private_unreadable", r'Load key "(?P<path>.*)": (?P<why>Permission denied)'),
        ("private_broken", r'Load key "(?P<path>.*)": (?P<why>.*)'),
    ):
        match = re.search(pattern, tail)
        if match:
            return replace(state, state=name, key_file=match["path"], said=match["why"])
    # OpenSSH says nothing of a passphrase in batch mode: the host takes the key, or there is no public half to ask it
    # with, and the private half is not used.
    locked = search(r"Server accepts key: (\S+) ", tail)
    tried = re.findall(r"Trying private key: (\S+)", tail)
    locked = locked or next((path for path in tried if path in explicit), "")
    if locked:
        return replace(state, state="private_locked", key_file=locked)
    if not offered:
        return replace(state, state="agent_missing" if trouble else "no_key")
    return state


def read_script(state: State, out: str) -> State:
    """Read what the script on the host printed; what the user's shell prints by itself stands before it."""
    lines = out.replace("\r", "").partition(f"{BEGIN}\n")[2].splitlines()
    values = {name: value for name, _space, value in (line.partition(" ") for line in lines)}
    said = " / ".join(line[10:].strip() for line in lines if line.startswith("sudo_said ") and line[10:].strip())
    return replace(
        state,
        state="ready",
        machine=values.get("machine", ""),
        python=values.get("python", ""),
        python_version=values.get("python_version", ""),
        sudo=judge_sudo(values.get("sudo", ""), said),
        sudo_said=said,
    )


def judge_sudo(result: str, said: str) -> str:
    """Judge by sudo's exit status, or "missing", and its words."""
    if result in ("", "missing"):
        return result
    if result == "0":
        return "ok"
    for name, pattern in (
        ("tty", r"you must have a tty"),
        ("not_allowed", r"not in the sudoers|is not allowed to|may not run sudo"),
        ("wrong_password", r"incorrect password|Sorry, try again"),
        ("password", r"a password is required|no password was provided|a terminal is required"),
    ):
        if re.search(pattern, said):
            return name
    return "broken"


def fingerprint(line: str) -> str:
    """Return the SHA-256 fingerprint of the key in a line of known_hosts, or an empty text where it has none."""
    blob = search(r"\s(AAAA[A-Za-z0-9+/]+={0,2})(?:\s|$)", line)
    try:
        digest = hashlib.sha256(base64.b64decode(blob, validate=True)).digest()
    except binascii.Error:
        return ""
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}" if blob else ""


def with_host_key(state: State, line: str, known_hosts: str, known_line: str = "") -> State:
    """Add the commands that fix known_hosts.

    line: the host's key as OpenSSH would write it. The command adds exactly this key, whose fingerprint is shown.
    known_hosts: the user's files, of which OpenSSH writes the first. known_line: the line with the key expected.
    """
    file = (known_hosts.split() or ["~/.ssh/known_hosts"])[0]
    # The shell expands ~ only where it is not quoted.
    target = file if re.fullmatch(r"[\w@%+=:,./~-]+", file) else shlex.quote(file)
    return replace(
        state,
        host_key=fingerprint(line) or state.host_key,
        known_key=fingerprint(known_line),
        add=f"echo {shlex.quote(line.strip())} >> {target}" if fingerprint(line) else "",
    )


# --- Passwords ------------------------------------------------------------------------------------------------------


def wants_password(state: State) -> bool:
    """Return whether a password could log in where keys did not."""
    return bool(state.methods) and not state.jump and ("password" in state.methods or "interactive" in state.methods)


def untried_password(state: State, why: str) -> State:
    """Say that the password was not tried, so that nothing behind the login is known."""
    return replace(
        state, state="password_untried", said=why, not_told=("whether the password is right", "Python", "sudo")
    )
