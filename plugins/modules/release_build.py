#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release_build
short_description: Build a release on this host
description:
  - Makes a relocatable Python environment with exactly the packages of a lock, by uv, below C(root/releases).
  - It is made in a staging directory and gets its name when it is whole and every file is what its wheel brought.
    A run that was killed leaves nothing that counts; two runs at once wait for each other.
  - While it works, what uv says is in C(root/releases/.ID.log). The file stays where building fails.
  - uv does not read the configuration of pip. What is not given here is taken from pip's files and C(PIP_*) variables
    of the user who builds, and reaches uv by its environment.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._sources
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: A release is thousands of files.
  idempotent:
    support: full
options:
  root:
    description: Directory whose C(releases) and C(tools) hold releases and uv.
    type: path
    default: /opt/vllm-ray
  id:
    description: Id of the release, as M(vllm_ray.cluster.release_info) returned it.
    type: str
    required: true
  recipe_dir:
    description: Directory on this host with all files that the release is made from, and no other files.
    type: path
    required: true
  lock:
    description: Name of the lock in O(recipe_dir), without C(.lock).
    type: str
    required: true
  python:
    description: Path of the Python to stand on, or a version to the patch that uv installs. Default is C(python3).
    type: str
    default: ''
  python_mirror:
    description: URL of a mirror of the Pythons that uv installs.
    type: str
  no_index:
    description: Whether packages come from O(find_links) alone, whatever pip is configured with.
    type: bool
    default: false
  patience:
    description: Seconds to wait for another run that builds, unpacks or removes releases on this host, before it fails.
    type: float
    default: 600
  replace:
    description: Whether to compare a release that is there with its manifest, and to make it again where it differs.
    type: bool
    default: false
seealso:
  - module: vllm_ray.cluster.release_info
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Build
  vllm_ray.cluster.release_build:
    id: cpu-vllm0.32.0-py3.11.2-0f3b6c1d2a4e
    recipe_dir: /opt/vllm-ray/recipes/5f2c3b0e
    lock: cpu
"""

RETURN = r"""
id:
  description: Id of the release.
  returned: success
  type: str
  sample: cpu-vllm0.32.0-py3.11.2-0f3b6c1d2a4e
path:
  description: Where it is.
  returned: success
  type: str
  sample: /opt/vllm-ray/releases/cpu-vllm0.32.0-py3.11.2-0f3b6c1d2a4e
tree_bytes:
  description: Bytes of all files.
  returned: success
  type: int
  sample: 3900000000
manifest:
  description: SHA-256 of the manifest, empty in check mode.
  returned: success
  type: str
  sample: 5f2c3b0e
seconds:
  description: Seconds that the steps took.
  returned: success
  type: dict
  sample: {"uv": 0.1, "packages": 3.0, "comparison": 5.1, "bytecode": 22.0, "manifest": 1.2}
renewed:
  description:
    - Files that were not what the RECORD of their wheel says, by package. These packages were fetched anew, past uv's
      cache and compared with the lock's hash. Files that still differ have a RECORD that is wrong.
  returned: success
  type: dict
  sample: {}
ignored_sources:
  description: Directories that pip is configured with and that are not there.
  returned: success
  type: list
  elements: str
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils import _safe_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._release_io import SOURCES, Build

ARGUMENTS = {
    "root": {"type": "path", "default": "/opt/vllm-ray"},
    "id": {"type": "str", "required": True},
    "recipe_dir": {"type": "path", "required": True},
    "lock": {"type": "str", "required": True},
    "python": {"type": "str", "default": ""},
    "python_mirror": {"type": "str"},
    "no_index": {"type": "bool", "default": False},
    "patience": {"type": "float", "default": 600},
    "replace": {"type": "bool", "default": False},
    **SOURCES,
}


def main() -> None:
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    with _safe_io.reported(module):
        module.exit_json(**Build(module)())


if __name__ == "__main__":
    main()
