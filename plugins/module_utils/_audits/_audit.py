# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an audit expects of a host, and how what was found there is judged. PRIVATE to the collection."""

from __future__ import annotations

import fnmatch
import ipaddress
import os
import re
import stat
import typing as t
from dataclasses import dataclass, field

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _redact

if t.TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from os import stat_result

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall._rules import Rule

# Faults of one row that are returned; how many more there are is said.
FAULTS_MAXIMUM = 10
# The start of a line of journalctl: time, host, program.
WRITER = re.compile(r"\w{3} [ \d]\d [\d:]{8} \S+ ([\w@.-]+)(?:\[\d+\])?:")
# A shorter value would be found in ordinary text.
SHORTEST_VALUE = 8
# Characters of the value of a directive that are shown.
LONGEST_VALUE = 40
LINKS = ("current", "previous")
# Groups that give access to GPUs and to locked memory, and nothing else.
GROUPS = ("video", "render")
SHELLS = ("/usr/sbin/nologin", "/sbin/nologin", "/bin/false", "/usr/bin/false")


class Unknown(Exception):
    """A row could not be asked; the message says why."""


class Found(t.TypedDict):
    """A Finding as audit_host returns it."""

    checked: str
    faults: list[str]
    unknown: str


class Listening(t.TypedDict):
    """A socket that listens, as audit_host returns it. ours: of our services."""

    port: int
    address: str
    process: str
    ours: bool
    loopback: bool


@dataclass(frozen=True)
class Finding:
    """What one row found on one host. checked: what was checked; faults: what is wrong, a sentence each.

    unknown: why it could not be asked, empty where it could.
    """

    checked: str = ""
    faults: Sequence[str] = field(default_factory=list)
    unknown: str = ""

    def without(self, values: Mapping[str, str]) -> Finding:
        """Return the same without the values of secrets, whatever a row has read. values: by names."""
        faults = [without_values(fault, values) for fault in self.faults]
        return Finding(without_values(self.checked, values), faults, without_values(self.unknown, values))

    def as_dict(self) -> Found:
        shown = list(self.faults[:FAULTS_MAXIMUM])
        more = len(self.faults) - len(shown)
        return {
            "checked": self.checked,
            "faults": [*shown, *([f"{more} more"] if more else [])],
            "unknown": self.unknown,
        }


# --- Files -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Allowed:
    """How a file of the configuration may be at most. service: whether it may be the service account's."""

    pattern: str
    mode: int
    service: bool = False


# The first pattern that a path below the directory of the configuration fits.
ALLOWED = (
    Allowed("ray.token", 0o400, service=True),
    Allowed("api.key", 0o400, service=True),
    Allowed("tls.key", 0o440, service=True),
    Allowed("secrets", 0o700),
    Allowed("secrets/*", 0o600),
    Allowed("client.env", 0o644),
    Allowed("*.env", 0o640),
    Allowed("serve-*.yaml", 0o640),
    Allowed("*", 0o755),
)
# Files that may hold a secret, by the same names.
SECRET_FILES = ("ray.token", "api.key", "tls.key", "secrets/*", "*.env", "serve-*.yaml")


def allowed(name: str) -> Allowed:
    """Return how a file of the configuration may be. name: below its directory."""
    return next(entry for entry in ALLOWED if fnmatch.fnmatchcase(name, entry.pattern))


def holds_secret(name: str) -> bool:
    """Return whether a file of the configuration may hold a secret. name: below its directory."""
    return name != "client.env" and any(fnmatch.fnmatchcase(name, pattern) for pattern in SECRET_FILES)


def mode_fault(path: str, mode: int, expected: int) -> str:
    """Return what is wrong with a mode, nothing where it has no bits but the expected ones."""
    found = stat.S_IMODE(mode)
    return f"{path} has the mode {found:04o}, at most {expected:04o} is expected" if found & ~expected else ""


