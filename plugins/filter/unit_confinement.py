# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: unit_confinement
short_description: Return systemd directives that confine a service
description:
  - Returns the sandboxing directives of a service of a cluster, for the section C([Service]) of its unit.
  - Fails if a required path cannot be written in a systemd unit.
options:
  _input:
    description:
      - Settings of the service, as in the C(vars) of the role P(vllm_ray.cluster.ray#role).
      - C(steps) = active optional restrictions, out of V(devices), V(network) and V(files).
      - C(accelerator) = V(cuda), V(rocm) or V(cpu).
      - C(config_dir), C(state_dir) = absolute paths of the cluster's directories.
      - C(read_paths), C(write_paths) = additional absolute paths that the service reads or writes.
      - C(env) = environment variables of the service.
    type: dict
    required: true
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Show the directives of a node
  ansible.builtin.debug:
    msg: "{{ facts | vllm_ray.cluster.unit_confinement | join('\n') }}"
"""

RETURN = r"""
_value:
  description: The directives, one per element.
  type: list
  elements: str
"""


from ansible.errors import AnsibleFilterError

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _confinement


def unit_confinement(facts: _confinement.Facts) -> list[str]:
    """Return the directives of _confinement. AnsibleFilterError: a path can't stand in a unit."""
    try:
        return _confinement.confinement(facts)
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    def filters(self) -> dict[str, object]:
        return {"unit_confinement": unit_confinement}
