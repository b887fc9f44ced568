# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: run_token
author:
  - The vllm_ray.cluster authors (@vllm-ray)
short_description: Return the token of a transfer or a check between hosts
description:
  - Returns the token with which the hosts of a transfer or check authenticate each other. It is derived from the name
    and a secret of the present run, so no task has to return it.
  - Pass it only to options with C(no_log).
options:
  _terms:
    description: Names of transfers or checks, such as RV(vllm_ray.cluster.transfer_plan#module:run).
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Copy missing files from other hosts
  vllm_ray.cluster.tree_sync:
    path: /var/lib/vllm-ray/models/demo
    name: "{{ inventory_hostname }}"
    hosts: "{{ transfer.hosts }}"
    digest: "{{ source.digest }}"
    token: "{{ lookup('vllm_ray.cluster.run_token', transfer.run) }}"
"""

RETURN = r"""
_raw:
  description: One token for each name.
  type: list
  elements: str
"""


from ansible.plugins.lookup import LookupBase

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base import _run_io


class LookupModule(LookupBase):
    """Derives tokens from the secret of the run."""

    def run(self, terms: list[str], variables: dict[str, object] | None = None, **kwargs: object) -> list[str]:
        self.set_options(var_options=variables, direct=kwargs)
        return [_run_io.token(term) for term in terms]
