# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: release_recipe
short_description: Return digest and name of the inputs of a release
description:
  - Returns what identifies a release, except the Python of the host. Releases with the same recipe and the same Python
    are identical.
options:
  _input:
    description: Contents of all files that a release is built from, by file name. One of them is C(LOCK.lock).
    type: dict
    required: true
  lock:
    description: Name of the lock.
    type: str
    required: true
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Show the recipe
  ansible.builtin.debug:
    msg: "{{ {'cpu.lock': lookup('ansible.builtin.file', 'cpu.lock', rstrip=false)}
      | vllm_ray.cluster.release_recipe('cpu') }}"
"""

RETURN = r"""
_value:
  description: The recipe.
  type: dict
  contains:
    digest:
      description: SHA-256 of all inputs.
      type: str
    name:
      description: Readable prefix of the ids of its releases.
      type: str
    lock:
      description: Name of the lock.
      type: str
    uv:
      description: Version of uv that builds the release.
      type: str
"""


from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases._release import recipe


class FilterModule:
    def filters(self) -> dict[str, object]:
        return {"release_recipe": recipe}
