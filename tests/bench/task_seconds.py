# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the seconds of a run go: ANSIBLE_CALLBACK_PLUGINS=tests/bench ANSIBLE_CALLBACKS_ENABLED=task_seconds."""

from __future__ import annotations

import time
import typing as t

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: task_seconds
type: aggregate
short_description: Print how long each task took
description:
  - Prints a line per task, with seconds from the start of the run to that of the task, seconds of the task,
    how many hosts it ran on, and the seconds of the fastest and of the slowest host.
"""


class Row(t.NamedTuple):
    start: float
    name: str
    begun: dict[str, float]
    taken: list[float]


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "task_seconds"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self.zero = time.monotonic()
        self.rows: list[Row] = []

    def _start(self, name: str) -> None:
        self.rows.append(Row(time.monotonic(), name, {}, []))

    def v2_playbook_on_play_start(self, play: t.Any) -> None:
        self._start(f"PLAY {play.get_name()}")

    def v2_playbook_on_task_start(self, task: t.Any, is_conditional: bool) -> None:
        self._start(task.get_name().strip())

    def v2_runner_on_start(self, host: t.Any, task: t.Any) -> None:
        self.rows[-1].begun[host.get_name()] = time.monotonic()

    def _end(self, result: t.Any) -> None:
        row, name = self.rows[-1], result._host.get_name()
        row.taken.append(time.monotonic() - row.begun.get(name, row.start))

    v2_runner_on_ok = v2_runner_on_failed = v2_runner_on_unreachable = _end

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        self._start("END")
        self._display.display(f"\n{'start':>7} {'s':>6} {'hosts':>5} {'fastest':>7} {'slowest':>7}  task")
        for row, after in zip(self.rows, self.rows[1:] + self.rows[-1:]):
            span = f"{len(row.taken):5} {min(row.taken):7.2f} {max(row.taken):7.2f}" if row.taken else " " * 21
            self._display.display(f"{row.start - self.zero:7.2f} {after.start - row.start:6.2f} {span}  {row.name}")
