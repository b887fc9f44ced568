# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module that runs no command."""

from __future__ import annotations

from typing import NoReturn


class Failed(Exception):
    """The module ended with fail_json."""


class Module:
    """As much of AnsibleModule as files and services need: it notes commands and answers them from a table."""

    def __init__(self, check_mode: bool = False, answers: dict[str, tuple[int, str, str]] | None = None) -> None:
        self.check_mode = check_mode
        self.answers = answers or {}
        self.commands: list[str] = []

    def run_command(self, argv: list[str], check_rc: bool = False) -> tuple[int, str, str]:
        command = " ".join(argv)
        self.commands.append(command)
        answer = next((value for key, value in self.answers.items() if key in command), (0, "", ""))
        if check_rc and answer[0]:
            self.fail_json(msg=answer[2])
        return answer

    def fail_json(self, msg: str) -> NoReturn:
        raise Failed(msg)
