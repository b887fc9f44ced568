# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What action plugins show: the one way to the operator's terminal. PRIVATE to the collection.

Names of processes and files and lines of logs are in it, which others choose. Ansible writes a message as it is.
"""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail
from ansible.utils.display import Display

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._plain import plain_lines

if t.TYPE_CHECKING:
    from collections.abc import Mapping

_display = Display()


def show(text: str) -> None:
    """Show a text of one or several lines."""
    _display.display(plain_lines(text))


def warn(text: str) -> None:
    """Show a warning."""
    _display.warning(plain_lines(text))


class ActionFailed(AnsibleActionFail):
    """Ends an action with a message."""

    def __init__(self, message: str) -> None:
        super().__init__(plain_lines(message))


def failure(result: Mapping[str, object], message: str) -> dict[str, object]:
    """Return the result of an action that failed."""
    return {**result, "failed": True, "msg": plain_lines(message)}
