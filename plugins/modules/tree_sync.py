#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tree_sync
short_description: Copy a directory tree between hosts until all have the same tree
description:
  - With O(state=described), returns the digest of a tree.
  - With O(state=synced), run it on all hosts at the same time. It makes O(path) match O(digest) on every host, with
    data from hosts that have the tree or parts of it.
  - Each host sends pieces while it still receives others. So many hosts take about as long as one.
  - Every piece is checked by its SHA-256. Data that a host already has, from the tree or from an interrupted run, is
    not sent again. Hosts that are slow, fail or send wrong data are bypassed.
  - The tree is changed only when all pieces have been written to disk. A new tree appears only when it is complete. In
    an existing tree, each file is replaced by a rename, and extra files are removed.
  - Names, contents, modes and links become equal, owners and times do not. New files belong to the user who runs the
    module.
  - During the call, it listens on the cluster address, on a port between 20000 and 32767 that depends on O(token). It
    answers only addresses of O(hosts) that know the token. The data is not encrypted.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
attributes:
  check_mode:
    support: full
    details: In check mode, it only compares the tree with O(digest) and contacts no other host.
  diff_mode:
    support: none
    details: A tree may have very many files.
  idempotent:
    support: full
notes:
  - Ansible runs a task on at most C(forks) hosts at a time. With more hosts than forks, run it with C(async) and
    C(poll=0), and read the results with M(ansible.builtin.async_status). Otherwise the last hosts start only after the
    first have ended.
options:
  path:
    description: Absolute path of the tree. Links in the path are followed only if no account except root and the one
      that runs the module can have created them. A plain tree is also read through other links, but not changed.
    type: path
    required: true
  state:
    description: V(described) only computes the digest. V(synced) copies the tree.
    type: str
    choices: [described, synced]
    default: synced
  digest:
    description: RV(digest) of the tree to copy. Required for O(state=synced).
    type: str
  hosts:
    description: All hosts that take part, including this one. The list must have the same order on all hosts. Required
      for O(state=synced).
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the host.
        type: str
        required: true
      address:
        description: Cluster address of the host.
        type: str
        required: true
  name:
    description: Name of this host in O(hosts). Required for O(state=synced).
    type: str
  token:
    description: Secret that is new for each run and the same on all hosts. Required for O(state=synced).
    type: str
  copy_from:
    description: Another directory on this host that may have the tree. Files missing in O(path) are copied from there
      instead of from other hosts. This directory is not changed.
    type: path
  depth:
    description: V(full) hashes every file. V(quick) hashes only files that changed since their last hash.
    type: str
    choices: [quick, full]
    default: quick
  plain:
    description:
      - Whether only the content of regular files is compared. Links are then followed, and hidden names and empty
        directories are ignored. New files and directories are readable by everybody.
      - Digests are comparable only if they were computed with the same value.
    type: bool
    default: false
  user:
    description:
      - Name or number of the account that reads the tree. Links in a plain tree that another account may have created
        are followed only to files that this account can read. If empty, only to files that everybody can read.
      - Links within the tree, and links from a snapshot in the Hugging Face cache to its blobs, are always followed.
    type: str
    default: ""
  replace:
    description: Whether files may be replaced or removed in a directory that this module did not create.
    type: bool
    default: false
  record_directory:
    description: Directory for the records of hashes.
    type: path
    default: /var/lib/vllm-ray/trees
  limit_mbit:
    description: Maximum rate in Mbit/s at which this host sends, and at which it receives. V(0) means no limit.
    type: float
    default: 0
  reserve_gib:
    description: Space that must stay free on the file system, in GiB.
    type: float
    default: 1
  window:
    description: Seconds that another host may start later than this one.
    type: float
    default: 10
  grace:
    description: Seconds without a message after which a host that took part counts as lost. At least 5.
    type: float
    default: 30
  patience:
    description: Seconds without received data after which a host gives up. It keeps what it has. It waits as long for
      another run on the same tree.
    type: float
    default: 60
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Compute the digest of the tree on the source
  vllm_ray.cluster.tree_sync:
    path: /opt/vllm-ray/releases/example
    state: described
  delegate_to: gpu01
  run_once: true
  register: tree

