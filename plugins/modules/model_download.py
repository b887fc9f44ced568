#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: model_download
short_description: Download a model from Hugging Face or ModelScope
description:
  - Downloads one commit of a model by the hub's own client, into a directory that appears when it is whole.
  - A branch or tag is resolved to its commit once. Later runs keep that commit, and need no network.
  - A download that was interrupted goes on where it was.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.actiongroup_cluster
attributes:
  check_mode:
    support: full
    details: The hub is asked for the commit and the size of the files.
  diff_mode:
    support: none
    details: The message says what is downloaded.
  idempotent:
    support: full
options:
  hub:
    description: The hub. ModelScope is not asked for commits, so there a revision stays what it is called.
    type: str
    choices: [huggingface, modelscope]
    default: huggingface
  model:
    description: Id of the model.
    type: str
    required: true
  revision:
    description: Branch, tag or commit. Default is the hub's, C(main) or C(master).
    type: str
    default: ''
  update:
    description: Whether to ask the hub again which commit O(revision) is.
    type: bool
    default: false
  path:
    description: Absolute path of the model. Default is a directory for each model and commit in O(root).
    type: path
  root:
    description: Directory of models.
    type: path
    default: /var/lib/vllm-ray/models
  exclude:
    description: Patterns of files that are not downloaded.
    type: list
    elements: str
    default: []
  python:
    description: Path of a Python that has the hub's client, such as the release's.
    type: path
    required: true
  token:
    description: Token of the hub. It reaches the client by its environment and is not written anywhere.
    type: str
  proxy:
    description: URL of the proxy to the hub. Default is what the environment says.
    type: str
  ca_certificate:
    description: File with the certificates to trust. Default is the system's.
    type: path
  endpoint:
    description: URL of the hub or of a mirror.
    type: str
    default: ''
  record_directory:
    description: Directory of the records of manifests.
    type: path
    default: /var/lib/vllm-ray/manifests
  reserve_gib:
    description: What must stay free on the file system, in GiB.
    type: float
    default: 1
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Download a model
  vllm_ray.cluster.model_download:
    model: Qwen/Qwen3-32B
    python: /opt/vllm-ray/releases/cuda-2f1d/bin/python
    token: "{{ hf_token }}"
"""

RETURN = r"""
exists:
  description: Whether the model is there now; in check mode it may not be.
  returned: success
  type: bool
directory:
  description: Where the model is.
  returned: success
  type: str
commit:
  description: The commit that it is.
  returned: success
  type: str
problem:
  description: What is wrong.
  returned: failure
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils import _hub_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._hub import HUBS
from ansible_collections.vllm_ray.cluster.plugins.module_utils._manifest_io import Unusable

ARGUMENTS = {
    "hub": {"type": "str", "choices": sorted(HUBS), "default": "huggingface"},
    "model": {"type": "str", "required": True},
    "revision": {"type": "str", "default": ""},
    "update": {"type": "bool", "default": False},
    "path": {"type": "path"},
    "root": {"type": "path", "default": "/var/lib/vllm-ray/models"},
    "exclude": {"type": "list", "elements": "str", "default": []},
    "python": {"type": "path", "required": True},
    "token": {"type": "str", "no_log": True},
    "proxy": {"type": "str", "no_log": True},
    "ca_certificate": {"type": "path"},
    "endpoint": {"type": "str", "default": ""},
    "record_directory": {"type": "path", "default": "/var/lib/vllm-ray/manifests"},
    "reserve_gib": {"type": "float", "default": 1},
}


def main() -> None:
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    try:
        module.exit_json(**_hub_io.ensure(module))
    except Unusable as error:
        module.fail_json(msg=str(error), problem=error.problem)
    except OSError as error:
        module.fail_json(
            msg=f"{error}. The path is chosen by model_root or model_path, the client by model_hub_python."
        )


if __name__ == "__main__":
    main()
