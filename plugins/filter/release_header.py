# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: release_header
short_description: First line of a lock that is kept
description:
  - Returns the line by which a lock that was resolved from requirements tells what it was resolved from, and for which
    Python. Where the line differs, the lock is no longer that of its requirements.
options:
  _input:
    description: All that the lock is resolved from.
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
- name: Show it
  ansible.builtin.debug:
    msg: "{{ ['my-plugin==1.0'] | vllm_ray.cluster.release_header({'version': '3.11.2', 'machine': 'x86_64'}) }}"
"""

RETURN = r"""
_value:
  description: The line, a comment.
  type: str
"""

import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._requirements import header


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"release_header": header}
