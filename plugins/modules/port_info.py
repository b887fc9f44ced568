#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: port_info
short_description: Look at TCP ports of a host
description:
  - Tells who listens on ports, and whether ports can be bound.
  - A port is bound for a moment to find out. Nobody can connect to it meanwhile.
  - Listeners are read from C(/proc/net). Root sees the processes of all, others see their own, and the users of all.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
options:
  ports:
    description: The ports. Default is all that somebody listens on.
    type: list
    elements: int
    default: []
  address:
    description: Address on which the ports are bound.
    type: str
    default: 0.0.0.0
seealso:
  - module: vllm_ray.cluster.host_info
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Look at two ports
  vllm_ray.cluster.port_info:
    ports: [6379, 8000]
    address: 192.0.2.11
"""

RETURN = r"""
listeners:
  description: Who listens, with port, address, pid, process, user and unit. The pid is 0, and process
    and unit are empty, where they can't be seen.
  returned: always
  type: list
  elements: dict
  sample:
    - {"port": 22, "address": "0.0.0.0", "pid": 811, "process": "sshd", "user": "root", "unit": "ssh.service"}
bind_errors:
  description: Which of O(ports) can't be bound, with port, address and error.
  returned: always
  type: list
  elements: dict
  sample: [{"port": 6379, "address": "192.0.2.11", "error": "Address already in use"}]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils import _port_io

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
