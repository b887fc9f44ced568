#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: model_prune
short_description: Remove old revisions of a model
description:
  - Removes other revisions of the model, which are the directories beside O(path). It removes only unused directories
    that the collection created, and keeps the newest O(keep) of them.
  - Records which models the cluster uses on this host, so that other clusters on the host do not remove them.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.actiongroup_cluster
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: RV(removed) lists the removed directories.
  idempotent:
    support: full
options:
  path:
    description: Absolute path of the revision that the cluster will use.
    type: path
    required: true
  cluster:
    description: Name of the cluster.
    type: str
    default: default
  in_use:
    description: Paths of models that engines of the cluster serve, on this or on other hosts.
    type: list
    elements: str
    default: []
  configs:
    description: Patterns of files with the options of C(vllm serve) of any cluster on this host. Models named in them
      are not removed.
    type: list
    elements: str
    default: []
  keep:
    description: Number of unused revisions to keep. V(-1) keeps all.
    type: int
    default: 1
  record_directory:
    description: Directory for the records of manifests.
    type: path
    default: /var/lib/vllm-ray/manifests
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Remove old revisions
  vllm_ray.cluster.model_prune:
    path: /var/lib/vllm-ray/models/Qwen--Qwen3-32B/9216db5781bf21249d130ec9da846c4624c16137
    configs: [/etc/vllm-ray/*/serve-*.yaml]
"""

RETURN = r"""
removed:
  description: Directories that were removed, or would be in check mode.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils._models import _revisions_io

ARGUMENTS = {
    "path": {"type": "path", "required": True},
    "cluster": {"type": "str", "default": "default"},
    "in_use": {"type": "list", "elements": "str", "default": []},
    "configs": {"type": "list", "elements": "str", "default": []},
    "keep": {"type": "int", "default": 1},
    "record_directory": {"type": "path", "default": "/var/lib/vllm-ray/manifests"},
}


def main() -> None:
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    try:
        options = _revisions_io.Options(**module.params)
        module.exit_json(**_revisions_io.prune(options, module.check_mode)._asdict())
    except OSError as error:
        module.fail_json(msg=f"{error}. Old revisions stay where they are with model_keep=-1.")


if __name__ == "__main__":
    main()
