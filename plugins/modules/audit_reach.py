#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: audit_reach
short_description: Try which ports of hosts can be reached
description:
  - Connects to ports by TCP and closes the connections at once. It sends nothing.
  - Ports are tried 256 at the same time, so the time is bounded.
  - Addresses of the machine that asks are left out, as its own firewall does not see such connections.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
  - vllm_ray.cluster._attributes.action
  - vllm_ray.cluster._attributes.actiongroup_cluster
attributes:
  action:
    support: full
    details:
      - The action plugin fills in O(targets) from what M(vllm_ray.cluster.host_info) and M(vllm_ray.cluster.audit_host)
        registered on each host of the cluster.
options:
  plan:
    description: What M(vllm_ray.cluster.plan) returned. For the action plugin alone.
    type: dict
    default: {}
  peer:
    description: Whether the task's own host asks, which leaves itself out. For the action plugin alone.
    type: bool
    default: true
  look:
    description: Name of the variable in which each host's look was registered. For the action plugin alone.
    type: str
    default: __vllm_ray_look
  inside:
    description:
      - Name of the variable in which M(vllm_ray.cluster.audit_host) was registered. For the action plugin alone.
    type: str
    default: __vllm_ray_audit_host
  targets:
    description: Hosts to try.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the host.
        type: str
        required: true
      addresses:
        description: Its addresses, IPv4 and IPv6.
        type: list
        elements: str
        required: true
      ports:
        description: TCP ports to try at each address.
        type: list
        elements: int
        required: true
  timeout:
    description: Seconds after which a port without an answer counts as closed.
    type: float
    default: 2.0
seealso:
  - module: vllm_ray.cluster.audit
  - module: vllm_ray.cluster.network_check
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Try what a stranger reaches
  vllm_ray.cluster.audit_reach:
    plan: "{{ planned }}"
    peer: false
  run_once: true
  delegate_to: localhost
  register: outside
"""

RETURN = r"""
hosts:
  description: What was found of each host.
  returned: always
  type: dict
  contains:
    asked:
      description: How many pairs of address and port were tried.
      type: int
    answered:
      description: How many of them the host answered, by accepting or refusing the connection.
      type: int
    addresses:
      description: The addresses that were tried.
      type: list
      elements: str
    open:
      description: What is open, each with C(address) and C(port).
      type: list
      elements: dict
    no_route:
      description: Addresses to which there is no route.
      type: list
      elements: str
  sample:
    gpu01:
      asked: 2
      answered: 1
      addresses: [192.0.2.11]
      open: [{address: 192.0.2.11, port: 22}]
      no_route: []
own:
  description: Addresses that are the machine's own, which were left out.
  returned: always
  type: list
  elements: str
  sample: []
sources:
  description: The address from which the machine talks to each address, empty where it has no route.
  returned: always
  type: dict
  sample: {"192.0.2.11": "192.0.2.1"}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils._reach_io import look

TARGET = {
    "name": {"type": "str", "required": True},
    "addresses": {"type": "list", "elements": "str", "required": True},
    "ports": {"type": "list", "elements": "int", "required": True},
}
ARGUMENTS = {
    "plan": {"type": "dict", "default": {}},
    "peer": {"type": "bool", "default": True},
    "look": {"type": "str", "default": "__vllm_ray_look"},
    "inside": {"type": "str", "default": "__vllm_ray_audit_host"},
    "targets": {"type": "list", "elements": "dict", "default": [], "options": TARGET},
    "timeout": {"type": "float", "default": 2.0},
}


def main() -> None:
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    module.exit_json(changed=False, **look(module.params["targets"], module.params["timeout"]))


if __name__ == "__main__":
    main()
