#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: trusted_digest
short_description: Read or store the trusted digest of a release or model
description:
  - Stores in one file the digests that releases and models had when they were built or downloaded. A claim of another
    host is compared with this digest before any host copies files from it.
  - Without O(tree), the module only reads.
  - Fails if an account other than root or the user who runs the module may write the file or a parent directory.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: A diff of digests has no useful information.
  idempotent:
    support: full
options:
  path:
    description: Path of the file. Missing parent directories are created.
    type: path
    required: true
  name:
    description: Name of the release or model, such as C(release ID).
    type: str
    required: true
  tree:
    description: Digest of the tree to store, as M(vllm_ray.cluster.tree_sync) returns it. If empty, the module only
      reads.
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
- name: Store the digest of a new release
  vllm_ray.cluster.trusted_digest:
    path: /etc/vllm-ray/default/trusted.json
    name: release cpu-vllm0.32.0-py3.11.2-0f3b6c1d2a4e
    tree: "{{ described.digest }}"
    manifest: "{{ built.manifest }}"
    host: gpu01
"""

RETURN = r"""
tree:
  description: Stored digest for O(name) after this call. Empty if there is none, or if another version of the
    collection computed it.
  returned: success
  type: str
manifest:
  description: Stored SHA-256 of the manifest for O(name).
  returned: success
  type: str
host:
  description: Name of the host that built or downloaded it.
  returned: success
  type: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees import _trusted_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._trusted import Digests

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
