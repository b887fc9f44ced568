# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: supervisor_value
short_description: Check a value for a supervisor configuration
description:
  - Returns the value unchanged. Fails if supervisor would read it differently.
  - Control characters are rejected, because they can start a new line. So are C(;) and C(#) after a space, because they
    start a comment.
  - C(%) is rejected, because it starts an expansion. Supervisor expands some settings once and others twice, so C(%)
    cannot be escaped.
options:
  _input:
    description: The value.
    type: str
    required: true
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Show a setting of a program
  ansible.builtin.debug:
    msg: "command={{ path | quote | vllm_ray.cluster.supervisor_value }}"
"""

RETURN = r"""
_value:
  description: The unchanged value, for one setting of a section.
  type: str
"""

import re

from ansible.errors import AnsibleFilterError


def supervisor_value(value: object) -> str:
    """Return a value for supervisor's configuration. AnsibleFilterError: supervisor would not read it as it is."""
    text = str(value)
    if not text.isprintable() or text != text.strip() or re.search(r"(^|\s)[;#]|%", text):
        raise AnsibleFilterError(
            f"{text!r} can't stand in the configuration of supervisor: it has a control character, '%', a space at an "
            "end, or ';' or '#' after a space"
        )
    return text


class FilterModule:
    def filters(self) -> dict[str, object]:
        return {"supervisor_value": supervisor_value}
