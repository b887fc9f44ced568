#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nic_info
short_description: Gather facts about the NICs of a host and select the cluster NIC
description:
  - Returns the NICs and RDMA devices of a host, its routes to the peers, the cluster NIC, and why other NICs were not
    selected.
  - Reads addresses and routes from the kernel by rtnetlink, like C(ip). No package is required.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
options:
  peers:
    description: Names or addresses of the other hosts.
    type: list
    elements: str
    default: []
  nic:
    description: Name of the cluster NIC. Default is the NIC with the route to the peers.
    type: str
  address:
    description: Cluster address. Default is the first address of the cluster NIC.
    type: str
seealso:
  - module: vllm_ray.cluster.host_info
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Gather facts about the NICs
  vllm_ray.cluster.nic_info:
    peers: [192.0.2.12, 192.0.2.13]
"""

RETURN = r"""
cluster_nic:
  description: Selected cluster NIC and address, with the reason. V(none) if no NIC is suitable.
  returned: always
  type: dict
  sample: {"nic": "eno1", "address": "192.0.2.11", "mtu": 1500, "why": "holds the route to the other hosts"}
why_not:
  description: Why each other NIC was not selected. Virtual NICs without an address are omitted.
  returned: always
  type: dict
  sample: {"docker0": "virtual", "eno2": "down"}
addresses:
  description: All addresses except loopback and link-local ones, with nic, address and whether the NIC is up.
  returned: always
  type: list
  elements: dict
nics:
  description: NICs of the host.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the NIC.
      returned: always
      type: str
    kind:
      description: Kind of NIC.
      returned: always
      type: str
      choices: [physical, infiniband, bond, vlan, bridge, virtual, loopback]
    up:
      description: Whether the NIC is up.
      returned: always
      type: bool
    mtu:
      description: MTU, in bytes.
      returned: always
      type: int
    speed:
      description: Speed in Mbit/s, V(none) if it is not reported.
      returned: always
      type: int
    driver:
      description: Name of the driver.
      returned: always
      type: str
    rdma:
      description: RDMA devices of the same hardware.
      returned: always
      type: list
      elements: str
rdma:
  description: Ports of the RDMA devices.
  returned: always
  type: list
  elements: dict
  contains:
    device:
      description: RDMA device of the port.
      returned: always
      type: str
      sample: mlx5_0
    port:
      description: Number of the port.
      returned: always
      type: int
    state:
      description: Logical state of the port.
      returned: always
      type: str
      sample: ACTIVE
    physical:
      description: Physical state of the port.
      returned: always
      type: str
      sample: LinkUp
    link_layer:
      description: V(InfiniBand), or V(Ethernet) for RoCE.
      returned: always
      type: str
    rate:
      description: Rate in Gbit/s.
      returned: always
      type: float
    nics:
      description: NICs of the same hardware.
      returned: always
      type: list
      elements: str
    gids:
      description: GIDs of the port, with index, gid, kind (V(IB/RoCE v1) or V(RoCE v2)) and nic.
      returned: always
      type: list
      elements: dict
routes:
  description: Route to each peer, with peer, address, nic, source and gateway. The gateway is empty if the peer is on
    the same link.
  returned: always
  type: list
  elements: dict
peers_without_route:
  description: Peers whose name cannot be resolved or that have no route.
  returned: always
  type: list
  elements: str
hostname_address:
  description: Address that the host's own name resolves to.
  returned: always
  type: str
rdma_missing:
  description: Missing requirements of RDMA, if there is an RDMA device. Packages have their Debian names.
  returned: always
  type: list
  elements: str
  sample: [libibverbs1]
error:
  description: Why addresses and routes are not known. Empty if they are.
  returned: always
  type: str
  sample: Permission denied
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils._net import _nic_io

ARGUMENTS = {
    "peers": {"type": "list", "elements": "str", "default": []},
    "nic": {"type": "str"},
    "address": {"type": "str"},
}


def main() -> None:
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    params = module.params
    module.exit_json(changed=False, **_nic_io.look(params["peers"], params["nic"], params["address"]))


if __name__ == "__main__":
    main()
