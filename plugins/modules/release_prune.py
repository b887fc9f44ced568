#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release_prune
short_description: Remove unused releases
description:
  - Removes releases below O(root), except those in use and the newest O(keep) of the others.
  - A release is in use if a cluster's link C(current) or C(previous) points to it, if a file of a cluster's
    configuration names it, or if a process has it in its command line.
  - Also removes files that interrupted runs left beside releases more than a day ago. Removes nothing while a release
    is being built.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: A release has thousands of files.
  idempotent:
    support: full
options:
  root:
    description: Directory that contains releases in C(releases).
    type: path
    default: /opt/vllm-ray
  config_root:
    description: Directory whose subdirectories contain the configuration of clusters.
    type: path
    default: /etc/vllm-ray
  record_directory:
    description: Directory with the records of M(vllm_ray.cluster.tree_sync) for releases.
    type: path
    required: true
  keep:
    description: Number of unused releases to keep.
    type: int
    default: 2
  wanted:
    description: Id of a release that is always kept.
    type: str
    default: ''
seealso:
  - module: vllm_ray.cluster.releases_info
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Remove old releases
  vllm_ray.cluster.release_prune:
    record_directory: /opt/vllm-ray/records
    keep: 1
"""

RETURN = r"""
removed:
  description: Ids of the releases that were removed, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample: [cpu-vllm0.31.0-py3.11.2-5f2c3b0e1a2b]
bytes:
  description: Size of their files, in bytes.
  returned: success
  type: int
  sample: 3900000000
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _safe_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases import _releases_io

ARGUMENTS = {
    "root": {"type": "path", "default": "/opt/vllm-ray"},
    "config_root": {"type": "path", "default": "/etc/vllm-ray"},
    "record_directory": {"type": "path", "required": True},
    "keep": {"type": "int", "default": 2},
    "wanted": {"type": "str", "default": ""},
}


def main() -> None:
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    with _safe_io.reported(module):
        module.exit_json(**_releases_io.prune(module.params, dry=module.check_mode))


if __name__ == "__main__":
    main()