- name: Copy the tree to all hosts
  vllm_ray.cluster.tree_sync:
    path: /opt/vllm-ray/releases/example
    digest: "{{ tree.digest }}"
    hosts:
      - {name: gpu01, address: 192.0.2.11}
      - {name: gpu02, address: 192.0.2.12}
    name: "{{ inventory_hostname }}"
    token: "{{ run_token }}"
"""

RETURN = r"""
digest:
  description: Hash that identifies the tree. Trees with the same digest are equal.
  returned: success
  type: str
bytes:
  description: Size of all files, in bytes.
  returned: success, not for O(state=synced) in check mode
  type: int
files:
  description: Number of files.
  returned: O(state=described)
  type: int
pieces:
  description: Number of pieces of all files.
  returned: O(state=described)
  type: int
piece_bytes:
  description: Size of a piece in bytes, except the last one of a file. It depends on RV(bytes).
  returned: O(state=described)
  type: int
hashed_bytes:
  description: Bytes that were read and hashed.
  returned: success, not for O(state=synced) in check mode
  type: int
received_bytes:
  description: Bytes received from other hosts.
  returned: O(state=synced), not in check mode
  type: int
received_from:
  description: Bytes received, by host.
  returned: O(state=synced), not in check mode
  type: dict
  sample: {"gpu01": 1048576}
sent_bytes:
  description: Bytes sent to other hosts.
  returned: O(state=synced), not in check mode
  type: int
found_bytes:
  description: Bytes copied from the existing tree and from O(copy_from).
  returned: O(state=synced), not in check mode
  type: int
wrong:
  description: Files for which a host sent wrong data, by host. The data was then taken from another host.
  returned: O(state=synced), not in check mode
  type: dict
  sample: {"gpu03": ["model-00001-of-00002.safetensors"]}
absent:
  description: Hosts that were not seen to finish with the complete tree.
  returned: O(state=synced), not in check mode
  type: list
  elements: str
whole_seconds:
  description: Seconds until the tree was complete on this host.
  returned: O(state=synced), not in check mode
  type: float
seconds:
  description: Duration of the call on this host, in seconds. It ends when no other host needs this one.
  returned: O(state=synced), not in check mode
  type: float
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._folders_io import Failed
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees import _tree_sync_io

HOST = {"name": {"type": "str", "required": True}, "address": {"type": "str", "required": True}}
ARGUMENTS = {
    "path": {"type": "path", "required": True},
    "state": {"type": "str", "choices": ["described", "synced"], "default": "synced"},
    "digest": {"type": "str"},
    "hosts": {"type": "list", "elements": "dict", "default": [], "options": HOST},
    "name": {"type": "str"},
    "token": {"type": "str", "no_log": True},
    "copy_from": {"type": "path"},
    "depth": {"type": "str", "choices": ["quick", "full"], "default": "quick"},
    "plain": {"type": "bool", "default": False},
    "user": {"type": "str", "default": ""},
    "replace": {"type": "bool", "default": False},
    "record_directory": {"type": "path", "default": "/var/lib/vllm-ray/trees"},
    "limit_mbit": {"type": "float", "default": 0},
    "reserve_gib": {"type": "float", "default": 1},
    "window": {"type": "float", "default": 10},
    "grace": {"type": "float", "default": 30},
    "patience": {"type": "float", "default": 60},
}
REQUIRED = [("state", "synced", ["digest", "hosts", "name", "token"])]


def main() -> None:
    module = AnsibleModule(ARGUMENTS, required_if=REQUIRED, supports_check_mode=True)
    try:
        module.exit_json(**_tree_sync_io.perform(module.params, module.check_mode))
    except (Failed, OSError, ValueError) as error:
        module.fail_json(msg=f"{module.params['path']}: {error}")


if __name__ == "__main__":
    main()
