#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: audit_reach
short_description: Probe which TCP ports of hosts are reachable
description:
  - Opens TCP connections and closes them at once, without sending data.
  - Probes up to 256 ports in parallel, to limit the total time.
  - Skips addresses of the probing machine, because connections to them bypass its firewall.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
  - vllm_ray.cluster._attributes.action
  - vllm_ray.cluster._attributes.actiongroup_cluster
attributes:
  action:
    support: full
    details:
      - The action plugin sets O(targets) from the registered results of M(vllm_ray.cluster.host_info) and
        M(vllm_ray.cluster.audit_host) on each host of the cluster.
options:
  plan:
    description: Result of M(vllm_ray.cluster.plan). Only for the action plugin.
    type: dict
    default: {}
  peer:
    description: Whether the host of the task is the probing host. It is then excluded from the targets. Only for the
      action plugin.
    type: bool
    default: true
  look:
    description: Name of the variable with each host's registered result of M(vllm_ray.cluster.look). Only for the
      action plugin.
    type: str
    default: __vllm_ray_look
  inside:
    description:
      - Name of the variable with each host's registered result of M(vllm_ray.cluster.audit_host). Only for the action
        plugin.
    type: str
    default: __vllm_ray_audit_host
  targets:
    description: Hosts to probe.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the host.
        type: str
        required: true
      addresses:
        description: Addresses of the host, IPv4 and IPv6.
        type: list
        elements: str
        required: true
      ports:
        description: TCP ports to probe at each address.
        type: list
        elements: int
        required: true
  timeout:
    description: Timeout of a connection in seconds. A port without an answer counts as closed.
    type: float
    default: 2.0
seealso:
  - module: vllm_ray.cluster.audit
  - module: vllm_ray.cluster.network_check
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Probe the ports from outside the cluster
  vllm_ray.cluster.audit_reach:
    plan: "{{ planned }}"
    peer: false
  run_once: true
  delegate_to: localhost
  register: outside
"""

RETURN = r"""
hosts:
  description: Result for each host.
  returned: always
  type: dict
  contains:
    asked:
      description: Number of probed pairs of address and port.
      type: int
    answered:
      description: Number of pairs that the host answered, by accepting or refusing the connection.
      type: int
    addresses:
      description: Probed addresses.
      type: list
      elements: str
    open:
      description: Open ports, each with C(address) and C(port).
      type: list
      elements: dict
    no_route:
      description: Addresses without a route.
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
  description: Skipped addresses of the probing machine itself.
  returned: always
  type: list
  elements: str
  sample: []
sources:
  description: Source address for each probed address. Empty if there is no route.
  returned: always
  type: dict
  sample: {"192.0.2.11": "192.0.2.1"}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils._net._reach_io import look

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
