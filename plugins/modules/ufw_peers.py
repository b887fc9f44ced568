#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ufw_peers
short_description: Keep the rules of ufw for one cluster as a set
description:
  - Lets peers reach everything by the cluster NIC, lets listed clients reach listed ports, and enables ufw.
  - The rules of a cluster carry the comment C(vllm-ray NAME). Rules with exactly this comment that are not wanted are
    removed, wanted ones that are missing are added, and rules of others stay.
  - It never locks SSH out. The port of the present connection, those of C(sshd) and those of O(ssh_ports) are allowed
    before ufw is enabled, unless rules of others are about them.
  - Where enabling ufw would close a port that something listens on, it fails before any change and names port,
    protocol, process and pid, until they are kept by O(keep) or confirmed by O(confirm).
  - Where firewalld or plain nftables or iptables rules filter what comes in, and where no firewall tool is installed,
    it changes nothing and returns a problem.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: The rules of this cluster, as C(ufw status verbose) shows them, and the status.
  idempotent:
    support: full
options:
  cluster:
    description: Name of the cluster.
    type: str
    default: default
  state:
    description:
      - V(absent) removes the rules of the cluster and leaves ufw enabled or disabled as it is. A rule of ours stays
        where ufw is enabled and nothing else lets SSH in.
    type: str
    choices: [present, absent]
    default: present
  mode:
    description:
      - V(manage) keeps the rules and enables ufw, V(rules) only keeps the rules, V(off) does nothing.
    type: str
    choices: [manage, rules, 'off']
    default: manage
  peers:
    description: Addresses or networks, IPv4 or IPv6, of the other hosts of the cluster.
    type: list
    elements: str
    default: []
  interface:
    description: The cluster NIC. Where it is empty, peers may come by any interface.
    type: str
    default: ''
  services:
    description: TCP ports that some clients may reach by any interface.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the service, for messages.
        type: str
        required: true
      ports:
        description: Its TCP ports.
        type: list
        elements: int
        required: true
      clients:
        description: Addresses or networks, or V(any).
        type: list
        elements: str
        required: true
  ssh_ports:
    description: Ports of SSH besides those that are found.
    type: list
    elements: int
    default: []
  keep:
    description:
      - Ports that everybody may reach, like V(9100/tcp), V(9100) or V(6000:6010/udp).
      - V(all) keeps what listens when ufw is enabled, and what was kept so before.
    type: list
    elements: str
    default: []
  confirm:
    description: Whether enabling ufw may close ports that something listens on.
    type: bool
    default: false
seealso:
  - module: community.general.ufw
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Let the cluster talk, and one gateway reach the API
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
  description: Whether ufw is enabled and does what it is told, or would be.
  returned: always
  type: bool
  sample: true
installed:
  description: Whether ufw was installed.
  returned: always
  type: bool
  sample: true
install:
  description: Whether the package C(ufw) has to be installed and this module called again. Never in check mode.
  returned: always
  type: bool
  sample: false
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
  description: Rules that were added or would be.
  returned: always
  type: list
  elements: str
  sample: []
removed:
  description: Rules that were removed or would be.
  returned: always
  type: list
  elements: str
  sample: []
would_close:
  description: What listens and is closed when ufw is enabled. Empty where it is enabled.
  returned: always
  type: list
  elements: dict
  contains:
    port:
      description: Port.
      type: int
    proto:
      description: V(tcp) or V(udp).
      type: str
    process:
      description: Name of the process, empty where the kernel listens.
      type: str
    pid:
      description: Its pid, or 0.
      type: int
  sample: [{"port": 9100, "proto": "tcp", "process": "node_exporter", "pid": 812}]
problems:
  description: What was found and did not stop the module. Each has check, severity, found, wanted and fix.
  returned: always
  type: list
  elements: dict
  sample: []
commands:
  description: What was run to change the host, or would be.
  returned: always
  type: list
  elements: str
  sample: ["ufw --force enable"]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils._ufw_io import Run

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
