#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: model_install
short_description: Create a model directory from files that the controller sent
description:
  - Part of M(vllm_ray.cluster.model_copy) that runs on the host.
  - The files arrive in a staging directory, are checked, and moved by renames. A new directory appears only when it is
    complete.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.actiongroup_cluster
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: M(vllm_ray.cluster.model_changes) shows the changes.
  idempotent:
    support: partial
    details: It always runs the given step. M(vllm_ray.cluster.model_manifest) finds out whether it is needed.
options:
  path:
    description: Absolute path of the model directory.
    type: path
    required: true
  step:
    description: V(stage) creates the staging directory. V(install) creates the model directory from its content.
    type: str
    choices: [stage, install]
    required: true
  files:
    description: Files to send, with their sizes in bytes. Required for O(step=stage).
    type: dict
  user:
    description: Name or number of the account that writes to the staging directory.
    type: str
    required: true
  digest:
    description: Digest of the model, whose manifest is in the staging directory. Required for O(step=install).
    type: str
  record_directory:
    description: Directory for the records of manifests.
    type: path
    default: /var/lib/vllm-ray/manifests
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Create the staging directory
  vllm_ray.cluster.model_install:
    path: /data/models/Qwen3-32B
    step: stage
    user: deploy
    files: {config.json: 652}
"""

RETURN = r"""
staging:
  description: Path of the staging directory.
  returned: for O(step=stage)
  type: str
held:
  description: Files that it already contains.
  returned: for O(step=stage)
  type: list
  elements: str
bad:
  description: Files that are missing there or have different content. If there are any, nothing is moved.
  returned: for O(step=install)
  type: list
  elements: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._folders_io import Failed
from ansible_collections.vllm_ray.cluster.plugins.module_utils._models import _install_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._manifest_io import Unusable

if t.TYPE_CHECKING:

    class Options(t.TypedDict):
        """The options of this module."""

        path: str
        step: str
        files: dict[str, int]
        user: str
        digest: str
        record_directory: str


ARGUMENTS = {
    "path": {"type": "path", "required": True},
    "step": {"type": "str", "choices": ["stage", "install"], "required": True},
    "files": {"type": "dict"},
    "user": {"type": "str", "required": True},
    "digest": {"type": "str"},
    "record_directory": {"type": "path", "default": "/var/lib/vllm-ray/manifests"},
}
REQUIRED = [("step", "stage", ["files"]), ("step", "install", ["digest"])]


def perform(params: Options, dry: bool) -> dict[str, object]:
    """Do one step and return its results."""
    if params["step"] == "stage":
        staging, held = _install_io.stage(params["path"], params["files"], params["user"]) if not dry else ("", [])
        return {"changed": True, "staging": staging, "held": held}
    given = (params["path"], params["digest"], params["record_directory"], params["user"])
    bad = _install_io.install(*given) if not dry else []
    return {"changed": not bad, "bad": bad}


def main() -> None:
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True, required_if=REQUIRED)
    try:
        module.exit_json(**perform(module.params, module.check_mode))
    except (Unusable, Failed, OSError, ValueError) as error:
        module.fail_json(msg=f"{module.params['path']}: {error}")


if __name__ == "__main__":
    main()
