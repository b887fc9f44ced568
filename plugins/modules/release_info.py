#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release_info
short_description: What a host has of a release
description:
  - Says whether a release is complete on this host, which Python it stands on and which versions it has.
  - With O(path) it looks at an environment that somebody else made, and asks its Python, as O(user), for its packages,
    for what Ray's head needs of C(ray[default]), and for which CUDA its torch is made.
  - It reads directories and small files, unless O(verify) is set.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
options:
  root:
    description: Directory whose C(releases) holds releases.
    type: path
    default: /opt/vllm-ray
  path:
    description: An existing virtual environment or conda prefix. Then nothing is said about other releases.
    type: path
  id:
    description: Id of a release. What it stands on is known where it is, so recipe and Python need not be given.
    type: str
  name:
    description: C(name) of the recipe, see P(vllm_ray.cluster.release_recipe#filter).
    type: str
    default: ''
  recipe:
    description: C(digest) of the recipe.
    type: str
    default: ''
  lock:
    description:
      - Name of the lock. With O(path), V(cuda) says that its torch is to use GPUs, and V(cpu) that it need not.
    type: str
    default: ''
  uv_version:
    description: Version of uv that makes releases.
    type: str
    default: ''
  python:
    description: Path of the Python to stand on, or a version to the patch that uv installs. Default is C(python3).
    type: str
    default: ''
  builder_python:
    description: RV(python) as this module returned it for the builder. This host's must be the same.
    type: dict
    suboptions:
      version:
        description: Version to the patch.
        type: str
        required: true
      path:
        description: Path of the interpreter, empty for a managed one.
        type: str
        required: true
      machine:
        description: Architecture.
        type: str
        required: true
      managed:
        description: Whether uv brings it.
        type: bool
        required: true
  builder_id:
    description: RV(id) as this module returned it for the builder, which makes one release for all hosts of a play.
    type: str
  builds:
    description: Whether this host would build the release, so that what building needs is looked at, too.
    type: bool
    default: false
  brings_uv:
    description: Whether uv is brought to this host before it builds, so that nothing is needed to install it.
    type: bool
    default: false
  space_gib:
    description: GiB that building needs.
    type: int
    default: 0
  min_driver:
    description: Smallest major version of the NVIDIA driver. Default is that the driver is not looked at.
    type: int
  libraries:
    description: Names of shared libraries that the host must have.
    type: list
    elements: str
    default: []
  compiles:
    description: Whether engines compile on this host when they start, as Triton does for GPUs, so that a C compiler
      and the headers of C and of the Python are looked for.
    type: bool
    default: false
  user:
    description:
      - Account of the services. Where the module is root, it runs Python and packages of others as this account, or as
        C(nobody) as long as there is no such account. Empty = as who runs the module.
    type: str
    default: ''
  verify:
    description: Whether to hash every file and compare it with the manifest.
    type: bool
    default: false
  refuse:
    description: Whether to fail where a problem is an error.
    type: bool
    default: false
seealso:
  - module: vllm_ray.cluster.release_build
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Look at an environment
  vllm_ray.cluster.release_info:
    path: /srv/conda/envs/vllm
  register: environment
"""

RETURN = r"""
complete:
  description: Whether the release is there and whole.
  returned: always
  type: bool
  sample: true
id:
  description: Id of the release, empty for an environment of others.
  returned: always
  type: str
  sample: cpu-vllm0.32.0-py3.11.2-0f3b6c1d2a4e
path:
  description: Where it is or would be.
  returned: always
  type: str
  sample: /opt/vllm-ray/releases/cpu-vllm0.32.0-py3.11.2-0f3b6c1d2a4e
python:
  description:
    - The interpreter that it stands on. Will be V(none) if there is none, or where the release of O(id) is not here.
  returned: always
  type: dict
  sample: {"version": "3.11.2", "path": "/usr/bin/python3.11", "machine": "x86_64", "managed": false}
versions:
  description: Versions of vllm, ray, torch, transformers and, in an environment for NVIDIA GPUs, nccl.
  returned: always
  type: dict
  sample: {"vllm": "0.32.0", "ray": "2.60.0", "torch": "2.13.0+cpu", "transformers": "5.19.0"}
manifest:
  description: SHA-256 of the manifest.
  returned: always
  type: str
  sample: 5f2c3b0e
tree_bytes:
  description: Bytes of all files.
  returned: always
  type: int
  sample: 3900000000
damaged:
  description: How files differ from the manifest. Empty without O(verify).
  returned: always
  type: list
  elements: str
  sample: []
missing_packages:
  description: Packages of the distribution that have to be installed.
  returned: always
  type: list
  elements: str
  sample: [libnuma1]
problems:
  description: What is wrong. Each has check, severity, found, wanted and fix.
  returned: always
  type: list
  elements: dict
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils import _safe_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._release_io import Look

PYTHON = {
    "version": {"type": "str", "required": True},
    "path": {"type": "str", "required": True},
    "machine": {"type": "str", "required": True},
    "managed": {"type": "bool", "required": True},
}
ARGUMENTS = {
    "root": {"type": "path", "default": "/opt/vllm-ray"},
    "path": {"type": "path"},
    "id": {"type": "str"},
    "name": {"type": "str", "default": ""},
    "recipe": {"type": "str", "default": ""},
    "lock": {"type": "str", "default": ""},
    "uv_version": {"type": "str", "default": ""},
    "python": {"type": "str", "default": ""},
    "builder_python": {"type": "dict", "options": PYTHON},
    "builder_id": {"type": "str"},
    "builds": {"type": "bool", "default": False},
    "brings_uv": {"type": "bool", "default": False},
    "space_gib": {"type": "int", "default": 0},
    "min_driver": {"type": "int"},
    "libraries": {"type": "list", "elements": "str", "default": []},
    "compiles": {"type": "bool", "default": False},
    "user": {"type": "str", "default": ""},
    "verify": {"type": "bool", "default": False},
    "refuse": {"type": "bool", "default": False},
}


def main() -> None:
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    with _safe_io.reported(module):
        module.exit_json(changed=False, **Look(module)())


if __name__ == "__main__":
    main()
