# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: private
author:
  - The vllm_ray.cluster authors (@vllm-ray)
short_description: Settings of a host that may hold a secret
description:
  - Returns one dictionary with those C(vllm_ray_*) variables of the task's host that may hold a secret, checked and
    with their defaults.
  - It also has what follows from them, C(env) (the environment of Ray and the engine), C(args) (the options of the
    engine) and C(paths) (absolute paths in these options).
  - The plan, which a task returns and Ansible may log, does not have them. Give what this returns only to options with
    C(no_log), and register it nowhere.
options:
  _terms:
    description: Not used.
    type: list
    elements: str
  accelerator:
    description: What the engine computes on.
    type: str
    choices: [cuda, cpu]
    required: true
"""

EXAMPLES = r"""
- name: Make the environment of a node
  vllm_ray.cluster.service_set:
    secret_files:
      - {path: /etc/vllm-ray/default/node.env, mode: "0640", format: environment}
    secrets:
      - "{{ lookup('vllm_ray.cluster.private', accelerator='cuda').env | vllm_ray.cluster.shell_environment }}"
"""

RETURN = r"""
_raw:
  description: One dictionary.
  type: list
  elements: dict
"""

import typing as t

from ansible.plugins.lookup import LookupBase

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils import _private, _settings


class LookupModule(LookupBase):
    """Reads the settings of the host of the task."""

    def run(self, terms: list[str], variables: dict[str, t.Any] | None = None, **kwargs: t.Any) -> list[t.Any]:
        self.set_options(var_options=variables, direct=kwargs)
        known = variables or {}
        settings = _settings.of_host(known["inventory_hostname"], known).values
        return [_private.private(settings, self.get_option("accelerator"))]
