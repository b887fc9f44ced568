#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ufw_peers
short_description: Manage the ufw rules of one cluster
description:
  - Allows peers to reach all ports through the cluster NIC, allows listed clients to reach listed ports, and enables
    ufw.
  - The rules of a cluster have the comment C(vllm-ray NAME). The module adds missing rules, removes outdated rules with
    exactly this comment, and keeps all other rules.
  - SSH stays reachable. The ports of the current connection, of C(sshd) and of O(ssh_ports) are allowed before ufw is
    enabled, unless other rules cover them.
  - If enabling ufw would close a port with a listener, the module fails before any change and names port, protocol,
    process and pid. Use O(keep) to keep the port open, or O(confirm) to let it close.
  - If firewalld, or plain nftables or iptables rules filter incoming traffic, or if no firewall tool is installed, it
    changes nothing and returns a problem.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: The diff shows the rules of this cluster and the status, as in C(ufw status verbose).
  idempotent:
    support: full
options:
  cluster:
    description: Name of the cluster.
    type: str
    default: default
  state:
    description:
      - V(absent) removes the rules of the cluster. It does not enable or disable ufw. A rule of the cluster stays if
        ufw is enabled and no other rule allows SSH.
    type: str
    choices: [present, absent]
    default: present
  mode:
    description:
      - V(manage) maintains the rules and enables ufw. V(rules) only maintains the rules. V(off) does nothing.
    type: str
    choices: [manage, rules, 'off']
    default: manage
  peers:
    description: Addresses or networks, IPv4 or IPv6, of the other hosts of the cluster.
    type: list
    elements: str
    default: []
  interface:
    description: Name of the cluster NIC. If empty, peers may connect through any interface.
    type: str
    default: ''
  services:
    description: TCP ports that listed clients may reach through any interface.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the service, for messages.
        type: str
        required: true
      ports:
        description: TCP ports of the service.
        type: list
        elements: int
        required: true
      clients:
        description: Addresses or networks that may reach the ports, or V(any).
        type: list
        elements: str
        required: true
  ssh_ports:
    description: SSH ports to keep open, in addition to those detected on the host.
    type: list
    elements: int
    default: []
  keep:
    description:
      - Ports that stay open to everybody, such as V(9100/tcp), V(9100) or V(6000:6010/udp).
      - V(all) keeps all ports that have a listener when ufw is enabled, and ports that it kept before.
    type: list
    elements: str
    default: []
  confirm:
    description: Whether enabling ufw may close ports on which programs listen.
    type: bool
    default: false
seealso:
  - module: community.general.ufw
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Allow traffic in the cluster and from one gateway to the API
  vllm_ray.cluster.ufw_peers:
    peers:
      - 192.0.2.12
      - 192.0.2.13
    interface: eno1
    services:
      - name: api
        ports: [8000]
        clients: [198.51.100.0/24]
    keep:
      - 9100/tcp
"""

RETURN = r"""
active:
  description: Whether ufw is enabled and effective, or would be in check mode.
  returned: always
  type: bool
  sample: true
installed:
  description: Whether ufw was installed.
  returned: always
  type: bool
  sample: true
install:
  description: Whether RV(packages) must be installed and the module called again. Always V(false) in check mode.
  returned: always
  type: bool
  sample: false
packages:
  description: Packages that the firewall tool needs.
  returned: always
  type: list
  elements: str
  sample: [ufw]
mode:
  description: The value of O(mode).
  returned: always
  type: str
  sample: manage
rules:
  description: The rules of the cluster, as C(ufw status verbose) shows them.
  returned: always
  type: list
  elements: str
  sample: ["Anywhere on eno1           ALLOW IN    192.0.2.12                 # vllm-ray default"]
added:
  description: Rules that were added, or would be in check mode.
  returned: always
  type: list
  elements: str
  sample: []
removed:
  description: Rules that were removed, or would be in check mode.
  returned: always
  type: list
  elements: str
  sample: []
would_close:
  description: Ports with a listener that would be closed when ufw is enabled. Empty if it is already enabled.
  returned: always
  type: list
  elements: dict
  contains:
    port:
      description: Port number.
      type: int
    proto:
      description: V(tcp) or V(udp).
      type: str
    process:
      description: Name of the process, empty if the kernel listens.
      type: str
    pid:
      description: Process id, or 0.
      type: int
  sample: [{"port": 9100, "proto": "tcp", "process": "node_exporter", "pid": 812}]
problems:
  description: Problems that did not stop the module. Each has check, severity, found, wanted and fix.
  returned: always
  type: list
  elements: dict
  sample: []
commands:
  description: Commands that changed the host, or would be run.
  returned: always
  type: list
  elements: str
  sample: ["ufw --force enable"]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall._manage_io import Run

SERVICE = {
    "name": {"type": "str", "required": True},
    "ports": {"type": "list", "elements": "int", "required": True},
    "clients": {"type": "list", "elements": "str", "required": True},
}
ARGUMENTS = {
    "cluster": {"type": "str", "default": "default"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "mode": {"type": "str", "choices": ["manage", "rules", "off"], "default": "manage"},
    "peers": {"type": "list", "elements": "str", "default": []},
    "interface": {"type": "str", "default": ""},
    "services": {"type": "list", "elements": "dict", "default": [], "options": SERVICE},
    "ssh_ports": {"type": "list", "elements": "int", "default": []},
    "keep": {"type": "list", "elements": "str", "default": []},
    "confirm": {"type": "bool", "default": False},
}


def main() -> None:
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    module.exit_json(**Run(module)())


if __name__ == "__main__":
    main()
