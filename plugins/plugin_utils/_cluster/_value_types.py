# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the values of vllm_ray_* variables may look like. PRIVATE to the collection.

Names, paths and addresses become parts of units, scripts, sudoers files, URLs and paths that root writes. So each
variable has a type here, besides the one of meta/argument_specs.yml: a contract test fails for a variable without one.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t
from collections.abc import Mapping
from urllib.parse import urlsplit

from ansible_collections.vllm_ray.cluster.plugins.module_utils._services._systemd import KINDS

# Longer texts are cut in messages.
SHOWN = 80
LONGEST_PATH = 255
# Each part of a path on a host. Tools that are not ours read these paths, too: supervisor splits a list of files at
# spaces, the shell splits PATH at colons, and uv gets a URL made of them.
HOST_PATH = re.compile(r"(/+[\w.+@=,~-]+)+/*")
# Other programs have their files directly below these, so they are no directories of ours.
SYSTEM_DIRECTORIES = frozenset(
    (
        *("/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib32", "/lib64", "/libx32", "/lost+found"),
        *("/media", "/mnt", "/opt", "/proc", "/root", "/run", "/sbin", "/srv", "/sys", "/tmp", "/usr", "/var"),
        *("/etc/default", "/etc/sudoers.d", "/etc/systemd", "/etc/systemd/system", "/usr/bin", "/usr/lib"),
        *("/usr/local", "/usr/local/bin", "/usr/local/lib", "/usr/local/sbin", "/usr/sbin", "/usr/share"),
        *("/var/cache", "/var/lib", "/var/log", "/var/run", "/var/spool", "/var/tmp"),
    )
)
# What the kernel shows as files, and what it starts from.
KERNEL_DIRECTORIES = ("/proc", "/sys", "/dev", "/boot")
# Our own names beside the directories of clusters, in any of the roots.
RESERVED_NAMES = frozenset(
    (
        *("bin", "bundle", "cache", "etc", "manifests", "models", "packages", "python", "recipes", "records"),
        *("releases", "secrets", "tools", "uv", "wheels"),
    )
)
ROOT_ACCOUNTS = ("root", "toor")


class ValueType(t.NamedTuple):
    """What a value may be. expected: in words, for messages. fits: judges one value, an element of a list for lists.

    shown: whether messages may show the value.
    """

    expected: str
    fits: t.Callable[[object], bool]
    shown: bool = True


def matches(pattern: str) -> t.Callable[[object], bool]:
    """Return a function that returns whether the text of a value matches a pattern as a whole."""
    compiled = re.compile(pattern)
    return lambda value: compiled.fullmatch(str(value)) is not None


def is_printable(value: object) -> bool:
    """Return whether a value is a text without control characters that does not begin or end with a space."""
    text = str(value)
    return text.isprintable() and text == text.strip()


def has_parent_parts(path: str) -> bool:
    """Return whether a path has parts that lead elsewhere than they say."""
    return any(part in (".", "..") for part in path.split("/"))


def is_host_path(value: object) -> bool:
    """Return whether a value is an absolute path that all programs on a host take."""
    path = str(value)
    return bool(HOST_PATH.fullmatch(path)) and not has_parent_parts(path) and len(path.encode()) <= LONGEST_PATH


def clean(path: str) -> str:
    """Return a path without repeated slashes and without one at its end."""
    return re.sub("/+", "/", path).rstrip("/") or "/"


def is_root(value: object) -> bool:
    """Return whether a value is a path that may be a directory of ours; `~` is the home of the account on the host."""
    path = str(value)
    if path.startswith("~/"):
        return is_host_path(path[1:])
    return is_host_path(path) and clean(path) not in SYSTEM_DIRECTORIES and not is_below(path, *KERNEL_DIRECTORIES)


def is_below(path: str, *directories: str) -> bool:
    """Return whether a path is one of these directories or is in one of them."""
    return any(f"{clean(path)}/".startswith(f"{clean(directory).rstrip('/')}/") for directory in directories)


def is_address(value: object) -> bool:
    """Return whether a value is an IP address without a scope."""
    try:
        return bool(ipaddress.ip_address(str(value))) and "%" not in str(value)
    except ValueError:
        return False


