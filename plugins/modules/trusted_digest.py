#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: trusted_digest
short_description: Read or note the digest of a release or model
description:
  - Keeps in one file which digests releases and models had when they were built or downloaded. What another host says
    about a release or model is compared with it, before any host takes files from there.
  - Without O(tree) it only reads.
  - Fails where another account than root, or than the one that runs the module, may write the file or a directory
    above it.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: A digest says nothing to people.
  idempotent:
    support: full
options:
  path:
    description: Path of the file. Directories above it that are not there are made.
    type: path
    required: true
  name:
    description: What the digest is of, such as C(release ID).
    type: str
    required: true
  tree:
    description: Digest by which M(vllm_ray.cluster.tree_sync) knows the tree, to be noted. Empty = read only.
    type: str
    default: ''
  manifest:
    description: SHA-256 of the manifest of a release.
    type: str
    default: ''
  host:
    description: Name of the host that built or downloaded it.
    type: str
    default: ''
seealso:
  - module: vllm_ray.cluster.release_seed
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Note which tree was built
  vllm_ray.cluster.trusted_digest:
    path: /etc/vllm-ray/default/trusted.json
    name: release cpu-vllm0.32.0-py3.11.2-0f3b6c1d2a4e
    tree: "{{ described.digest }}"
    manifest: "{{ built.manifest }}"
    host: gpu01
"""

RETURN = r"""
tree:
  description: Digest of the tree that the file has for O(name), after this call. Empty if there is none, or one that
    another version of the collection computed.
  returned: success
  type: str
manifest:
  description: SHA-256 of the manifest that the file has for O(name).
  returned: success
  type: str
host:
  description: Name of the host that built or downloaded it.
  returned: success
  type: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils import _trusted_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trusted import Digests

ARGUMENTS = {
    "path": {"type": "path", "required": True},
    "name": {"type": "str", "required": True},
    "tree": {"type": "str", "default": ""},
    "manifest": {"type": "str", "default": ""},
    "host": {"type": "str", "default": ""},
}


def main() -> None:
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    path, name = module.params["path"], module.params["name"]
    given = Digests(module.params["tree"], module.params["manifest"], module.params["host"])
    try:
        changed = bool(given.tree) and _trusted_io.note(path, name, given, module.check_mode)
        known = given if given.tree else _trusted_io.read(path).get(name) or Digests("")
    except OSError as error:
        module.fail_json(msg=str(error))
    found = known if known.usable else Digests("")
    module.exit_json(changed=changed, tree=found.tree, manifest=found.manifest, host=found.host)


if __name__ == "__main__":
    main()
