# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: shell_environment
short_description: Format environment variables as shell assignments
description:
  - Returns one line C(NAME='value') for each variable, quoted and sorted by name.
  - Fails if a name is not a valid name of a shell variable.
options:
  _input:
    description: Environment variables.
    type: dict
    required: true
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Show the lines
  ansible.builtin.debug:
    msg: "{{ {'A': 'b c'} | vllm_ray.cluster.shell_environment }}"
"""

RETURN = r"""
_value:
  description: The lines, each terminated by a line feed.
  type: str
"""

import re
import shlex

from ansible.errors import AnsibleFilterError


def shell_environment(variables: dict[str, object]) -> str:
    """Return the variables as lines of a shell script. AnsibleFilterError: a name would be something else there."""
    unfit = [name for name in variables if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", str(name))]
    if unfit or any("\0" in str(value) for value in variables.values()):
        raise AnsibleFilterError(
            f"{(unfit or ['a value with a NUL'])[0]!r} can't stand in an environment: names are of letters, digits and "
            "'_', the first no digit"
        )
    return "".join(f"{name}={shlex.quote(str(variables[name]))}\n" for name in sorted(variables))


class FilterModule:
    def filters(self) -> dict[str, object]:
        return {"shell_environment": shell_environment}
