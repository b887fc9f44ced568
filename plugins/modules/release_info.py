#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release_info
short_description: Gather facts about a release on a host
description:
  - Returns whether a release is complete on this host, its Python and its package versions.
  - With O(path), it inspects an environment that the user provides. It runs the Python of the environment as O(user) to
    read the packages, the parts of C(ray[default]) that Ray's head requires, and the CUDA version of torch.
  - It reads only directories and small files, unless O(verify) is set.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
options:
  root:
    description: Directory that contains releases in C(releases).
    type: path
    default: /opt/vllm-ray
  path:
    description: Path of an existing virtual environment or conda prefix. Other releases are not inspected then.
    type: path
  id:
    description: Id of an existing release. Recipe and Python do not need to be given, because the release records them.
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
      - Name of the lock. With O(path), V(cuda) requires a torch with GPU support, V(cpu) does not.
    type: str
    default: ''
  uv_version:
    description: Version of uv that builds releases.
    type: str
    default: ''
  python:
    description: Python for the release. Either a path, or a full version (with patch) that uv installs. Default is
      C(python3).
    type: str
    default: ''
  builder_python:
    description: RV(python) of this module for the builder. The Python of this host must be the same.
    type: dict
    suboptions:
      version:
        description: Full version, including the patch.
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
        description: Whether uv installs it.
        type: bool
        required: true
  builder_id:
    description: RV(id) of this module for the builder, which builds one release for all hosts of a play.
    type: str
  builds:
    description: Whether this host would build the release. If so, the requirements of a build are also checked.
    type: bool
    default: false
  brings_uv:
    description: Whether uv is copied to this host before it builds. If so, the requirements to install uv are not
      checked.
    type: bool
    default: false
  space_gib:
    description: Free space that a build requires, in GiB.
    type: int
    default: 0
  min_driver:
    description: Minimum major version of the NVIDIA driver. If unset, the driver is not checked.
    type: int
  libraries:
    description: Names of shared libraries that the host must have.
    type: list
    elements: str
    default: []
  compiles:
    description: Whether engines compile code on this host when they start, like Triton for GPUs. If so, a C compiler
      and the headers of C and Python are required.
    type: bool
    default: false
  user:
    description:
      - Account of the services. If the module runs as root, it runs the Python of a release or environment as this
        account, or as C(nobody) if the account does not exist yet. If empty, as the user who runs the module.
    type: str
    default: ''
  verify:
    description: Whether to hash every file and compare the hashes with the manifest.
    type: bool
    default: false
  refuse:
    description: Whether to fail if a problem is an error.
    type: bool
    default: false
seealso:
  - module: vllm_ray.cluster.release_build
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Check an environment
  vllm_ray.cluster.release_info:
    path: /srv/conda/envs/vllm
  register: environment
"""

RETURN = r"""
complete:
  description: Whether the release exists and is complete.
  returned: always
  type: bool
  sample: true
id:
  description: Id of the release, empty for an environment in O(path).
  returned: always
  type: str
  sample: cpu-vllm0.32.0-py3.11.2-0f3b6c1d2a4e
path:
  description: Path where the release is or would be.
  returned: always
  type: str
  sample: /opt/vllm-ray/releases/cpu-vllm0.32.0-py3.11.2-0f3b6c1d2a4e
python:
  description:
    - Python interpreter of the release. Will be V(none) if there is none, or if this host does not have the release
      O(id).
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
  description: Size of all files, in bytes.
  returned: always
  type: int
  sample: 3900000000
damaged:
  description: Differences between files and the manifest. Empty without O(verify).
  returned: always
  type: list
  elements: str
  sample: []
missing_packages:
  description: Packages of the distribution that must be installed.
  returned: always
  type: list
  elements: str
  sample: [libnuma1]
problems:
  description: Problems, each with check, severity, found, wanted and fix.
  returned: always
  type: list
  elements: dict
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _safe_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases._release_look_io import Look

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
