# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: private
author:
  - The vllm_ray.cluster authors (@vllm-ray)
short_description: Read settings of a host that may contain secrets
description:
  - Returns one dictionary with the C(vllm_ray_*) variables of the task's host that may contain secrets. The variables
    are validated, and unset ones have their defaults.
  - It also has derived values. C(env) is the environment of Ray and the engine, C(args) the options of the engine, and
    C(paths) the absolute paths in these options.
  - The plan does not contain these values, because Ansible may log it. Pass them only to options with C(no_log), and do
    not register them.
options:
  _terms:
    description: Not used.
    type: list
    elements: str
  accelerator:
    description: Type of device that the engine runs on.
    type: str
    choices: [cuda, cpu]
    required: true
"""

EXAMPLES = r"""
- name: Write the environment of a node
  vllm_ray.cluster.service_set:
    secret_files:
      - {path: /etc/vllm-ray/default/node.env, mode: "0640", format: environment}
    secrets:
      - "{{ lookup('vllm_ray.cluster.private', accelerator='cuda').env | vllm_ray.cluster.shell_environment }}"
"""

RETURN = r"""
_raw:
  description: List with one dictionary.
  type: list
  elements: dict
"""

import typing as t

from ansible.plugins.lookup import LookupBase

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._accelerator import ACCELERATORS
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _private, _settings

if t.TYPE_CHECKING:
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import TaskVariables


class LookupModule(LookupBase):
    """Reads the settings of the host of the task."""

    def run(self, terms: list[str], variables: TaskVariables | None = None, **kwargs: object) -> list[object]:
        self.set_options(var_options=variables, direct=kwargs)
        known: TaskVariables = variables or {}
        settings = _settings.of_host(known["inventory_hostname"], known).values
        return [_private.private(settings, ACCELERATORS[self.get_option("accelerator")])]