def is_network(value: object) -> bool:
    """Return whether a value is an IP address or network, or `any`."""
    try:
        return value == "any" or bool(ipaddress.ip_network(str(value), strict=False))
    except ValueError:
        return False


def is_host_name(value: object) -> bool:
    """Return whether a value is an IP address or the name of a host."""
    label = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?"
    return is_address(value) or (len(str(value)) <= 253 and matches(rf"{label}(\.{label})*\.?")(value))


def is_url(value: object) -> bool:
    """Return whether a value is a URL of a server or a file."""
    text = str(value)
    if not re.fullmatch(r"(?:https?|socks[45][ah]?|file)://[!-~]+", text) or re.search(r"[\"'<>\\^`{|}]", text):
        return False
    try:
        parts = urlsplit(text)
        return bool(parts.path if parts.scheme == "file" else parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False


def is_model(value: object) -> bool:
    """Return whether a value may name a model. The code that asks the hub reports a wrong id or URL."""
    text = str(value)
    # The last part becomes the name of a directory.
    last = text.rstrip("/").rpartition("/")[2]
    return is_printable(text) and not text.startswith("-") and last not in ("", ".", "..", "~")


def is_revision(value: object) -> bool:
    """Return whether a value may name a revision of a model, which may become the name of a directory."""
    parts = str(value).split("/")
    return matches(r"[A-Za-z0-9_][\w.+@/-]{0,199}")(value) and not any(part == "" or part[0] == "." for part in parts)


def is_python(value: object) -> bool:
    """Return whether a value is the path of a Python or a version as uv takes it."""
    return is_host_path(value) or matches(r"[A-Za-z0-9][A-Za-z0-9._+@-]{0,99}")(value)


def is_lock(value: object) -> bool:
    """Return whether a value is the name of a lock or a path on the controller."""
    return matches(r"[A-Za-z0-9][\w.-]{0,99}")(value) or (str(value).startswith("/") and is_printable(value))


def is_wheel_source(value: object) -> bool:
    """Return whether a value is a directory or a URL with wheels."""
    return is_url(value) or (str(value).startswith(("/", "~/")) and is_printable(value))


def is_port(value: object) -> bool:
    """Return whether a value is a port."""
    return matches(r"\d{1,5}")(value) and 1 <= int(str(value)) <= 65535


def is_port_range(value: object) -> bool:
    """Return whether a value is a first and a last port."""
    first, _dash, last = str(value).partition("-")
    return is_port(first) and is_port(last) and int(first) <= int(last)


def is_kept_port(value: object) -> bool:
    """Return whether a value is what ufw_peers takes as an open port."""
    ports, _slash, protocol = str(value).partition("/")
    first, colon, last = ports.partition(":")
    known = protocol in ("tcp", "udp") or "/" not in str(value)
    return value == "all" or (known and is_port(first) and (not colon or (is_port(last) and int(first) <= int(last))))


def is_cluster(value: object) -> bool:
    """Return whether a value may name a cluster: systemd's units end with it, so it can't say another kind of unit."""
    fits = matches(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")(value)
    return fits and value not in RESERVED_NAMES and not str(value).endswith(KINDS)


def is_account(value: object) -> bool:
    """Return whether a value may name the service user."""
    return matches(r"[A-Za-z_][A-Za-z0-9_.-]{0,30}")(value) and value not in ROOT_ACCOUNTS


def is_group(value: object) -> bool:
    """Return whether a value may name a group, also one of a directory service, such as `domain users`."""
    text = str(value)
    return matches(r"\w[\w.@\\ =%~+-]{0,254}")(text) and is_printable(text) and not text.isdecimal()


def is_environment(value: object) -> bool:
    """Return whether a mapping is an environment: names that a shell takes, and one text or number for each."""
    return isinstance(value, Mapping) and all(
        matches(r"[A-Za-z_][A-Za-z0-9_]*")(name) and isinstance(text, (str, int, float)) and "\0" not in str(text)
        for name, text in value.items()
    )


def is_options(value: object) -> bool:
    """Return whether the names of a mapping look like options of a command."""
    return isinstance(value, Mapping) and all(matches(r"-{0,2}[A-Za-z0-9][\w.-]{0,99}")(name) for name in value)


def at_least(least: float) -> t.Callable[[object], bool]:
    """Return a function that returns whether a number is not below another. Ansible leaves a boolean as it is."""
    return lambda value: isinstance(value, (int, float)) and value >= least


WORD = r"[A-Za-z0-9][\w.+-]{0,99}"
ROOT_EXPECTED = (
    "an absolute path of letters, digits and any of _ . - + @ = , outside of system directories such as /etc"
)
TYPES = {
    "account": ValueType("the name of an account other than root", is_account),
    "address": ValueType("an IP address", is_address),
    "argument": ValueType("a text without control characters", lambda value: str(value).isprintable()),
    "cluster": ValueType(
        f"1 to 63 letters, digits, '.', '_' and '-', the first a letter or a digit, without {' or '.join(KINDS)} at "
        "the end, and none of " + ", ".join(sorted(RESERVED_NAMES)),
        is_cluster,
    ),
    "controller path": ValueType("a path without control characters", is_printable),
    "key file": ValueType(
        "a path without '..' and control characters",
        lambda value: is_printable(value) and ".." not in str(value).split("/"),
    ),
    "count": ValueType("a whole number from 0", at_least(0)),
    "directory": ValueType(ROOT_EXPECTED, lambda value: is_root(value) and not str(value).startswith("~")),
    "environment": ValueType(
        "names of letters, digits and '_', the first not a digit, and one text or number for each",
        is_environment,
        shown=False,
    ),
    "group": ValueType("the name of a group, not its number, without any of : , / # \" ' * ? [ ] ! ( )", is_group),
    "host": ValueType("an IP address or the name of a host", is_host_name),
    "host path": ValueType("an absolute path of letters, digits and any of _ . - + @ = ,", is_host_path),
    "interface": ValueType(
        "the name of an interface, at most 15 letters, digits, '.', '_' and '-'",
        matches(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}"),
    ),
    "inventory name": ValueType("a name of the inventory", lambda value: is_printable(value) and str(value) != ""),
    "kept port": ValueType("a port such as 9100/tcp, a range such as 60000:61000/udp, or all", is_kept_port),
    "limit": ValueType("a number from 0", at_least(0)),
    "lock": ValueType("the name of a lock or its absolute path on the controller", is_lock),
    "model": ValueType(
        "a path, the id of a model or a URL, without control characters and with a name at its end", is_model
    ),
    "network": ValueType("an IP address, a network such as 192.0.2.0/24, or any", is_network),
    "number or -1": ValueType("a whole number from 0, or -1", at_least(-1)),
    "options": ValueType("names of options, such as max-model-len", is_options, shown=False),
    "port": ValueType("a port from 1 to 65535", is_port),
    "port range": ValueType("a first and a last port, such as 10002-19999", is_port_range),
    "python": ValueType("a version such as 3.12 or an absolute path", is_python),
    "rdma device": ValueType(
        "the name of an RDMA device, such as mlx5_0", matches(r"[\^=]{0,2}\w[\w.-]{0,63}(:\d{1,3})?")
    ),
    "revision": ValueType("a branch, tag or commit, without '..' and spaces", is_revision),
    "root": ValueType(ROOT_EXPECTED, is_root),
    "seconds": ValueType("a whole number from 1", at_least(1)),
    "sha256": ValueType("64 hexadecimal digits", matches(r"[0-9a-fA-F]{64}")),
    "size": ValueType("a number above 0", lambda value: isinstance(value, (int, float)) and value > 0),
    "token": ValueType("a token without spaces and control characters", matches(r"[!-~]+"), shown=False),
    "url": ValueType("a URL such as https://mirror.example/simple", is_url, shown=False),
    "wheel source": ValueType("an absolute path or a URL", is_wheel_source, shown=False),
    "word": ValueType("a word of letters, digits and any of _ . + -", matches(WORD)),
    # Only compared or sent as JSON.
    "data": ValueType("any data", lambda value: True),
}

PORT_VARIABLES = (
    *("api", "gcs", "node_manager", "object_manager", "runtime_env_agent", "dashboard_agent_grpc", "metrics"),
    *("dashboard_agent", "dashboard", "client_server", "autoscaler_metric", "dashboard_metric"),
)
# The types by variable. Booleans and choices need none.
VARIABLES = {
    **{f"vllm_ray_{name}_port": "port" for name in PORT_VARIABLES},
    "vllm_ray_address": "address",
    "vllm_ray_api_clients": "network",
    "vllm_ray_api_host": "host",
    "vllm_ray_audit_from": "inventory name",
    "vllm_ray_bundle": "controller path",
    "vllm_ray_bundle_sha256": "sha256",
    "vllm_ray_bundle_model": "controller path",
    "vllm_ray_bundle_platform": "word",
    "vllm_ray_bundle_python": "word",
    "vllm_ray_ca_certificate": "host path",
    "vllm_ray_checks_off": "word",
    "vllm_ray_cluster": "cluster",
    "vllm_ray_cluster_timeout": "seconds",
    "vllm_ray_config_root": "root",
    "vllm_ray_confine_allow": "network",
    "vllm_ray_dashboard_clients": "network",
    "vllm_ray_dashboard_host": "host",
    "vllm_ray_env": "environment",
    "vllm_ray_extra_index_urls": "url",
    "vllm_ray_find_links": "wheel source",
    "vllm_ray_firewall_keep": "kept port",
    "vllm_ray_gpus": "count",
    "vllm_ray_head_group": "inventory name",
    "vllm_ray_hf_endpoint": "url",
    "vllm_ray_hf_token": "token",
    "vllm_ray_hosts_file": "controller path",
    "vllm_ray_index_url": "url",
    "vllm_ray_key_file": "key file",
    "vllm_ray_metrics_clients": "network",
    "vllm_ray_model": "model",
    "vllm_ray_model_keep": "number or -1",
    "vllm_ray_model_revision": "revision",
    "vllm_ray_model_root": "root",
    "vllm_ray_nccl_debug": "word",
    "vllm_ray_nic": "interface",
    "vllm_ray_object_store_gib": "size",
    "vllm_ray_operators_group": "group",
    "vllm_ray_plan_file": "controller path",
    "vllm_ray_proof": "data",
    "vllm_ray_proxy": "url",
    "vllm_ray_python": "python",
    "vllm_ray_rdma_devices": "rdma device",
    "vllm_ray_release_builder": "inventory name",
    "vllm_ray_release_id": "word",
    "vllm_ray_release_keep": "count",
    "vllm_ray_release_lock": "lock",
    "vllm_ray_release_path": "host path",
    "vllm_ray_report": "controller path",
    "vllm_ray_requirements": "controller path",
    "vllm_ray_root": "root",
    "vllm_ray_serve_args": "options",
    "vllm_ray_serve_host": "inventory name",
    "vllm_ray_serve_timeout": "seconds",
    "vllm_ray_start_args": "argument",
    "vllm_ray_state_root": "root",
    "vllm_ray_tls_ca": "controller path",
    "vllm_ray_tls_certificate": "controller path",
    "vllm_ray_tls_key": "controller path",
    "vllm_ray_tls_names": "host",
    "vllm_ray_transfer_limit_mbit": "limit",
    "vllm_ray_user": "account",
    "vllm_ray_worker_group": "inventory name",
    "vllm_ray_worker_ports": "port range",
    "vllm_ray_write_paths": "directory",
}


def wrong_values(variable: str, value: object) -> list[object]:
    """Return which values of a variable are not of its type: those of a list one by one.

    value: of the type in meta/argument_specs.yml. None and an empty text mean that the variable is not set.
    """
    kind = TYPES[VARIABLES[variable]] if variable in VARIABLES else TYPES["data"]
    values = value if isinstance(value, list) else [] if value in (None, "") else [value]
    return [one for one in values if not kind.fits(one)]


def show(value: object) -> str:
    """Return a value for a message: escaped, and not too long."""
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."
