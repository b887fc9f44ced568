# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: unit_network
short_description: Return systemd directives for allowed addresses
description:
  - Returns directives that allow a unit with C(IPAddressDeny=any) to exchange packets with addresses and networks.
  - Write them to a drop-in of the unit. It takes effect on a running service without a restart.
options:
  _input:
    description: IP addresses and networks, or V(any). Empty strings are ignored.
    type: list
    elements: str
    required: true
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Show the directives of a drop-in
  ansible.builtin.debug:
    msg: "{{ ['192.0.2.11', '198.51.100.0/24'] | vllm_ray.cluster.unit_network | join('\n') }}"
"""

RETURN = r"""
_value:
  description: The directives, one per element.
  type: list
  elements: str
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _confinement


def unit_network(networks: t.Iterable[str]) -> list[str]:
    """Return the directives of _confinement. AnsibleFilterError: one of the networks is none."""
    try:
        return _confinement.network_lines(networks)
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    def filters(self) -> dict[str, object]:
        return {"unit_network": unit_network}
