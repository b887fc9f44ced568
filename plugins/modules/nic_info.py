#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nic_info
short_description: Look at the NICs of a host, and choose the cluster NIC
description:
  - Tells what a host's NICs and RDMA devices are, how it reaches its peers, which NIC is the cluster NIC, and why
    the others are not.
  - Addresses and routes are asked of the kernel by rtnetlink, as C(ip) does; nothing has to be installed.
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
    description: Name of the cluster NIC, where it is not the one with the route to the peers.
    type: str
  address:
    description: Cluster address, where it is not the cluster NIC's first.
    type: str
seealso:
  - module: vllm_ray.cluster.host_info
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Look at the NICs
  vllm_ray.cluster.nic_info:
    peers: [192.0.2.12, 192.0.2.13]
"""

RETURN = r"""
cluster_nic:
  description: The cluster NIC and address, and why these. V(none) if nothing fits.
  returned: always
  type: dict
  sample: {"nic": "eno1", "address": "192.0.2.11", "mtu": 1500, "why": "holds the route to the other hosts"}
why_not:
  description: Why each other NIC is not the cluster NIC. NICs made by software that have no address are left out.
  returned: always
  type: dict
  sample: {"docker0": "virtual", "eno2": "down"}
addresses:
  description: All addresses but those of loopback and link, with nic, address and whether the NIC is up.
  returned: always
  type: list
  elements: dict
nics:
  description: The NICs.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      returned: always
      type: str
    kind:
      description: What it is.
      returned: always
      type: str
      choices: [physical, infiniband, bond, vlan, bridge, virtual, loopback]
    up:
      description: Whether it is up.
      returned: always
      type: bool
    mtu:
      description: Its MTU, in bytes.
      returned: always
      type: int
    speed:
      description: Its speed in Mbit/s, V(none) where it does not tell.
      returned: always
      type: int
    driver:
      description: Its driver.
      returned: always
      type: str
    rdma:
      description: RDMA devices that are the same hardware.
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
      description: Its RDMA device.
      returned: always
      type: str
      sample: mlx5_0
    port:
      description: Its number.
      returned: always
      type: int
    state:
      description: Its logical state.
      returned: always
      type: str
      sample: ACTIVE
    physical:
      description: Its physical state.
      returned: always
      type: str
      sample: LinkUp
    link_layer:
      description: V(InfiniBand), or V(Ethernet) for RoCE.
      returned: always
      type: str
    rate:
      description: Its rate in Gbit/s.
      returned: always
      type: float
    nics:
      description: NICs that are the same hardware.
      returned: always
      type: list
      elements: str
    gids:
      description: Its GIDs, with index, gid, kind (V(IB/RoCE v1) or V(RoCE v2)) and nic.
      returned: always
      type: list
      elements: dict
routes:
  description: How the host reaches each peer, with peer, address, nic, source, and gateway, which is empty where the
    peer is on the same link.
  returned: always
  type: list
  elements: dict
peers_without_route:
  description: Peers whose names or routes are not known.
  returned: always
  type: list
  elements: str
hostname_address:
  description: The address of the host's own name.
  returned: always
  type: str
rdma_missing:
  description: What RDMA needs and is not there, where there is an RDMA device. A package is named as in Debian.
  returned: always
  type: list
  elements: str
  sample: [libibverbs1]
error:
  description: Why addresses and routes are not known, empty where they are.
  returned: always
  type: str
  sample: Permission denied
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils import _nic_io

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
