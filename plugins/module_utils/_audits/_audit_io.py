# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Audits a host from inside: runs each row's probe. PRIVATE to the collection."""

from __future__ import annotations

import functools
import os
import pwd
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._audits import (
    _audit_account_io,
    _audit_files_io,
    _audit_leaks_io,
    _audit_net_io,
)
from ansible_collections.vllm_ray.cluster.plugins.module_utils._audits._audit import Finding, Unknown
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _safe_io, _unsafe
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._probe_io import processes
from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall import _backends_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._net import _listeners, _port_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._services._manager_io import manager_for

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ansible.module_utils.basic import AnsibleModule

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._audits._audit import Found, Listening
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall._backend import Tool
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall._rules import State
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._services._manager import Running

ROWS: Mapping[str, Callable[[Place], Finding]] = {
    **_audit_files_io.ROWS,
    **_audit_account_io.ROWS,
    **_audit_leaks_io.ROWS,
    **_audit_net_io.ROWS,
}
# Prints the first $1 bytes of what a command prints.
FIRST = 'limit=$1; shift; { "$@" || echo "it failed ($?)" >&2; } | head -c "$limit"'
FAILED = b"it failed ("


class Place:
    """A cluster on this host: its paths, its account, and what is running. Each is determined once."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module, self.params = module, module.params
        params = module.params
        self.config, self.state, self.started = params["config"], params["state"], params["started"]
        self.models, self.model, self.command = params["models"], params["model"], params["command"]
        self.clusters, self.release = params["clusters"], params["release"]
        # The serve unit is the last one, where the host has it.
        self.services = list(params["services"])
        suffix = "service" if params["manager"] == "systemd" else "conf"
        self.unit_files = [f"{params['units']}/{name}.{suffix}" for name in self.services]
        self.trusted_paths = [
            path
            for path in (
                *(self.config, params["units"], self.command, params["root"], params["manifests"], self.started),
                *(self.clusters, os.path.dirname(self.state), self.release),
            )
            if path
        ]

    def record_of(self, service: str) -> str:
        """Return the file with the sums of what a service was started with."""
        engine = service.partition(f"serve@{self.params['cluster']}-")[2]
        return f"{self.started}/{f'serve-{engine}' if engine else 'node'}"

    @functools.cached_property
    def account(self) -> pwd.struct_passwd:
        """The account of the services: our own where the module does not run as root. Raises Unknown."""
        name = self.params["user"]
        if not name:
            return pwd.getpwuid(os.geteuid())
        try:
            return pwd.getpwnam(name)
        except KeyError:
            raise Unknown(f"there is no account {name}") from None

    @property
    def uid(self) -> int:
        return self.account.pw_uid

    @property
    def gid(self) -> int:
        return self.account.pw_gid

    @functools.cached_property
    def secrets(self) -> dict[str, str]:
        """Token and key by their paths."""
        return _audit_files_io.secrets_of(self.config)

    @functools.cached_property
    def values(self) -> dict[str, str]:
        """All values that must be nowhere else, by what they are."""
        found = _audit_files_io.values(self)
        if not found:
            raise Unknown(f"there is no secret in {self.config} to search for")
        return found

    @functools.cached_property
    def other_clusters(self) -> list[str]:
        """The directories of the configurations of other clusters of this host."""
        found = {directory.at(name) for directory, name in _safe_io.find(os.path.dirname(self.config), "*")}
        for directory, name in _safe_io.find(self.clusters, "*"):
            found.add(directory.read(name).decode("utf-8", "replace").strip())
        return sorted(path for path in found - {self.config} if path.startswith("/") and os.path.isdir(path))

    @property
    def other_states(self) -> list[str]:
        """The directories with the data of other clusters of this host."""
        above = os.path.dirname(self.state)
        paths = [f"{above}/{os.path.basename(config)}" for config in self.other_clusters]
        return [path for path in paths if path != self.state and os.path.isdir(path)]

    @functools.cached_property
    def running(self) -> Mapping[str, Running]:
        return t.cast("Mapping[str, Running]", manager_for(self.module).look(self.services))

    @functools.cached_property
    def processes(self) -> dict[int, _listeners.Process]:
        return processes()

    def part_of(self, process: _listeners.Process) -> str:
        """Return which of our services a process belongs to, node or serve; empty where to none."""
        for service in self.services:
            main = self.running[service].pid
            if process.unit == f"{service}.service" or (
                main and _listeners.is_descendant(process.pid, {main}, self.processes)
            ):
                return "serve" if "serve@" in service else "node"
        return ""

    @functools.cached_property
    def listeners(self) -> list[_listeners.Listener]:
        return _port_io.listeners()

    def is_ours(self, listener: _listeners.Listener) -> bool:
        """Whether a listening socket is held by a process of our services, which runs as their account."""
        process = self.processes.get(listener.pid)
        return bool(process and process.user == self.account.pw_name and self.part_of(process))

    @functools.cached_property
    def firewall(self) -> tuple[Tool, State]:
        backend = _backends_io.backend(self.module)
        return backend.tool, backend.state()

    def read(self, *argv: str, limit: int, seconds: int = 60) -> bytes:
        """Return what a command prints first, limit bytes at most. Raises Unknown where it is missing or fails."""
        if not self.module.get_bin_path(argv[0]):
            raise Unknown(f"{argv[0]} is not installed")
        command = ["timeout", str(seconds), "/bin/sh", "-c", FIRST, "sh", str(limit), *argv]
        status, out, err = self.module.run_command(command, environ_update={"LC_ALL": "C"}, encoding=None)
        # What is cut off ends with an error, too.
        if status != 0 or (FAILED in err and len(out) < limit):
            raise Unknown(f"{argv[0]} ended with {status}: {err.decode(errors='replace').strip()[-200:]}")
        return bytes(out)

    def run(self, *argv: str, seconds: int = 60) -> str:
        """Return what a command prints. Raises Unknown where it is missing, fails or takes too long."""
        if not self.module.get_bin_path(argv[0]):
            raise Unknown(f"{argv[0]} is not installed")
        command = ["timeout", str(seconds), *argv]
        status, out, err = self.module.run_command(command, environ_update={"LC_ALL": "C"})
        if status != 0:
            raise Unknown(f"{argv[0]} ended with {status}: {err.strip()[-200:]}")
        return str(out)


class Look(t.TypedDict):
    """What audit_host returns."""

    rows: dict[str, Found]
    listeners: list[Listening]


def look(module: AnsibleModule) -> Look:
    """Return what each row found, and what listens on this host."""
    place = Place(module)
    rows = {name: outcome(ROWS[name], place) for name in module.params["rows"]}
    try:
        values = place.values
    except (OSError, Unknown, ValueError, RecursionError):
        values = {}
    try:
        listening = place.listeners
    except OSError:
        listening = []  # the rows about them say so
    return {
        "rows": {name: found.without(values).as_dict() for name, found in rows.items()},
        "listeners": [
            {
                "port": found.port,
                "address": found.address,
                "process": found.process,
                "ours": place.is_ours(found),
                "loopback": found.is_local,
            }
            for found in listening
        ],
    }


def outcome(probe: Callable[[Place], Finding], place: Place) -> Finding:
    """Return what a probe found; what it could not ask is not known, and never an error."""
    try:
        return probe(place)
    except OSError as error:
        place_of = os.fsdecode(error.filename) + ": " if error.filename and error.strerror else ""
        return Finding(unknown=_unsafe.shown(place_of + (error.strerror or str(error))))
    except (Unknown, ValueError, RecursionError) as error:
        return Finding(unknown=_unsafe.shown(str(error) or type(error).__name__))
