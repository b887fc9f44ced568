# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: systemd_value
short_description: Escape a value for a systemd unit
description:
  - Doubles C(%), because it starts a specifier in most settings.
  - With O(quoted=true), quotes the value as one word, such as the path of a program in C(ExecStart).
  - Fails if the value has a control character, because that would start a new line or setting.
options:
  _input:
    description: The value.
    type: str
    required: true
  quoted:
    description: Whether systemd splits the setting into words.
    type: bool
    default: false
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Show a setting of a unit
  ansible.builtin.debug:
    msg: "ExecStart={{ path | vllm_ray.cluster.systemd_value(quoted=true) }}"
"""

RETURN = r"""
_value:
  description: The escaped value, for one setting of a unit.
  type: str
"""

import re

from ansible.errors import AnsibleFilterError


def systemd_value(value: object, quoted: bool = False) -> str:
    """Return a value for a setting of a unit. AnsibleFilterError: systemd can't read it back as it is."""
    text = str(value)
    if not text.isprintable() or text != text.strip() or text.endswith("\\"):
        raise AnsibleFilterError(
            f"{text!r} can't stand in a unit of systemd: it has a control character, a space at an end or a backslash "
            "at its end"
        )
    if quoted and re.search(r"[\"'\\]", text):
        raise AnsibleFilterError(f"{text!r} can't be a program in a unit of systemd: it has a quote or a backslash")
    text = text.replace("%", "%%")
    return f'"{text}"' if quoted else text


class FilterModule:
    def filters(self) -> dict[str, object]:
        return {"systemd_value": systemd_value}
