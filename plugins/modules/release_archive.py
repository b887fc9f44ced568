#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release_archive
short_description: Pack and unpack a release to copy it from the controller to a host
description:
  - Contains the steps on both sides of a copy. A release is installed on the receiving host only if every file matches
    the manifest of the controller.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: A release has thousands of files.
  idempotent:
    support: partial
    details: V(packed) always writes the archive. V(unpacked) is idempotent.
options:
  state:
    description:
      - V(packed) writes the archive. Only its owner can read it.
      - V(unpacked) installs the release from the archive.
    type: str
    choices: [packed, unpacked]
    required: true
  root:
    description: Directory that contains releases in C(releases).
    type: path
    default: /opt/vllm-ray
  id:
    description: Id of the release.
    type: str
    required: true
  archive:
    description: Path of the archive.
    type: path
    required: true
  manifest:
    description: SHA-256 of the manifest. Required for O(state=unpacked).
    type: str
  size:
    description: Size of the release in bytes, for O(state=unpacked).
    type: int
    default: 0
  patience:
    description: Seconds to wait for another run that builds, unpacks or removes releases on this host. After that, the
      module fails.
    type: float
    default: 600
  replace:
    description: Whether V(unpacked) replaces an existing release that differs from its manifest.
    type: bool
    default: false
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Pack a release
  vllm_ray.cluster.release_archive:
    state: packed
    id: cpu-vllm0.32.0-py3.11.2-0f3b6c1d2a4e
    archive: /var/tmp/private/release.tar
"""

RETURN = r"""
archive:
  description: Path of the archive.
  returned: O(state=packed)
  type: str
  sample: /var/tmp/private/release.tar
path:
  description: Path of the release.
  returned: O(state=unpacked)
  type: str
  sample: /opt/vllm-ray/releases/cpu-vllm0.32.0-py3.11.2-0f3b6c1d2a4e
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _safe_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases._release_io import Archive

ARGUMENTS = {
    "state": {"type": "str", "choices": ["packed", "unpacked"], "required": True},
    "root": {"type": "path", "default": "/opt/vllm-ray"},
    "id": {"type": "str", "required": True},
    "archive": {"type": "path", "required": True},
    "manifest": {"type": "str"},
    "size": {"type": "int", "default": 0},
    "patience": {"type": "float", "default": 600},
    "replace": {"type": "bool", "default": False},
}
REQUIRED = [("state", "unpacked", ["manifest"])]


def main() -> None:
    module = AnsibleModule(ARGUMENTS, required_if=REQUIRED, supports_check_mode=True)
    with _safe_io.reported(module):
        module.exit_json(**Archive(module)())


if __name__ == "__main__":
    main()
