#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: network_check
short_description: Test the network from this host to all its peers
description:
  - Run it on all hosts of a cluster at the same time. The hosts find one another by address and token, and test all
    pairs in both directions without the controller.
  - During the call, it listens on the ports of the services and on a random port, only on the cluster address. A port
    in use, for example by a service of the cluster, is skipped. Peers then connect to the existing listener without
    sending data.
  - Distinguishes no answer, a refused connection, an unanswered link address (ARP or NDP), and a missing route.
  - Finds the largest packet that passes unfragmented with UDP packets up to the NIC's MTU. This needs no privileges.
  - Measures round trip time and transfer rate in rounds, so that each host has only one transfer at a time. The rate is
    that of one TCP connection.
  - With more than 32 hosts, each host tests the first host and about 31 others, selected by the token.
  - All waits are limited. For a host that never starts, the peers wait O(window) seconds.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.wait_module
attributes:
  check_mode:
    support: full
    details: The module leaves nothing on the host, so check mode makes no difference.
notes:
  - Ansible runs a task on at most C(forks) hosts at a time. With more hosts than forks, run it with C(async) and
    C(poll=0), and read the results with M(ansible.builtin.async_status). Otherwise the last hosts start only after the
    first have given up. See the examples.
options:
  hosts:
    description: All hosts of the cluster, including this one. The list must have the same order on all hosts.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the host, without spaces.
        type: str
        required: true
      address:
        description: Cluster address of the host.
        type: str
        required: true
      ports:
        description: Ports of the services on the host.
        type: list
        elements: int
        default: []
  name:
    description: Name of this host in O(hosts).
    type: str
    required: true
  token:
    description: Text that is new for each run and the same on all hosts. It identifies the peers of this run.
    type: str
    required: true
  window:
    description: Seconds that a peer may start later than this host.
    type: float
    default: 10
  measure:
    description:
      - Whether to measure transfer rates. With V(false), only a few packets per peer are sent. Use it for hosts that
        serve.
    type: bool
    default: true
  seconds:
    description: Duration of each transfer in seconds, more than 0.1.
    type: float
    default: 0.25
  now:
    description:
      - Time of the controller in seconds. RV(began) and RV(ended) are based on it, because the clocks of the hosts may
        differ.
    type: float
    default: 0
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Test the network
  vllm_ray.cluster.network_check:
    hosts:
      - {name: gpu01, address: 192.0.2.11, ports: [6379, 8000, 9100]}
      - {name: gpu02, address: 192.0.2.12, ports: [9100]}
    name: "{{ inventory_hostname }}"
    token: "{{ run_id }}"

- name: Test the network between any number of hosts
  vllm_ray.cluster.network_check:
    hosts: "{{ network_hosts }}"
    name: "{{ inventory_hostname }}"
    token: "{{ run_id }}"
    # Hosts start in groups of ansible_forks, about two seconds for each group.
    window: "{{ 10 + 2 * (network_hosts | length / ansible_forks) }}"
    now: "{{ now().timestamp() }}"
  async: "{{ 0 if network_hosts | length <= ansible_forks else 300 }}"
  poll: 0
  register: network_started
  changed_when: false

- name: Read the results if there are fewer forks than hosts
  ansible.builtin.async_status:
    jid: "{{ network_started.ansible_job_id }}"
  register: network_gathered
  until: network_gathered is finished
  delay: 3
  retries: 100
  when: network_started.ansible_job_id is defined
"""

RETURN = r"""
nic:
  description: NIC with the cluster address.
  returned: success
  type: str
address:
  description: Cluster address.
  returned: success
  type: str
mtu:
  description: MTU of the NIC, in bytes.
  returned: success
  type: int
random_port:
  description: Port that was tested in addition to those of the services. It is the same on all hosts.
  returned: success
  type: int
listened:
  description: Ports on which this module listened.
  returned: success
  type: list
  elements: int
taken:
  description: Ports on which it could not listen, with the reasons.
  returned: success
  type: dict
  sample: {"6379": "Address already in use"}
began:
  description: O(now).
  returned: success
  type: float
ended:
  description: O(now) plus the duration of the test.
  returned: success
  type: float
complete:
  description: Whether all rounds finished in time.
  returned: success
  type: bool
peers:
  description: Results for the path to each peer, by name of the peer.
  returned: success
  type: dict
  contains:
    ports:
      description:
        - State of each port, by number.
        - V(open) = a peer of this run answered. V(service) = another program listens. V(refused) = the peer or a
          firewall refused the connection. V(blocked) = no answer. V(no answer) = no device on the link answers for the
          address. V(no route) = there is no route.
      type: dict
      sample: {"6379": "open", "24711": "blocked"}
    heard:
      description: Whether any message was exchanged with the peer during the test, in either direction.
      type: bool
    nic:
      description: NIC for packets to the peer. V(none) if there is no route.
      type: str
    source:
      description: Source address of packets to the peer.
      type: str
    seen_from:
      description: Source address of packets from the peer. V(none) if none arrived.
      type: str
    largest_packet:
      description: Size in bytes of the largest IP packet that reached the peer unfragmented. V(none) if UDP does not
        pass at all.
      type: int
    told_path_mtu:
      description: Whether a router reported a smaller path MTU to this host, so that TCP can adapt.
      type: bool
    rtt_ms:
      description: Median round trip time of a short TCP message, in milliseconds.
      type: float
    wrong_answer:
      description: Invalid answer of the peer in place of a size or rate. Empty if all answers were valid.
      type: str
    gbit_s:
      description:
        - Rate of a transfer to the peer in Gbit/s, in its best 40 ms. V(0.0) if no data arrived.
        - V(none) if it was not measured.
      type: float
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils._net import _network_io

HOST = {
    "name": {"type": "str", "required": True},
    "address": {"type": "str", "required": True},
    "ports": {"type": "list", "elements": "int", "default": []},
}
ARGUMENTS = {
    "hosts": {"type": "list", "elements": "dict", "required": True, "options": HOST},
    "name": {"type": "str", "required": True},
    "token": {"type": "str", "required": True, "no_log": True},
    "window": {"type": "float", "default": 10},
    "measure": {"type": "bool", "default": True},
    "seconds": {"type": "float", "default": 0.25},
    "now": {"type": "float", "default": 0},
}


def main() -> None:
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    module.exit_json(changed=False, **_network_io.check(module))


if __name__ == "__main__":
    main()
