# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the logs of our services: the journal, or files of supervisor. PRIVATE to the collection."""

from __future__ import annotations

import collections
import os
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _safe_io, _unsafe
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._plain import plain
from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine._vllm import (
    first_error,
    restarts,
    starts,
    this_start,
)
from ansible_collections.vllm_ray.cluster.plugins.module_utils._services._systemd import unit_of

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

# Of a service that was restarted by itself, its first start counts, which is further back.
RESTARTED_LINES = 20000
# Services write their logs themselves: longer lines are cut, and no more than this is searched.
LONGEST_LINE = 4096
SEARCHED = 100 * _safe_io.MIB


class Log(t.NamedTuple):
    """State of a service, how often it was restarted by itself, and the lines of each start, the last one last.

    Of a program of supervisor, restarts counts all starts: what starts it is not known.
    """

    state: str
    restarts: int
    parts: list[list[str]]


def read(module: AnsibleModule, name: str, log_file: str | None, lines: int, since: int | None = None) -> Log:
    """Read the last lines of a service. log_file: of a program of supervisor, None for a unit.

    since: what restarts was when somebody began to wait; starts before that one are left out. None: all since somebody
    started the unit; of a program the last one, and the one before where it has no error yet.
    """
    log = supervisor(name, log_file, lines) if log_file else systemd(module, name, lines)
    # What a service writes reaches terminals and messages from here.
    log = log._replace(parts=[[plain(line.rstrip("\x1b\r")) for line in part] for part in log.parts])
    if since is not None:
        return log._replace(parts=log.parts[-(max(0, log.restarts - since) + 1) :])
    if log_file:
        return log._replace(parts=log.parts[-1 if first_error(log.parts[-1]) else -2 :])
    return log


def systemd(module: AnsibleModule, name: str, lines: int) -> Log:
    """Read the journal of a unit."""
    unit = unit_of(name)
    argv = ["systemctl", "show", "--property=ActiveState,NRestarts", unit]
    _rc, out, _err = module.run_command(argv, check_rc=True)
    shown = dict(line.split("=", 1) for line in out.splitlines() if "=" in line)
    count = int(shown.get("NRestarts") or 0)
    lines = max(lines, RESTARTED_LINES) if count else lines
    argv = ["journalctl", "--no-pager", "--output=cat", f"--lines={lines}", f"--unit={unit}"]
    _rc, log, _err = module.run_command(argv)
    return Log(shown.get("ActiveState", "unknown"), count, restarts(this_start(log.splitlines(), unit), unit))


def supervisor(name: str, log_file: str, lines: int) -> Log:
    """Read the log of a program."""
    parts = starts(read_tail(log_file, 5 * lines), name)
    return Log("unknown", starts_of(log_file) or len(parts) - 1, parts)


def starts_of(log_file: str) -> int:
    """Return how often a program was started: each time its script adds a byte to a file beside its log."""
    try:
        return os.stat(f"{os.path.splitext(log_file)[0]}.starts").st_size
    except OSError:
        return 0


def told_of_cache(module: AnsibleModule, name: str, log_file: str | None) -> list[str]:
    """Return the lines in which an engine logged its KV cache when it started, which may be far back."""
    if log_file:
        return lines_with(log_file, "KV cache")
    unit = f"--unit={unit_of(name)}"
    # Of every start the same few lines: the last ones count.
    argv = ["journalctl", "--no-pager", "--output=cat", "--grep=KV cache size|Maximum concurrency", "--lines=4", unit]
    _rc, out, _err = module.run_command(argv)
    return str(out).splitlines()


def read_tail(path: str, lines: int) -> list[str]:
    """Return the last lines of a log file, reading at most 1 KiB a line from its end; none where it can't be read.

    Raises Unsafe where it is no file.
    """
    try:
        data, _left_out = _safe_io.read_end(path, lines * 1024)
    except _unsafe.Unsafe:
        raise
    except OSError:
        return []
    return [line[:LONGEST_LINE] for line in data.decode(errors="replace").splitlines()[-lines:]]


def lines_with(path: str, word: str, most: int = 20) -> list[str]:
    """Return the last lines of a log file that have a word, at most so many; none where it can't be read.

    Raises Unsafe where it is no file.
    """
    found: collections.deque[bytes] = collections.deque(maxlen=most)
    try:
        with _safe_io.open_file(path) as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - SEARCHED))
            for line in iter(lambda: stream.readline(LONGEST_LINE), b""):
                if word.encode() in line:
                    found.append(line)
    except _unsafe.Unsafe:
        raise
    except OSError:
        return []
    return [line.decode(errors="replace").rstrip("\r\n") for line in found]
