#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: model_install
short_description: Bring staged files to their places in a model directory
description:
  - The part of M(vllm_ray.cluster.model_copy) that runs on the host. Other ways to bring files can use it too.
  - Files are staged under their SHA-256, checked, and moved by renames. A new directory appears as a whole.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.actiongroup_cluster
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: M(vllm_ray.cluster.model_copy) shows what changes.
  idempotent:
    support: partial
    details: It does what it is told; M(vllm_ray.cluster.model_manifest) says what there is to do.
options:
  path:
    description: Absolute path of the model directory.
    type: path
    required: true
  step:
    description: V(stage) makes the staging directory, V(install) moves what is in it.
    type: str
    choices: [stage, install]
    required: true
  files:
    description: Files to bring, as in RV(vllm_ray.cluster.model_manifest#module:to_copy).
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Path in the directory.
        type: str
        required: true
      size:
        description: Size in bytes.
        type: int
        required: true
      sha256:
        description: SHA-256 in hexadecimal digits.
        type: str
        required: true
  remove:
    description: Paths in the directory of files to remove.
    type: list
    elements: str
    default: []
  user:
    description: Name or number of the account that writes to the staging directory. Needed for O(step=stage).
    type: str
  record_directory:
    description: Directory of the records of manifests.
    type: path
    default: /var/lib/vllm-ray/manifests
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Make the staging directory
  vllm_ray.cluster.model_install:
    path: /data/models/Qwen3-32B
    step: stage
    user: deploy
    files: "{{ result.to_copy }}"
"""

RETURN = r"""
staging:
  description: The staging directory.
  returned: for O(step=stage)
  type: str
held:
  description: SHA-256 of the files that it holds already.
  returned: for O(step=stage)
  type: list
  elements: str
bad:
  description: SHA-256 of the files that are missing there or have other content. Then nothing is moved.
  returned: for O(step=install)
  type: list
  elements: str
digest:
  description: Digest of the directory, empty if nothing was moved.
  returned: for O(step=install)
  type: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils import _install_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._manifest import parse_entries
from ansible_collections.vllm_ray.cluster.plugins.module_utils._manifest_io import Unusable

FILE = {
    "path": {"type": "str", "required": True},
    "size": {"type": "int", "required": True},
    "sha256": {"type": "str", "required": True},
}
ARGUMENTS = {
    "path": {"type": "path", "required": True},
    "step": {"type": "str", "choices": ["stage", "install"], "required": True},
    "files": {"type": "list", "elements": "dict", "default": [], "options": FILE},
    "remove": {"type": "list", "elements": "str", "default": []},
    "user": {"type": "str"},
    "record_directory": {"type": "path", "default": "/var/lib/vllm-ray/manifests"},
}


def perform(params: t.Mapping[str, t.Any], dry: bool) -> dict[str, t.Any]:
    """Do one step and return its results."""
    files = parse_entries(params["files"])
    if params["step"] == "stage":
        staging, held = _install_io.stage(params["path"], files, params["user"]) if not dry else ("", [])
        return {"changed": True, "staging": staging, "held": held}
    staging = _install_io.staging_of(params["path"])
    bad = _install_io.check(staging, files) if not dry else []
    if bad or dry:
        return {"changed": dry, "bad": bad, "digest": ""}
    digest = _install_io.install(params["path"], files, params["remove"], params["record_directory"])
    return {"changed": True, "bad": bad, "digest": digest}


def main() -> None:
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True, required_if=[("step", "stage", ["user"])])
    try:
        module.exit_json(**perform(module.params, module.check_mode))
    except (Unusable, OSError) as error:
        module.fail_json(msg=f"{module.params['path']}: {error}")


if __name__ == "__main__":
    main()
