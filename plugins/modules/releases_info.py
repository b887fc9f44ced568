#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: releases_info
short_description: List the releases on a host and their users
description:
  - Lists the complete releases below O(root), with the clusters and processes that use them. It reads only small files
    and runs no program, unless O(verify) is set.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
options:
  root:
    description: Directory that contains releases in C(releases).
    type: path
    default: /opt/vllm-ray
  config_root:
    description: Directory whose subdirectories contain the configuration of clusters.
    type: path
    default: /etc/vllm-ray
  verify:
    description: Whether to hash every file and compare the hashes with the manifest.
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
  description: Releases on this host, the newest first.
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
      description: Path of the release.
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
      description: Python interpreter of the release.
      returned: always
      type: dict
      sample: {"version": "3.11.2", "path": "/usr/bin/python3.11", "machine": "x86_64", "managed": false}
    manifest:
      description: SHA-256 of the manifest. Releases with the same hash are identical.
      returned: always
      type: str
      sample: 5f2c3b0e
    bytes:
      description: Size of all files, in bytes.
      returned: always
      type: int
      sample: 3900000000
    since:
      description: Time when it was built on or copied to this host, in seconds since 1970.
      returned: always
      type: int
      sample: 1795300000
    damaged:
      description: Differences between files and the manifest. Empty without O(verify).
      returned: always
      type: list
      elements: str
      sample: []
    current_of:
      description: Clusters whose link C(current) points to it.
      returned: always
      type: list
      elements: str
      sample: [default]
    previous_of:
      description: Clusters whose link C(previous) points to it. They can be rolled back to it.
      returned: always
      type: list
      elements: str
      sample: []
    named_by:
      description: Clusters whose files name it. Their services use it, or will use it at their next start.
      returned: always
      type: list
      elements: str
      sample: [default]
    processes:
      description: Number of processes that have it in their command line.
      returned: always
      type: int
      sample: 12
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _safe_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases import _releases_io

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
