# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: release_header
short_description: Return the first line of a resolved lock
description:
  - Returns a comment line that identifies the requirements and the Python from which a lock was resolved. If the line
    of a stored lock differs, the lock must be resolved again.
options:
  _input:
    description: All inputs of the lock, such as requirements.
    type: any
    required: true
  python:
    description: RV(vllm_ray.cluster.release_info#module:python) of the builder.
    type: dict
    required: true
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Show the line
  ansible.builtin.debug:
    msg: "{{ ['my-plugin==1.0'] | vllm_ray.cluster.release_header({'version': '3.11.2', 'machine': 'x86_64'}) }}"
"""

RETURN = r"""
_value:
  description: The comment line.
  type: str
"""


from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases._requirements import header


class FilterModule:
    def filters(self) -> dict[str, object]:
        return {"release_header": header}
