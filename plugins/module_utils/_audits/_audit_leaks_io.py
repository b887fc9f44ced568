# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Audits processes of a cluster on a host, and searches for its secrets where they must not be. Names of secrets are
returned, never their values. PRIVATE to the collection.
"""

from __future__ import annotations

import stat
import time
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._audits import _audit, _audit_files_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._audits._audit import Finding, Unknown
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _safe_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._safe_io import read_kernel
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._unsafe import shown

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._audits._audit_io import Place
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._net._listeners import Process

# What is read at most: lines and bytes of the journal, bytes of the end of a file and of all files, seconds for all.
JOURNAL_LINES = 100_000
# The time in which the module's runner reads a program grows with the square of the bytes.
JOURNAL_BYTES = 8 * _safe_io.MIB
JOURNAL_DAYS = 7
JOURNAL_SECONDS = 60
FILE_BYTES = 8 * _safe_io.MIB
TOTAL_BYTES = 512 * _safe_io.MIB
SECONDS = 60


def processes(place: Place) -> Finding:
    """Audit with which rights each process of our units runs."""
    ours = [process for process in place.processes.values() if place.part_of(process)]
    down = [service for service in place.services if not place.running[service].pid]
    if down:
        raise Unknown(f"{', '.join(down)} does not run")
    faults, count = [], 0
    for process in ours:
        text = read_kernel(f"/proc/{process.pid}/status") or ""
        # It may have ended meanwhile.
        if "Uid:" in text:
            count += 1
            faults += _audit.process_faults(process.pid, process.name, text, place.uid)
    return Finding(f"{count} processes", faults)


def _texts(
    place: Place, what: str, but: Callable[[Process], bool] = lambda _process: False
) -> Iterator[tuple[str, str]]:
    """Yield the name of each process and a file of it in /proc, except for some processes."""
    for process in place.processes.values():
        if not but(process):
            text = read_kernel(f"/proc/{process.pid}/{what}")
            if text:
                yield f"{process.name} (pid {process.pid}, user {process.user})", text


def command_lines(place: Place) -> Finding:
    """Search the command lines of all processes, which everybody can read."""
    texts = list(_texts(place, "cmdline"))
    faults = [f"{who} shows {name}" for who, text in texts for name in _audit.values_in(text, place.values)]
    return Finding(f"{len(texts)} command lines for {len(place.values)} secrets", faults)


def environments(place: Place) -> Finding:
    """Search the environments of all processes: the API key is for the engine alone, the rest for the account.

    `vllm-ray exec` gives a command the environment of the services, too.
    """

    def serves(process: Process) -> bool:
        return place.part_of(process) == "serve"

    def is_service_account(process: Process) -> bool:
        return process.user == place.account.pw_name

    keys = {name: value for name, value in place.values.items() if name.endswith("api.key")}
    rest = {name: value for name, value in place.values.items() if name not in keys}
    faults = [
        f"{who} has {name} in its environment"
        for values, owners in ((keys, serves), (rest, is_service_account))
        for who, text in _texts(place, "environ", owners)
        for name in _audit.values_in(text, values)
    ]
    return Finding(f"{len(place.processes)} environments for {len(place.values)} secrets", list(dict.fromkeys(faults)))


def journal(place: Place) -> Finding:
    """Search the last lines of the journal, of our units and of everything else."""
    # Without --all, bytes that can't be printed are shown as `[102B blob data]`. The newest lines come first, because
    # the oldest are cut off.
    argv = ("journalctl", "--no-pager", "--quiet", "--all", "--reverse", f"--since=-{JOURNAL_DAYS}d")
    data = place.read(*argv, f"--lines={JOURNAL_LINES}", limit=JOURNAL_BYTES, seconds=JOURNAL_SECONDS)
    lines = data.decode("utf-8", "replace").splitlines()
    hits: dict[str, int] = {}
    for line in lines:
        for name in _audit.values_in(line, place.values):
            what = f"{_audit.writer(line)} wrote {name}"
            hits[what] = hits.get(what, 0) + 1
    faults = [f"{shown(what)} ({count} lines)" for what, count in hits.items()]
    what = f"the last {JOURNAL_BYTES // _safe_io.MIB} MiB" if len(data) == JOURNAL_BYTES else f"{JOURNAL_DAYS} days"
    return Finding(f"{len(lines)} lines of {what} for {len(place.values)} secrets", faults)


def logs(place: Place) -> Finding:
    """Search files of the configuration and of the services for secrets, but for those that hold them.

    Of the services' data, what is a log or others may read is searched, the newest first.
    """
    start = len(place.config) + 1
    found = [
        (path, status)
        for path, status, _target in _audit_files_io.entries(place.config)
        if not _audit.holds_secret(path[start:])
    ]
    for folder in (place.started, place.state):
        try:
            listed = list(_audit_files_io.entries(folder))
        except FileNotFoundError:
            continue
        for path, status, _target in listed:
            if status.st_mode & 0o004 or "/log" in path[len(folder) :]:
                found.append((path, status))
    files = [(path, status) for path, status in found if stat.S_ISREG(status.st_mode)]
    faults, count, size, end = [], 0, 0, time.monotonic() + SECONDS
    for path, status in sorted(files, key=lambda entry: -entry[1].st_mtime):
        if size > TOTAL_BYTES or time.monotonic() > end:
            break
        try:
            data, _left_out = _safe_io.read_end(path, FILE_BYTES)
        except FileNotFoundError:
            continue
        except OSError as error:
            faults.append(f"{shown(path)} can't be read: {error}")
            continue
        count, size = count + 1, size + len(data)
        names = [name for name, value in place.values.items() if value.encode() in data]
        faults += [f"{shown(path)} (mode {stat.S_IMODE(status.st_mode):04o}) has {name}" for name in names]
    left = f", {len(files) - count} older ones were not" if len(files) > count else ""
    return Finding(f"{count} files ({size // _safe_io.MIB} MiB) were searched{left}", faults)


ROWS: Mapping[str, Callable[[Place], Finding]] = {
    "processes": processes,
    "command_lines": command_lines,
    "environments": environments,
    "journal": journal,
    "logs": logs,
}
