# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: sudoers_value
short_description: Escape a value for a sudoers file
description:
  - Escapes spaces, C(,), C(:), C(=), C(#) and backslashes with a backslash.
  - Fails if the value has a control character, or a character that cannot be escaped in the path of a command, such as
    C(*).
  - Also fails if sudo would read the value as a number or as another kind of group.
options:
  _input:
    description: Value to escape.
    type: str
    required: true
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Show a rule
  ansible.builtin.debug:
    msg: "%{{ group | vllm_ray.cluster.sudoers_value }} ALL=(ALL) ALL"
"""

RETURN = r"""
_value:
  description: The value, escaped as one word of a rule.
  type: str
"""

import re

from ansible.errors import AnsibleFilterError


def sudoers_value(value: object) -> str:
    """Return a word for sudoers. AnsibleFilterError: it would mean something else there, or end the line."""
    text = str(value)
    if not re.fullmatch(r"[\w./\\][\w./@+%~ ,:=#\\-]*", text):
        raise AnsibleFilterError(
            f"{text!r} can't stand in sudoers: expected letters, digits, spaces and any of _ . / @ + % ~ , : = # - and "
            "backslashes, the first a letter, a digit or one of _ . /"
        )
    return re.sub(r"([ ,:=#\\])", r"\\\1", text)


class FilterModule:
    def filters(self) -> dict[str, object]:
        return {"sudoers_value": sudoers_value}
