#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release_resolve
short_description: Resolve requirements into a lock
description:
  - Resolves a user's requirements together with those of the collection with C(uv pip compile). The result is a lock
    with hashes for the Python and architecture of this host. If both name a package, the user's requirement applies.
  - It leaves only uv in C(root/tools) on the host. It always resolves. The caller can compare the first line of a
    stored lock to find out whether this is necessary.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._sources
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: The lock is returned and not written.
  idempotent:
    support: none
    details: It can select a newer version from an index for packages that O(preferred) does not name.
options:
  requirements:
    description: The user's requirements, one per line, as a name with optional versions or as C(NAME @ URL of a wheel).
    type: str
    required: true
  base:
    description: The collection's requirements.
    type: str
    default: ''
  excludes:
    description: Names of packages to exclude, one per line.
    type: str
    default: ''
  preferred:
    description: Lock whose versions are preferred if they satisfy the requirements.
    type: str
    default: ''
  header:
    description: First line of the lock, see P(vllm_ray.cluster.release_header#filter).
    type: str
    required: true
  lock:
    description: Name of the lock, which is the name of the accelerator.
    type: str
    required: true
  uv_lock:
    description: Content of the lock of uv itself.
    type: str
    required: true
  root:
    description: Directory that contains uv in C(tools).
    type: path
    default: /opt/vllm-ray
  python:
    description: Python to resolve for. Either a path or a full version (with patch). If empty, C(python3).
    type: str
    default: ''
seealso:
  - module: vllm_ray.cluster.release_build
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Resolve requirements
  vllm_ray.cluster.release_resolve:
    requirements: my-plugin==1.0
    base: "{{ lookup('ansible.builtin.file', 'cuda.in') }}"
    uv_lock: "{{ lookup('ansible.builtin.file', 'uv.lock') }}"
    header: "# by hand"
    lock: cuda
"""

RETURN = r"""
text:
  description: Content of the lock, empty in check mode.
  returned: success
  type: str
  sample: |
    # by hand
    my-plugin==1.0 \
        --hash=sha256:0bcb763fddafba410f35cbde226aa7f8514b9fb82eb05a0c85f6588d1c13f8db
ignored_sources:
  description: Directories in pip's configuration that do not exist.
  returned: success
  type: list
  elements: str
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _safe_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases._resolve_io import Resolve
from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases._tools_io import SOURCES

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
