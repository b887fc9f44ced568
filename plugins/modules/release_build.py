#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release_build
short_description: Build a release on this host
description:
  - Creates a relocatable Python environment below C(root/releases) with uv, with exactly the packages of a lock.
  - The environment is created in a staging directory. It is renamed when it is complete and every file matches its
    wheel. A killed run leaves no release. Concurrent runs wait for each other.
  - The output of uv is in C(root/releases/.ID.log) during the build. The file is kept if the build fails.
  - uv does not read pip's configuration. For options that are not set, the module reads pip's files and the C(PIP_*)
    variables of the user who builds, and passes them to uv in its environment.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._sources
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: A release has thousands of files.
  idempotent:
    support: full
options:
  root:
    description: Directory that contains releases in C(releases) and uv in C(tools).
    type: path
    default: /opt/vllm-ray
  id:
    description: Id of the release, as M(vllm_ray.cluster.release_info) returned it.
    type: str
    required: true
  recipe_dir:
    description: Directory on this host with exactly the files that the release is built from.
    type: path
    required: true
  lock:
    description: Name of the lock in O(recipe_dir), without C(.lock).
    type: str
    required: true
  python:
    description: Python for the release. Either a path, or a full version (with patch) that uv installs. Default is
      C(python3).
    type: str
    default: ''
  python_mirror:
    description: URL of a mirror for the Python builds that uv installs. Default is uv's own.
    type: str
  no_index:
    description: Whether packages are taken only from O(find_links), regardless of pip's configuration.
    type: bool
    default: false
  patience:
    description: Seconds to wait for another run that builds, unpacks or removes releases on this host. After that, the
      module fails.
    type: float
    default: 600
  replace:
    description: Whether to compare an existing release with its manifest, and to build it again if it differs.
    type: bool
    default: false
seealso:
  - module: vllm_ray.cluster.release_info
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Build a release
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
  description: Path of the release.
  returned: success
  type: str
  sample: /opt/vllm-ray/releases/cpu-vllm0.32.0-py3.11.2-0f3b6c1d2a4e
tree_bytes:
  description: Size of all files, in bytes.
  returned: success
  type: int
  sample: 3900000000
manifest:
  description: SHA-256 of the manifest, empty in check mode.
  returned: success
  type: str
  sample: 5f2c3b0e
seconds:
  description: Duration of each step, in seconds.
  returned: success
  type: dict
  sample: {"uv": 0.1, "packages": 3.0, "comparison": 5.1, "bytecode": 22.0, "manifest": 1.2}
renewed:
  description:
    - Files that did not match the RECORD of their wheel, by package. These packages were downloaded again without uv's
      cache and checked against the lock's hash. Files that still differ have a wrong RECORD.
  returned: success
  type: dict
  sample: {}
ignored_sources:
  description: Directories in pip's configuration that do not exist.
  returned: success
  type: list
  elements: str
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _safe_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases._release_build_io import Build
from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases._tools_io import SOURCES

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
