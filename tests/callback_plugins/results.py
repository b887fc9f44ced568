# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: results
type: notification
short_description: Write everything that tasks return to a file, as callbacks for JSON and recorders of runs get it
description:
  - Appends one line of JSON for each result to the file that E(RESULTS_FILE) names.
"""

import json
import os
import typing as t

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    """Writes results as they are."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "results"

    def write(self, result: t.Any) -> None:
        line = {"host": result._host.get_name(), "task": str(result._task), "result": result._result}
        with open(os.environ["RESULTS_FILE"], "a", encoding="utf-8") as stream:
            stream.write(json.dumps(line, default=str) + "\n")

    def v2_runner_on_ok(self, result: t.Any) -> None:
        self.write(result)

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        self.write(result)

    def v2_runner_on_unreachable(self, result: t.Any) -> None:
        self.write(result)

    def v2_runner_on_async_poll(self, result: t.Any) -> None:
        self.write(result)

    def v2_runner_item_on_ok(self, result: t.Any) -> None:
        self.write(result)

    def v2_runner_item_on_failed(self, result: t.Any) -> None:
        self.write(result)
