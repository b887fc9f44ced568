#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tree_progress
short_description: Show the progress of a tree transfer on all hosts
description:
  - While M(vllm_ray.cluster.tree_sync) runs in the background, the action plugin of this name queries one host for the
    progress of all hosts. It shows the progress every 10 to 30 seconds until all transfers have ended.
  - It does not return the results of the transfer. Use M(ansible.builtin.async_status) for them.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
  - vllm_ray.cluster._attributes.action
options:
  path:
    description: Path of the tree.
    type: path
    required: true
  token:
    description: Token of the run, as in M(vllm_ray.cluster.tree_sync).
    type: str
    required: true
  record_directory:
    description: Directory for records, as in M(vllm_ray.cluster.tree_sync).
    type: path
    default: /var/lib/vllm-ray/trees
  title:
    description: Name of the tree in messages.
    type: str
    default: tree
  timeout:
    description: Maximum time to wait, in seconds.
    type: float
    default: 86400
seealso:
  - module: vllm_ray.cluster.tree_sync
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Show the progress
  vllm_ray.cluster.tree_progress:
    path: /opt/vllm-ray/releases/example
    token: "{{ run_token }}"
    title: release
  run_once: true
"""

RETURN = r"""
seconds:
  description: Duration in seconds.
  returned: success
  type: float
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _folders_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees import _tree_io, _tree_sync

ARGUMENTS = {
    "path": {"type": "path", "required": True},
    "token": {"type": "str", "required": True, "no_log": True},
    "record_directory": {"type": "path", "default": "/var/lib/vllm-ray/trees"},
    "title": {"type": "str", "default": "tree"},
    "timeout": {"type": "float", "default": 86400},
}


def main() -> None:
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    said = _tree_io.read_progress(module.params["record_directory"], _folders_io.resolved(module.params["path"]))
    running = said.get("run") == _tree_sync.run_name(module.params["token"])
    module.exit_json(changed=False, running=running, **(said if running else {}))


if __name__ == "__main__":
    main()
