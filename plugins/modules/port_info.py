#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: port_info
short_description: Gather facts about TCP ports of a host
description:
  - Returns the processes that listen on ports, and the ports that cannot be bound.
  - To test a port, the module binds it for a moment. No client can connect to it meanwhile.
  - Reads listeners from C(/proc/net). Root sees all processes. Other users see only their own processes, and the users
    of all listeners.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
options:
  ports:
    description: Ports to check. If empty, all ports with a listener.
    type: list
    elements: int
    default: []
  address:
    description: Address on which the module tries to bind the ports.
    type: str
    default: 0.0.0.0
seealso:
  - module: vllm_ray.cluster.host_info
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Check two ports
  vllm_ray.cluster.port_info:
    ports: [6379, 8000]
    address: 192.0.2.11
"""

RETURN = r"""
listeners:
  description: Listening processes, with port, address, pid, process, user and unit. If they are not visible, the pid is
    0, and process and unit are empty.
  returned: always
  type: list
  elements: dict
  sample:
    - {"port": 22, "address": "0.0.0.0", "pid": 811, "process": "sshd", "user": "root", "unit": "ssh.service"}
bind_errors:
  description: Those of O(ports) that cannot be bound, with port, address and error.
  returned: always
  type: list
  elements: dict
  sample: [{"port": 6379, "address": "192.0.2.11", "error": "Address already in use"}]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils._net import _port_io

ARGUMENTS = {
    "ports": {"type": "list", "elements": "int", "default": []},
    "address": {"type": "str", "default": "0.0.0.0"},
}


def main() -> None:
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    try:
        found = _port_io.look(module.params["ports"], module.params["address"])
    except OSError as error:
        module.fail_json(msg=f"{error.filename}: {error.strerror}")
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