def file_faults(
    name: str, path: str, status: stat_result, owners: Collection[int], service: int, groups: Collection[int]
) -> list[str]:
    """Return what is wrong with an entry of the configuration.

    owners: uids that may own it; service: the uid of the service account; groups: gids that it may be readable for.
    """
    if stat.S_ISLNK(status.st_mode):
        return [] if name in LINKS and status.st_uid in owners else [f"{path} is a link"]
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
        return [f"{path} is neither a file nor a directory"]
    rule = allowed(name)
    faults = [mode_fault(path, status.st_mode, rule.mode)]
    if status.st_uid not in owners and not (rule.service and status.st_uid == service):
        faults.append(f"{path} belongs to uid {status.st_uid}")
    if status.st_mode & 0o070 and not status.st_mode & 0o007 and status.st_gid not in groups:
        faults.append(f"{path} is open to the group with gid {status.st_gid}")
    return [fault for fault in faults if fault]


def secret_fault(path: str, text: str) -> str:
    """Return what is wrong with a secret, nothing where services take it."""
    if _redact.SECRET.fullmatch(text):
        return ""
    return f"{path} has {len(text)} characters, 32 or more that are printable are expected"


# --- Trees -----------------------------------------------------------------------------------------------------------


def entry_fault(path: str, status: stat_result, groups: Collection[int] | None = None) -> str:
    """Return what is wrong with an entry of a release or a model: who may change it, and as whom it runs.

    groups: gids that may write it. None: of every group.
    """
    mode = status.st_mode
    if stat.S_ISLNK(mode):
        return ""
    if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
        return f"{path} is neither a file nor a directory"
    if mode & stat.S_ISUID or (mode & stat.S_ISGID and stat.S_ISREG(mode)):
        return f"{path} is set-uid or set-gid (mode {stat.S_IMODE(mode):04o})"
    if mode & 0o002:
        return f"{path} can be written by everybody (mode {stat.S_IMODE(mode):04o})"
    if groups is not None and mode & 0o020 and status.st_gid not in groups:
        return f"{path} can be written by the group with gid {status.st_gid} (mode {stat.S_IMODE(mode):04o})"
    return ""


def state_fault(path: str, status: stat_result) -> str:
    """Return what is wrong with an entry of the services' data: what would stop or mislead a program that reads it."""
    mode = status.st_mode
    if stat.S_ISFIFO(mode):
        return f"{path} is a FIFO"
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        return f"{path} is a device"
    if stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID):
        return f"{path} is set-uid or set-gid (mode {stat.S_IMODE(mode):04o})"
    return ""


def link_fault(path: str, target: str, roots: Iterable[str]) -> str:
    """Return what is wrong with a link: that it leads out of all of these directories."""
    place = os.path.normpath(os.path.join(os.path.dirname(path), target))
    inside = any(place == root or place.startswith(f"{root.rstrip('/')}/") for root in roots)
    return "" if inside else f"{path} is a link to {target}"


# --- Processes -------------------------------------------------------------------------------------------------------

# Of /proc/PID/status: what is expected of each process of our units.
CONFINED = {"NoNewPrivs": "1", "CapEff": "0", "CapPrm": "0", "Seccomp": "2"}


def process_faults(pid: int, name: str, text: str, uid: int) -> list[str]:
    """Return what is wrong with a process of our units. text: of /proc/PID/status; uid: of the service account."""
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    who = f"{name} (pid {pid})"
    uids = set(fields.get("Uid", "").split())
    faults = [f"{who} runs as uid {', '.join(sorted(uids))}"] if uids != {str(uid)} else []
    for key, expected in CONFINED.items():
        found = fields.get(key, "").strip()
        if (found.strip("0") or "0") != expected:
            faults.append(f"{who} has {key} {found or '?'}")
    return faults


# What each of our units must have in force, of the directives that are always in it.
UNIT = {
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "AmbientCapabilities": "",
    "ProtectSystem": "strict",
    "ProtectKernelTunables": "yes",
    "ProtectKernelModules": "yes",
    "ProtectControlGroups": "yes",
    "RestrictSUIDSGID": "yes",
    "LockPersonality": "yes",
}
UNIT_SHOWN = ("Id", "User", "FragmentPath", "DropInPaths", "NeedDaemonReload", *UNIT)


