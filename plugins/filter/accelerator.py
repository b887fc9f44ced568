# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: accelerator
short_description: Return what an accelerator needs
description:
  - Returns what an accelerator needs of a host, of a release and of units of systemd.
  - Fails if there is no accelerator of this name.
options:
  _input:
    description: Name of the accelerator, such as V(cuda) or V(cpu).
    type: str
    required: true
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Show the smallest driver
  ansible.builtin.debug:
    msg: "{{ ('cuda' | vllm_ray.cluster.accelerator).min_driver }}"
"""

RETURN = r"""
_value:
  description: What the accelerator needs.
  type: dict
  contains:
    min_driver:
      description: Smallest major version of the driver, V(0) if it needs none.
      type: int
    libraries:
      description: Shared libraries that the host must have.
      type: list
      elements: str
    compiles:
      description: Whether engines compile code when they start.
      type: bool
    space_gib:
      description: Free space that the builder of its release needs, in GiB.
      type: int
    plugin:
      description: Plugin of vLLM that its release contains, empty if it needs none.
      type: str
    wants:
      description: Unit of systemd that loads its drivers, empty if it needs none.
      type: str
    after:
      description: Units of systemd after which services start.
      type: list
      elements: str
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._accelerator import ACCELERATORS


def accelerator(name: object) -> dict[str, object]:
    """Return what an accelerator needs. AnsibleFilterError: there is none of this name."""
    found = ACCELERATORS.get(str(name))
    if found is None:
        raise AnsibleFilterError(f"{name!r} is not an accelerator. Expected: {' or '.join(ACCELERATORS)}")
    return {
        "min_driver": found.min_driver,
        "libraries": list(found.libraries),
        "compiles": found.compiles,
        "space_gib": found.space_gib,
        "plugin": found.plugin,
        "wants": found.wants,
        "after": list(found.after),
    }


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"accelerator": accelerator}
