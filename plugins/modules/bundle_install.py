#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bundle_install
short_description: Check files that the controller brought, and give them their names
description:
  - The host's part of M(vllm_ray.cluster.bundle_copy), which calls it and sends the files in between.
  - A file gets to its place when its SHA-256 is right. After a run that broke off, what is staged is not sent again.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.actiongroup_cluster
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: The files are wheels, packages and programs.
  idempotent:
    support: full
options:
  step:
    description: V(stage) tells which files to send where, V(install) checks and places them.
    type: str
    choices: [stage, install]
    required: true
  path:
    description: Directory that gets the files.
    type: path
    required: true
  files:
    description: The files.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Path below O(path).
        type: str
        required: true
      size:
        description: Bytes.
        type: int
        required: true
      sha256:
        description: SHA-256 of the content.
        type: str
        required: true
      mode:
        description: Mode, as a number.
        type: int
        required: true
  account:
    description: Number of the account that sends files. Root lets it write to the staging directory.
    type: int
    default: 0
seealso:
  - module: vllm_ray.cluster.bundle_copy
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: See what to send
  vllm_ray.cluster.bundle_install:
    step: stage
    path: /opt/vllm-ray/packages
    files:
      - path: ufw_0.36.2-1_all.deb
        size: 167940
        sha256: 2c45530751517d6c3bbc69a19473f6effe47cce047bede01ffd8af7ea7b36b25
        mode: 420
"""

RETURN = r"""
staging:
  description: Directory to send files to.
  returned: success
  type: str
  sample: /opt/vllm-ray/packages/.vllm-ray-staging
send:
  description: Paths of the files to send.
  returned: success
  type: list
  elements: str
  sample: [ufw_0.36.2-1_all.deb]
bad:
  description: Paths of files that arrived with other content.
  returned: success
  type: list
  elements: str
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils import _safe_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._bring_io import Bring

FILE = {
    "path": {"type": "str", "required": True},
    "size": {"type": "int", "required": True},
    "sha256": {"type": "str", "required": True},
    "mode": {"type": "int", "required": True},
}
ARGUMENTS = {
    "step": {"type": "str", "choices": ["stage", "install"], "required": True},
    "path": {"type": "path", "required": True},
    "files": {"type": "list", "elements": "dict", "options": FILE, "required": True},
    "account": {"type": "int", "default": 0},
}


def main() -> None:
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    with _safe_io.reported(module):
        module.exit_json(**Bring(module)())


if __name__ == "__main__":
    main()
