#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: network_check
short_description: Test the network from this host to all its peers
description:
  - Runs on all hosts of a cluster at the same time. They find one another by their addresses and a token, and test all
    pairs in both directions without any help from the controller.
  - It listens on the ports that the services will use and on a random one, for as long as the call lasts, and only on
    the cluster address. A port that is taken, by a service of ours for example, is left alone, and peers connect to
    what is there without sending it anything.
  - A packet without an answer, a refusal, a link address that nobody answers for, and a missing route are told apart.
  - The largest packet that passes unfragmented is found by UDP packets of up to the NIC's MTU. No privilege is needed.
  - Round trip and transfer rate are measured by one pair after the other, in the rounds of a tournament, so that no
    host has two transfers at a time. The rate is that of one TCP connection.
  - Above 32 hosts, every host is paired with the first one and with some 31 others, which the token chooses.
  - Every wait has an end. A host that never comes costs its peers O(window) seconds.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.wait_module
attributes:
  check_mode:
    support: full
    details: It leaves nothing behind, so it does the same in check mode.
notes:
  - Ansible starts a task on as many hosts at a time as it has forks. Where there are more hosts than forks, run it with
    C(async) and C(poll=0) and gather the results by M(ansible.builtin.async_status); otherwise the last hosts would
    only begin when the first have given up. See the examples.
options:
  hosts:
    description: All hosts of the cluster, this one too; the same list in the same order on all of them.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the host, without spaces.
        type: str
        required: true
      address:
        description: Its cluster address.
        type: str
        required: true
      ports:
        description: Ports that its services use.
        type: list
        elements: int
        default: []
  name:
    description: Which of O(hosts) this one is.
    type: str
    required: true
  token:
    description: Any text that is new for each run and the same on all hosts, so that nothing else is taken for a peer.
    type: str
    required: true
  window:
    description: Seconds that a peer may come later than this host.
    type: float
    default: 10
  measure:
    description:
      - Whether to measure transfer rates. With V(false), as for hosts that serve, a few packets per peer are all
        that is sent.
    type: bool
    default: true
  seconds:
    description: Length of each transfer, more than 0.1.
    type: float
    default: 0.25
  now:
    description:
      - The controller's time in seconds, by which RV(began) and RV(ended) of all hosts can be compared. The clocks of
        hosts cannot be trusted for that.
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
    # Hosts are started in groups of as many as there are forks, some two seconds for each group.
    window: "{{ 10 + 2 * (network_hosts | length / ansible_forks) }}"
    now: "{{ now().timestamp() }}"
  async: "{{ 0 if network_hosts | length <= ansible_forks else 300 }}"
  poll: 0
  register: network_started
  changed_when: false

- name: Gather the results where there are fewer forks than hosts
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
  description: The NIC that has the cluster address.
  returned: success
  type: str
address:
  description: The cluster address.
  returned: success
  type: str
mtu:
  description: The NIC's MTU in bytes.
  returned: success
  type: int
random_port:
  description: The port that was tested beside the pinned ones, on all hosts the same.
  returned: success
  type: int
listened:
  description: Ports that this module listened on.
  returned: success
  type: list
  elements: int
taken:
  description: Ports that it could not listen on, and why.
  returned: success
  type: dict
  sample: {"6379": "Address already in use"}
began:
  description: O(now).
  returned: success
  type: float
ended:
  description: O(now) and the seconds that the test took.
  returned: success
  type: float
complete:
  description: Whether it came to the end of all rounds in time.
  returned: success
  type: bool
peers:
  description: What was found about the way to each peer, by the name of the peer.
  returned: success
  type: dict
  contains:
    ports:
      description:
        - What each port did, by its number.
        - V(open), a peer of this run answered; V(service), something else listens there; V(refused), by the peer or a
          firewall; V(blocked), no answer; V(no answer), nobody on the link answers for the address; V(no route).
      type: dict
      sample: {"6379": "open", "24711": "blocked"}
    heard:
      description: Whether the peer took part at the same time and was heard of, in either direction.
      type: bool
    nic:
      description: NIC by which packets to the peer leave. V(none) where there is no route.
      type: str
    source:
      description: Source address of packets to the peer.
      type: str
    seen_from:
      description: Source address of what came from the peer. V(none) if nothing came.
      type: str
    largest_packet:
      description: Size of the largest IP packet that reached the peer uncut. V(none) where UDP does not pass at all.
      type: int
    told_path_mtu:
      description: Whether a router told this host that larger packets do not pass, so that TCP can heed it.
      type: bool
    rtt_ms:
      description: Median round trip of a short TCP message in milliseconds.
      type: float
    wrong_answer:
      description: What the peer said instead of a size or a rate. Empty where all its answers were of the right form.
      type: str
    gbit_s:
      description:
        - Rate of a transfer to the peer in Gbit/s, in its best 40 ms. V(0.0) if none got through.
        - V(none) if none was tried.
      type: float
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils import _network_io

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
