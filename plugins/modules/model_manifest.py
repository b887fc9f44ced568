#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: model_manifest
short_description: Read the manifest of a model directory, and compare it with another
description:
  - Returns path, size and hash of each file of a directory, through links, without hidden files.
  - A record keeps the hashes of the files' pieces with size, times and inode of each file. Files that are as the record
    says are not hashed again. M(vllm_ray.cluster.tree_sync) uses the same records.
  - It changes nothing but its record. What makes the directory like O(wanted) is returned, and done by
    M(vllm_ray.cluster.tree_sync) and M(vllm_ray.cluster.model_copy).
  - A directory that the collection made is wanted as it is recorded. Where it is a source and was changed since, what
    is returned is the record's, with RV(to_copy) and RV(to_remove) for what makes it so again.
  - Fails where the directory can't serve as a model, or where it must not be made like O(wanted).
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.action
  - vllm_ray.cluster._attributes.actiongroup_cluster
attributes:
  check_mode:
    support: full
    details: On the controller the record is written in check mode too; it is a cache there.
  diff_mode:
    support: none
    details: The record is no setting of the host. M(vllm_ray.cluster.model_changes) shows what is copied.
  idempotent:
    support: full
options:
  path:
    description: Absolute path of the directory.
    type: path
    required: true
  side:
    description:
      - Where the directory is looked for. V(auto) = on the host, and if it is not there, on the controller.
      - On the controller the action plugin of the same name reads it.
    type: str
    choices: [host, controller, auto]
    default: host
  name:
    description: Name of the host in messages.
    type: str
    default: ''
  depth:
    description: V(full) hashes every file, V(quick) those that are not as the record says.
    type: str
    choices: [quick, full]
    default: quick
  record_directory:
    description: Directory of the records on the host. On the controller they are in C(vllm-ray/manifests) below
      C(ANSIBLE_HOME).
    type: path
    default: /var/lib/vllm-ray/manifests
  user:
    description: Account that must be able to read the files. Where it isn't there yet, everybody must.
    type: str
    default: ''
  required:
    description: Files that a model must have. What the indexes of weights name is required as well.
    type: list
    elements: str
    default: [config.json]
  digest:
    description: Digest that the directory must have.
    type: str
    default: ''
  wanted:
    description: What this module returned for the directory that this one should be like.
    type: dict
  replace:
    description: Whether files may be replaced or removed in a directory that the collection did not make. Files that
      once had the wanted content may be replaced anyway.
    type: bool
    default: false
  reserve_gib:
    description: What must stay free on the file system, in GiB.
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
  description: Whether there is such a directory.
  returned: always
  type: bool
directory:
  description: Path of the directory.
  returned: always
  type: str
where:
  description: Name of the host that has it, or V(the controller).
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
  description: Size of the pieces. It follows from the size of the model.
  returned: always
  type: int
digest:
  description: One hash for all of it, by which M(vllm_ray.cluster.tree_sync) knows it as a plain tree. Equal digests
    mean equal models.
  returned: always
  type: str
bytes:
  description: Size of all files.
  returned: always
  type: int
hashed_bytes:
  description: Size of the files that were hashed in this call.
  returned: always
  type: int
filesystem:
  description: Mount point, type and source of the file system, and whether it is shared between hosts.
  returned: always
  type: dict
  sample: {"point": "/models", "type": "nfs4", "source": "storage:/models", "shared": true}
free_bytes:
  description: Free bytes on it.
  returned: always
  type: int
to_copy:
  description: Files to copy, so that the directory is like O(wanted).
  returned: always
  type: list
  elements: dict
to_copy_bytes:
  description: Size of these files.
  returned: always
  type: int
to_remove:
  description: Files to remove, so that the directory is like O(wanted).
  returned: always
  type: list
  elements: str
damaged:
  description: Files whose content changed while size and time of modification did not.
  returned: always
  type: list
  elements: str
record:
  description: Path of the file that holds the record.
  returned: always
  type: str
problems:
  description: What is wrong.
  returned: always
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils import _model_tree_io, _safe_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._manifest import ARGUMENTS, sentence


def main() -> None:
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    with _safe_io.reported(module):
        result = _model_tree_io.look(module.params, dry=module.check_mode)
    if result["problems"]:
        module.fail_json(msg="\n".join(sentence(problem) for problem in result["problems"]), **result)
    module.exit_json(controller=False, **result)


if __name__ == "__main__":
    main()
