#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ray_cluster_info
short_description: The node table of a Ray cluster
description:
  - Asks the dashboard of the head for the nodes, their GPUs and what of them is in use.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
options:
  url:
    description: URL of the dashboard, as seen from the host where this runs.
    type: str
    default: http://127.0.0.1:8265
  token_file:
    description:
      - File with the cluster's token.
      - Where O(url) leads to the host where this runs, the token is sent only to a process of the account that owns
        this file. Otherwise RV(why) says who holds the port, and nothing is sent.
      - Where O(url) leads to another host, it goes to whoever answers there, and in plain text if the URL is no HTTPS.
      - Redirects are not followed.
    type: path
    required: true
  seconds:
    description: Seconds until all of each answer must be here.
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
  description: The nodes, each with node_id, address, alive, is_head, gpus and gpus_used.
  returned: always
  type: list
  elements: dict
waiting:
  description: Placement groups that wait for resources.
  returned: always
  type: int
why:
  description: Why there is no answer.
  returned: always
  type: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils._ray_io import look

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
