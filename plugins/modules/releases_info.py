#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: releases_info
short_description: Which releases a host has, and who uses them
description:
  - Lists the releases below O(root) that are complete, with what stands on them. It reads small files and runs nothing,
    unless O(verify) is set.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
options:
  root:
    description: Directory whose C(releases) holds releases.
    type: path
    default: /opt/vllm-ray
  config_root:
    description: Directory whose subdirectories are the configuration of clusters.
    type: path
    default: /etc/vllm-ray
  verify:
    description: Whether to hash every file and compare it with the manifest.
    type: bool
    default: false
seealso:
  - module: vllm_ray.cluster.release_info
  - module: vllm_ray.cluster.release_prune
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: List releases
  vllm_ray.cluster.releases_info:
  register: listed
"""

RETURN = r"""
releases:
  description: The releases, the newest on this host first.
  returned: always
  type: list
  elements: dict
  contains:
    id:
      description: Id of the release.
      returned: always
      type: str
      sample: cpu-vllm0.32.0-py3.11.2-0f3b6c1d2a4e
    directory:
      description: Where it is.
      returned: always
      type: str
      sample: /opt/vllm-ray/releases/cpu-vllm0.32.0-py3.11.2-0f3b6c1d2a4e
    lock:
      description: Name of its lock.
      returned: always
      type: str
      sample: cpu
    versions:
      description: Versions of vllm, ray, torch, transformers and, in an environment for NVIDIA GPUs, nccl.
      returned: always
      type: dict
      sample: {"vllm": "0.32.0", "ray": "2.60.0"}
    python:
      description: The interpreter that it stands on.
      returned: always
      type: dict
      sample: {"version": "3.11.2", "path": "/usr/bin/python3.11", "machine": "x86_64", "managed": false}
    manifest:
      description: SHA-256 of the manifest. Hosts with the same have the same release to the byte.
      returned: always
      type: str
      sample: 5f2c3b0e
    bytes:
      description: Size of all files.
      returned: always
      type: int
      sample: 3900000000
    since:
      description: When it was built here, or came here, in seconds since 1970.
      returned: always
      type: int
      sample: 1795300000
    damaged:
      description: How files differ from the manifest. Empty without O(verify).
      returned: always
      type: list
      elements: str
      sample: []
    current_of:
      description: Clusters whose link C(current) leads to it.
      returned: always
      type: list
      elements: str
      sample: [default]
    previous_of:
      description: Clusters whose link C(previous) leads to it, so that they can be rolled back to it.
      returned: always
      type: list
      elements: str
      sample: []
    named_by:
      description: Clusters that have files which name it. Their services stand on it, or will when they start.
      returned: always
      type: list
      elements: str
      sample: [default]
    processes:
      description: How many processes name it in their command lines.
      returned: always
      type: int
      sample: 12
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils import _releases_io, _safe_io

ARGUMENTS = {
    "root": {"type": "path", "default": "/opt/vllm-ray"},
    "config_root": {"type": "path", "default": "/etc/vllm-ray"},
    "verify": {"type": "bool", "default": False},
}


def main() -> None:
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    params = module.params
    with _safe_io.reported(module):
        found = _releases_io.look(params["root"], params["config_root"], params["verify"])
    module.exit_json(changed=False, releases=found)


if __name__ == "__main__":
    main()
