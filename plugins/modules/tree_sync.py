#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tree_sync
short_description: Make a directory tree the same on all hosts, from neighbor to neighbor
description:
  - With O(state=described) it returns the digest of a tree. With O(state=synced), run on all hosts at the same time, it
    makes O(path) the tree of that digest everywhere, from the hosts that have it or parts of it.
  - Each host passes on what it receives while it receives it, so that all of them take about as long as one.
  - Every piece is checked by its SHA-256. What a host has already, in the tree or from a run that was interrupted, is
    not sent again. A host that is slow, dead or gives other bytes is passed by.
  - The tree is changed when all pieces are there and on the disk. A new tree appears as a whole. In one that was there,
    each file is replaced by a rename; what is no part of the wanted tree is removed.
  - Names, contents, modes and links are made equal. Owners and times are not; new files belong to who runs the module.
  - It listens on the cluster address for as long as the call lasts, on a port between 20000 and 32767 that follows from
    O(token), and answers only the addresses of O(hosts) that know the token. The bytes are not encrypted.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
attributes:
  check_mode:
    support: full
    details: In check mode it only compares the tree with O(digest), and asks no other host.
  diff_mode:
    support: none
    details: A tree can have very many files.
  idempotent:
    support: full
notes:
  - Ansible starts a task on as many hosts at a time as it has forks. Where there are more hosts than forks, run it with
    C(async) and C(poll=0) and gather the results by M(ansible.builtin.async_status); otherwise the last hosts would
    only begin when the first have ended.
options:
  path:
    description: Absolute path of the tree. Links on the way are followed where only root and the account that runs this
      can have made them. A plain tree is read through others, too, but not changed.
    type: path
    required: true
  state:
    description: What is to be done.
    type: str
    choices: [described, synced]
    default: synced
  digest:
    description: RV(digest) of the wanted tree. Needed for O(state=synced).
    type: str
  hosts:
    description: All hosts that take part, this one too; the same list in the same order on all of them. Needed for
      O(state=synced).
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the host.
        type: str
        required: true
      address:
        description: Its cluster address.
        type: str
        required: true
  name:
    description: Which of O(hosts) this one is. Needed for O(state=synced).
    type: str
  token:
    description: A secret text that is new for each run and the same on all hosts. Needed for O(state=synced).
    type: str
  copy_from:
    description: Another directory of this host that may have the wanted tree. What O(path) lacks is copied from there
      instead of from other hosts. It is not changed.
    type: path
  depth:
    description: V(full) hashes every file, V(quick) those that were touched since they were hashed.
    type: str
    choices: [quick, full]
    default: quick
  plain:
    description:
      - Whether only the content of regular files counts. Links are followed then, hidden names and empty directories
        are left out, and files and directories that are made can be read by everybody.
      - It must be the same wherever digests are compared.
    type: bool
    default: false
  user:
    description:
      - Name or number of the account that the tree is for. Links in a plain tree that another account can have made are
        followed only to files that this one can read itself; empty = that everybody may read.
      - Links within the tree, and those of a snapshot in the cache of Hugging Face to its blobs, need no such right.
    type: str
    default: ""
  replace:
    description: Whether files may be replaced or removed in a directory that this module did not make.
    type: bool
    default: false
  record_directory:
    description: Directory of the records of what was hashed.
    type: path
    default: /var/lib/vllm-ray/trees
  limit_mbit:
    description: Mbit/s that this host sends, and that it receives, at most. V(0) = no limit.
    type: float
    default: 0
  reserve_gib:
    description: What must stay free on the file system, in GiB.
    type: float
    default: 1
  window:
    description: Seconds that a host may come later than this one.
    type: float
    default: 10
  grace:
    description: Seconds that a host that was there may be silent before the others leave without it; 5 at least.
    type: float
    default: 30
  patience:
    description: A host to which nothing came for so many seconds gives up; it keeps what it has. It waits as long for
      another run on the same tree.
    type: float
    default: 60
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Describe the tree where it is
  vllm_ray.cluster.tree_sync:
    path: /opt/vllm-ray/releases/example
    state: described
  delegate_to: gpu01
  run_once: true
  register: tree

- name: Make it the same on all hosts
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
  description: The one hash by which a tree is known. Equal digests mean equal trees.
  returned: success
  type: str
bytes:
  description: Size of all files.
  returned: success, not for O(state=synced) in check mode
  type: int
files:
  description: How many files there are.
  returned: O(state=described)
  type: int
pieces:
  description: How many pieces they have.
  returned: O(state=described)
  type: int
piece_bytes:
  description: Size of a piece that is not the end of its file. It follows from RV(bytes).
  returned: O(state=described)
  type: int
hashed_bytes:
  description: What had to be read and hashed.
  returned: success, not for O(state=synced) in check mode
  type: int
received_bytes:
  description: What came from other hosts.
  returned: O(state=synced), not in check mode
  type: int
received_from:
  description: What came from which host, in bytes.
  returned: O(state=synced), not in check mode
  type: dict
  sample: {"gpu01": 1048576}
sent_bytes:
  description: What was sent to other hosts.
  returned: O(state=synced), not in check mode
  type: int
found_bytes:
  description: What was copied from the tree as it was before, and from O(copy_from).
  returned: O(state=synced), not in check mode
  type: int
wrong:
  description: Files of which a host gave other bytes than their hash wants, by host. They came from another one.
  returned: O(state=synced), not in check mode
  type: dict
  sample: {"gpu03": ["model-00001-of-00002.safetensors"]}
absent:
  description: Hosts that were not seen to end with the whole tree.
  returned: O(state=synced), not in check mode
  type: list
  elements: str
whole_seconds:
  description: After how many seconds the tree was in its place on this host.
  returned: O(state=synced), not in check mode
  type: float
seconds:
  description: How long the call took on this host; it lasts until no other host needs it.
  returned: O(state=synced), not in check mode
  type: float
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils import _tree_sync_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._folders_io import Failed

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
