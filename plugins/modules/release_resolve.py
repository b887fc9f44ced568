#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release_resolve
short_description: Resolve requirements into a lock
description:
  - Resolves a user's requirements, together with those of the collection, by C(uv pip compile) into a lock with hashes
    for this host's Python and kind of machine. A package that both name is taken from the user's.
  - It keeps nothing on the host but uv in C(root/tools), and it always resolves. Whoever keeps the lock knows by its
    first line whether that is needed.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._sources
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: The lock is returned, not written.
  idempotent:
    support: none
    details: A newer package in an index can be chosen where O(preferred) does not name it.
options:
  requirements:
    description: The user's requirements, one a line, by name or as C(NAME @ URL of a wheel).
    type: str
    required: true
  base:
    description: The collection's requirements.
    type: str
    default: ''
  excludes:
    description: Names of packages that are left out, one a line.
    type: str
    default: ''
  preferred:
    description: A lock whose versions are taken where they fit.
    type: str
    default: ''
  header:
    description: First line of the lock, see P(vllm_ray.cluster.release_header#filter).
    type: str
    required: true
  lock:
    description: Name of the lock, which is the accelerator's.
    type: str
    required: true
  uv_lock:
    description: The lock of uv itself.
    type: str
    required: true
  root:
    description: Directory whose C(tools) holds uv.
    type: path
    default: /opt/vllm-ray
  python:
    description: Path of the Python to resolve for, or a version to the patch. Default is C(python3).
    type: str
    default: ''
seealso:
  - module: vllm_ray.cluster.release_build
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Resolve
  vllm_ray.cluster.release_resolve:
    requirements: my-plugin==1.0
    base: "{{ lookup('ansible.builtin.file', 'cuda.in') }}"
    uv_lock: "{{ lookup('ansible.builtin.file', 'uv.lock') }}"
    header: "# by hand"
    lock: cuda
"""

RETURN = r"""
text:
  description: The lock, empty in check mode.
  returned: success
  type: str
  sample: |
    # by hand
    my-plugin==1.0 \
        --hash=sha256:0bcb763fddafba410f35cbde226aa7f8514b9fb82eb05a0c85f6588d1c13f8db
ignored_sources:
  description: Directories that pip is configured with and that are not there.
  returned: success
  type: list
  elements: str
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils import _safe_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._release_io import SOURCES
from ansible_collections.vllm_ray.cluster.plugins.module_utils._resolve_io import Resolve

ARGUMENTS = {
    "requirements": {"type": "str", "required": True},
    "base": {"type": "str", "default": ""},
    "excludes": {"type": "str", "default": ""},
    "preferred": {"type": "str", "default": ""},
    "header": {"type": "str", "required": True},
    "lock": {"type": "str", "required": True},
    "uv_lock": {"type": "str", "required": True},
    "root": {"type": "path", "default": "/opt/vllm-ray"},
    "python": {"type": "str", "default": ""},
    **SOURCES,
}


def main() -> None:
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    with _safe_io.reported(module):
        module.exit_json(**Resolve(module)())


if __name__ == "__main__":
    main()
