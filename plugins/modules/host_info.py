#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_info
short_description: Look at a host, in one call
description:
  - Tells what the plan must know of a host, such as its cluster NIC, GPUs, services, and who listens on its ports.
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
  ports:
    description: Ports that our services use.
    type: list
    elements: int
    default: []
  services:
    description: Names of our units, without C(.service), or programs.
    type: list
    elements: str
    default: []
  manager:
    description: What supervises them.
    type: str
    choices: [systemd, supervisor]
    default: systemd
  supervisor_directory:
    description: Directory of C(supervisord.conf).
    type: path
  supervisor_bin:
    description: Directory of the programs of supervisor.
    type: path
  paths:
    description: Directories whose free space matters. They need not be there yet.
    type: list
    elements: path
    default: []
  record:
    description: File with the record of the last run.
    type: path
  engine_config:
    description: File with the options of C(vllm serve), where an engine may serve on this host.
    type: path
  engine_key_file:
    description: File with the API key.
    type: path
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Look at the host
  vllm_ray.cluster.host_info:
    peers: [192.0.2.12]
    ports: [6379, 8000]
"""

RETURN = r"""
host:
  description: Hostname, machine, kernel, distribution, home and name of the user, PID 1, CPUs, memory in bytes, GPUs,
    free bytes of disks, and the record of the last run.
  returned: always
  type: dict
network:
  description: All addresses, peers without a route, and what the hostname resolves to.
  returned: always
  type: dict
  contains:
    cluster_nic:
      description: The cluster NIC and address, and why these. V(none) if nothing fits.
      returned: always
      type: dict
      sample: {"nic": "eno1", "address": "192.0.2.11", "mtu": 1500, "why": "holds the route to the other hosts"}
engine:
  description: Whether an engine serves on this host, judged by a completion of one token, and why not.
  returned: always
  type: dict
usage:
  description: States of the services, number of GPUs that our node of Ray offers, foreign listeners on the ports,
    foreign Ray daemons.
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils import _host_io

ARGUMENTS = {
    "peers": {"type": "list", "elements": "str", "default": []},
    "nic": {"type": "str"},
    "address": {"type": "str"},
    "ports": {"type": "list", "elements": "int", "default": []},
    "services": {"type": "list", "elements": "str", "default": []},
    "manager": {"type": "str", "choices": ["systemd", "supervisor"], "default": "systemd"},
    "supervisor_directory": {"type": "path"},
    "supervisor_bin": {"type": "path"},
    "paths": {"type": "list", "elements": "path", "default": []},
    "record": {"type": "path"},
    "engine_config": {"type": "path"},
    "engine_key_file": {"type": "path", "no_log": False},
}


def main() -> None:
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    module.exit_json(
        changed=False,
        host=_host_io.host(module),
        network=_host_io.network(module),
        usage=_host_io.usage(module),
        engine=_host_io.engine(module),
    )


if __name__ == "__main__":
    main()
