#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: model_manifest
short_description: Read the manifest of a model directory and compare it with another
description:
  - Returns path, size and hash of each file of a directory. It follows links and ignores hidden files.
  - A record stores the hashes of the files' pieces with size, times and inode of each file. Files that match the record
    are not hashed again. M(vllm_ray.cluster.tree_sync) uses the same records.
  - Changes only the record. Returns the differences from O(wanted). M(vllm_ray.cluster.tree_sync) and
    M(vllm_ray.cluster.model_copy) apply them.
  - In a directory that the collection created, the record is the expected state. If such a source was changed, the
    module returns the manifest of the record. RV(to_copy) and RV(to_remove) then list what restores it.
  - Fails if the directory is not a usable model, or must not be changed to match O(wanted).
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.action
  - vllm_ray.cluster._attributes.actiongroup_cluster
attributes:
  check_mode:
    support: full
    details: On the controller, the record is also written in check mode, because it is only a cache there.
  diff_mode:
    support: none
    details: The record is not a setting of the host. M(vllm_ray.cluster.model_changes) shows what is copied.
  idempotent:
    support: full
options:
  path:
    description: Absolute path of the directory.
    type: path
    required: true
  side:
    description:
      - Location of the directory. V(auto) uses the host if it exists there, otherwise the controller.
      - On the controller, the action plugin of the same name reads it.
    type: str
    choices: [host, controller, auto]
    default: host
  name:
    description: Name of the host in messages.
    type: str
    default: ''
  depth:
    description: V(full) hashes every file. V(quick) hashes only files that differ from the record.
    type: str
    choices: [quick, full]
    default: quick
  record_directory:
    description: Directory for the records on the host. On the controller, they are in C(vllm-ray/manifests) below
      C(ANSIBLE_HOME).
    type: path
    default: /var/lib/vllm-ray/manifests
  user:
    description: Account that must be able to read the files. If it does not exist yet, the files must be readable by
      everybody. If empty, this is not checked.
    type: str
    default: ''
  required:
    description: Files that a model must have. Files named in weight indexes are also required.
    type: list
    elements: str
    default: [config.json]
  digest:
    description: Digest that the directory must have. If empty, any digest is accepted.
    type: str
    default: ''
  wanted:
    description: Result of this module for the directory to compare with. By default, nothing is compared.
    type: dict
  replace:
    description: Whether files may be replaced or removed in a directory that the collection did not create. Files that
      once had the content of O(wanted) may always be replaced.
    type: bool
    default: false
  reserve_gib:
    description: Space that must stay free on the file system, in GiB.
    type: float
    default: 1
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Read a model on one host
  vllm_ray.cluster.model_manifest:
    path: /data/models/Qwen3-32B
  delegate_to: gpu01
  run_once: true
  register: source

- name: Compare it with the same path on every host
  vllm_ray.cluster.model_manifest:
    path: /data/models/Qwen3-32B
    wanted: "{{ source }}"
    user: vllm-ray
"""

RETURN = r"""
exists:
  description: Whether the directory exists.
  returned: always
  type: bool
directory:
  description: Path of the directory.
  returned: always
  type: str
where:
  description: Name of the host with the directory, or V(the controller).
  returned: always
  type: str
controller:
  description: Whether the directory is on the controller.
  returned: success
  type: bool
files:
  description: Path, size in bytes and hash of each file. The hash is the SHA-256 of the hexadecimal SHA-256 sums of the
    file's pieces.
  returned: always
  type: list
  elements: dict
  sample: [{"path": "config.json", "size": 652, "hash": "9f86d081884c7d65..."}]
piece_bytes:
  description: Size of a piece in bytes. It depends on the size of the model.
  returned: always
  type: int
digest:
  description: One hash of the whole manifest, equal to the digest of M(vllm_ray.cluster.tree_sync) for a plain tree.
    Models with the same digest are identical.
  returned: always
  type: str
bytes:
  description: Size of all files, in bytes.
  returned: always
  type: int
hashed_bytes:
  description: Size of the files that were hashed in this call, in bytes.
  returned: always
  type: int
filesystem:
  description: Mount point, type and source of the file system of the directory, and whether hosts share it.
  returned: always
  type: dict
  sample: {"point": "/models", "type": "nfs4", "source": "storage:/models", "shared": true}
free_bytes:
  description: Free space of the file system, in bytes.
  returned: always
  type: int
to_copy:
  description: Files to copy to make the directory match O(wanted).
  returned: always
  type: list
  elements: dict
to_copy_bytes:
  description: Size of these files, in bytes.
  returned: always
  type: int
to_remove:
  description: Files to remove to make the directory match O(wanted).
  returned: always
  type: list
  elements: str
damaged:
  description: Files whose content changed while size and modification time did not.
  returned: always
  type: list
  elements: str
record:
  description: Path of the record.
  returned: always
  type: str
problems:
  description: Problems that were found.
  returned: always
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _safe_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._models import _model_tree_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._manifest import ARGUMENTS, sentence


def main() -> None:
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    with _safe_io.reported(module):
        result = _model_tree_io.look(_model_tree_io.Options(**module.params), dry=module.check_mode)
    if result["problems"]:
        module.fail_json(msg="\n".join(sentence(problem) for problem in result["problems"]), **result)
    module.exit_json(controller=False, **result)


if __name__ == "__main__":
    main()