def unit_faults(text: str, user: str, files: Collection[str]) -> list[str]:
    """Return what is wrong with a unit as systemd has read it. text: of `systemctl show`; files: of our units."""
    found = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    unit, ours = found.get("Id", "?"), (*files, *(f"{path}.d/network.conf" for path in files))
    paths = [path for key in ("FragmentPath", "DropInPaths") for path in found.get(key, "").split()]
    faults = [f"{unit} is as {path} says" for path in paths if path not in ours]
    expected = {"User": user, "NeedDaemonReload": "no", **UNIT}
    wrong = {key: found.get(key, "?") for key, value in expected.items() if found.get(key, "?") != value}
    # Without a limit, it lists all capabilities.
    short = {
        key: value if len(value) < LONGEST_VALUE else f"{value[:LONGEST_VALUE]}..." for key, value in wrong.items()
    }
    return [*faults, *(f"{unit} has {key}={value}, {expected[key]!r} is expected" for key, value in short.items())]


def unit_file_faults(path: str, text: str | None, expected: str) -> list[str]:
    """Return what is wrong with the file of a unit. text: of it, None where there is none; expected: as we write it."""
    if text is None:
        return [f"{path} is not there"]
    found, wanted = (
        [line.strip() for line in lines.splitlines() if line.strip() and not line.lstrip().startswith(("#", ";"))]
        for lines in (text, expected)
    )
    faults = [f"{path} does not have the line {line}" for line in wanted if line not in found]
    faults += [f"{path} has {line}, which this collection does not write" for line in found if line not in wanted]
    return faults or ([] if found == wanted else [f"{path} has its lines in another order or twice"])


def started_fault(service: str, path: str, text: str, record: str) -> str:
    """Return what is wrong with a unit since the service was started. text: of its file; record: the sums of then."""
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._services import _service_set

    then = _service_set.parse_sums(record).get(path)
    return "" if then == _service_set.sha256(text) else f"{service} was started with another {path}"


def foreign_lines(text: str, networks: Iterable[str]) -> list[str]:
    """Return the lines of our drop-in that allow other addresses than these. networks: that are expected, or any."""
    given = [network for network in networks if network]
    known = {str(ipaddress.ip_network(network, strict=False)) for network in given if network != "any"}
    known |= {"any"} if "any" in given else set()
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    allowed = {"[Service]", *(f"IPAddressAllow={network}" for network in known)}
    return [line for line in lines if line not in allowed]


def line_of_key(text: str) -> str:
    """Return the first line of a private key in PEM that is a part of the key, empty where there is none."""
    return next((line.strip() for line in text.splitlines() if line.strip() and not line.startswith("-")), "")


def writer(line: str) -> str:
    """Return the program that wrote a line of the journal, `?` where the line does not say it.

    The lines after the first one of a message have nothing in front: any word of those may be a secret.
    """
    found = WRITER.match(line)
    return found[1] if found else "?"


def without_values(text: str, values: Mapping[str, str]) -> str:
    """Return a text with the names of secrets in place of their values. values: by names."""
    for name, value in sorted(values.items(), key=lambda item: -len(item[1])):
        text = text.replace(value, f"[{name}]")
    return text


def values_in(text: str, values: Mapping[str, str]) -> list[str]:
    """Return the names of secrets whose values are in a text."""
    return [name for name, value in values.items() if value in text]


# --- The service account ---------------------------------------------------------------------------------------------


def account_faults(name: str, uid: int, shell: str, password: str | None, same_uid: Collection[str]) -> list[str]:
    """Return what is wrong with the service account.

    password: its field in /etc/shadow, None where there is none; same_uid: names of accounts with its uid.
    """
    faults = []
    if uid == 0:
        faults.append(f"{name} is root")
    if len(same_uid) > 1:
        faults.append(f"the uid {uid} belongs to {', '.join(sorted(same_uid))}")
    if shell not in SHELLS:
        faults.append(f"{name} has the login shell {shell or '/bin/sh'}")
    if password is None or password[:1] not in ("!", "*"):
        faults.append(f"the password of {name} is not locked")
    return faults


def sudo_fault(name: str, text: str) -> str:
    """Return what the account may do by sudo. text: of `sudo -l -U NAME` in the locale C."""
    if "is not allowed to run sudo" in text:
        return ""
    rights = [line.strip() for line in text.splitlines() if line.startswith("    ")]
    return f"{name} may run by sudo: {'; '.join(rights) or 'unknown commands'}"


