#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bundle_install
short_description: Check files that the controller sent, and install them
description:
  - Part of M(vllm_ray.cluster.bundle_copy) that runs on the host. M(vllm_ray.cluster.bundle_copy) calls it before and
    after it sends the files.
  - A file is installed only if its SHA-256 matches. After an interrupted run, staged files are not sent again.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.actiongroup_cluster
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: The files are binary.
  idempotent:
    support: full
options:
  step:
    description: V(stage) returns which files to send and where. V(install) checks and installs them.
    type: str
    choices: [stage, install]
    required: true
  path:
    description: Target directory.
    type: path
    required: true
  files:
    description: Files to install.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Path of the file, relative to O(path).
        type: str
        required: true
      size:
        description: Size in bytes.
        type: int
        required: true
      sha256:
        description: SHA-256 of the content.
        type: str
        required: true
      mode:
        description: File mode, as a decimal number.
        type: int
        required: true
  account:
    description: User id of the account that sends files. If the module runs as root, it allows this account to write to
      the staging directory.
    type: int
    default: 0
seealso:
  - module: vllm_ray.cluster.bundle_copy
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: List the files to send
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
  description: Staging directory to send files to.
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
  description: Paths of files whose content does not match.
  returned: success
  type: list
  elements: str
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _safe_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases._bring_io import Bring

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
