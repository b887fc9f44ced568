#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ray_cluster_info
short_description: Read the node table of a Ray cluster
description:
  - Queries the dashboard of the head for the nodes, their GPUs and the GPUs in use.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
options:
  url:
    description: URL of the dashboard, as seen from the host that runs the module.
    type: str
    default: http://127.0.0.1:8265
  token_file:
    description:
      - File with the cluster's token.
      - If O(url) points to the host that runs the module, the token is sent only to a process of the account that owns
        this file. Otherwise nothing is sent, and RV(why) shows the owner of the port.
      - If O(url) points to another host, it is sent to any program that answers there, in plain text unless the URL is
        HTTPS.
      - Redirects are not followed.
    type: path
    required: true
  seconds:
    description: Timeout of each complete answer, in seconds.
    type: int
    default: 10
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Read the node table on the head
  vllm_ray.cluster.ray_cluster_info:
    token_file: /etc/vllm-ray/default/ray.token
"""

RETURN = r"""
exists:
  description: Whether the dashboard answered.
  returned: always
  type: bool
nodes:
  description: Nodes, each with node_id, address, alive, is_head, gpus and gpus_used.
  returned: always
  type: list
  elements: dict
waiting:
  description: Number of placement groups that wait for resources.
  returned: always
  type: int
why:
  description: Why there is no answer. Empty if there is one.
  returned: always
  type: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine._ray_io import look

ARGUMENTS = {
    "url": {"type": "str", "default": "http://127.0.0.1:8265"},
    "token_file": {"type": "path", "required": True, "no_log": False},
    "seconds": {"type": "int", "default": 10},
}


def main() -> None:
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    found = look(module.params["url"], module.params["token_file"], module.params["seconds"])
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
