# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the logs of our services: the journal, or files of supervisor. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._plain import plain
from ansible_collections.vllm_ray.cluster.plugins.module_utils._service_set_io import lines_with, read_tail
from ansible_collections.vllm_ray.cluster.plugins.module_utils._vllm import first_error, starts, this_start

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


class Log(t.NamedTuple):
    """State of a service, how often it was restarted by itself, and the lines since somebody started it."""

    state: str
    restarts: int
    lines: list[str]


def read(module: AnsibleModule, name: str, log_file: str | None, lines: int) -> Log:
    """Read the last lines of a service. log_file: of a program of supervisor, None for a unit."""
    log = supervisor(name, log_file, lines) if log_file else systemd(module, name, lines)
    # What a service writes reaches terminals and messages from here.
    return log._replace(lines=[plain(line.rstrip("\x1b\r")) for line in log.lines])


def systemd(module: AnsibleModule, name: str, lines: int) -> Log:
    """Read the journal of a unit."""
    unit = f"{name}.service"
    argv = ["systemctl", "show", "--property=ActiveState,NRestarts", unit]
    _rc, out, _err = module.run_command(argv, check_rc=True)
    shown = dict(line.split("=", 1) for line in out.splitlines() if "=" in line)
    argv = ["journalctl", "--no-pager", "--output=cat", f"--lines={lines}", f"--unit={unit}"]
    _rc, log, _err = module.run_command(argv)
    return Log(
        shown.get("ActiveState", "unknown"),
        int(shown.get("NRestarts") or 0),
        this_start(log.splitlines(), unit),
    )


def supervisor(name: str, log_file: str, lines: int) -> Log:
    """Read the log of a program. After a crash, the error stands in the log of the start before."""
    parts = starts(read_tail(log_file, 5 * lines), name)
    log = parts[-1] if first_error(parts[-1]) or len(parts) < 2 else parts[-2] + parts[-1]
    return Log("unknown", len(parts) - 1, log)


def told_of_cache(module: AnsibleModule, name: str, log_file: str | None) -> list[str]:
    """Return the lines in which an engine told of its KV cache when it started, which may be far back."""
    if log_file:
        return lines_with(log_file, "KV cache")
    unit = f"--unit={name}.service"
    # Of every start the same few lines: the last ones count.
    argv = ["journalctl", "--no-pager", "--output=cat", "--grep=KV cache size|Maximum concurrency", "--lines=4", unit]
    _rc, out, _err = module.run_command(argv)
    return out.splitlines()