# --- The kernel ------------------------------------------------------------------------------------------------------

# {setting: the least value, and None where it must be 0}. A kernel that has no such setting has no such feature either.
KERNEL: dict[str, int | None] = {
    "dev/tty/legacy_tiocsti": None,
    "kernel/yama/ptrace_scope": 1,
    "fs/protected_symlinks": 1,
    "fs/protected_hardlinks": 1,
    "fs/protected_fifos": 1,
    "fs/protected_regular": 1,
}


def kernel_faults(values: Mapping[str, str | None]) -> list[str]:
    """Return the settings of the kernel that leave a way open. values: as /proc/sys has them, None where it has not."""
    faults = []
    for name, least in KERNEL.items():
        value = (values.get(name) or "").strip()
        good = not value or (value == "0" if least is None else value.isdigit() and int(value) >= least)
        if not good:
            faults.append(f"{name.replace('/', '.')} is {value}, {0 if least is None else least} is expected")
    return faults


# --- The network -----------------------------------------------------------------------------------------------------

# Routes of vLLM's API. Nothing is changed by asking them by GET; those of INFERENCE refuse an empty request.
ROUTES = (
    *("/v1/models", "/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses", "/invocations"),
    *("/tokenize", "/detokenize", "/pooling", "/score", "/rerank", "/classify", "/generative_scoring", "/metrics"),
    *("/version", "/load", "/ping", "/docs", "/redoc", "/openapi.json", "/server_info", "/collective_rpc", "/"),
    *("/update_weights", "/pause", "/sleep", "/is_sleeping", "/scale_elastic_ep", "/tokenizer_info", "/no-such-route"),
)
INFERENCE = (
    "/v1/chat/completions",
    "/v1/completions",
    "/invocations",
    "/tokenize",
    "/detokenize",
    "/pooling",
    "/score",
)
DOCUMENTATION = ("/docs", "/redoc", "/openapi.json")
# Routes of the dashboard of Ray that show something of the cluster, or run something.
DASHBOARD_ROUTES = (
    *("/api/version", "/api/jobs/", "/nodes?view=summary", "/api/cluster_status", "/api/v0/nodes", "/logs", "/metrics"),
)
CLOSED = (401, 403)


def route_fault(what: str, status: int) -> str:
    """Return what is wrong with an answer to a request without the right key."""
    return "" if status in CLOSED else f"{what} is answered with {status}"


def api_faults(answers: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Return what is wrong with the API. answers: {method and route: {with which key: status}}."""
    faults = []
    for request, given in answers.items():
        # Without documentation, vLLM has no such routes.
        fine = (*CLOSED, 404) if request.rpartition(" ")[2] in DOCUMENTATION else CLOSED
        wrong = {what: status for what, status in given.items() if status not in fine}
        if len(wrong) == len(given) and len(set(wrong.values())) == 1:
            wrong = {"without the key": next(iter(wrong.values()))}
        faults += [f"{request} {what} is answered with {status}" for what, status in wrong.items()]
    return faults


def rule_faults(rules: Iterable[Rule], own: str, ports: Mapping[int, str], public: Collection[int]) -> list[str]:
    """Return the firewall's rules that let others in to ports of ours.

    own: the comment of our rules, of which only those for everybody count; ports: {port that one of our processes
    listens on: its name}; public: ports that everybody may reach by our settings.
    """
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall._rules import comment_of, ports_cover, show

    faults = []
    for rule in rules:
        admits = rule.action in ("allow", "limit") and rule.direction == "in" and not rule.route
        if not admits or rule.proto not in ("any", "tcp") or (rule.comment == own and not rule.from_anywhere):
            continue
        # Another cluster of this host and its peers, which the settings there admit.
        if rule.comment.startswith(comment_of("")) and not rule.from_anywhere and "/" not in rule.src:
            continue
        met = [port for port in sorted(ports) if port not in public and ports_cover(rule.dport, port)]
        if met:
            named = ", ".join(f"{port} ({ports[port]})" for port in met[:3]) + (" ..." if met[3:] else "")
            faults.append(f"the rule '{' '.join(show(rule).split())}' opens {named}")
    return faults
