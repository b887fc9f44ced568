#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release_archive
short_description: Move a release from host to host as one file
description:
  - The steps at both ends of a copy. A release counts on the receiving host only when every file is what the manifest
    of the builder says.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: A release is thousands of files.
  idempotent:
    support: partial
    details: V(room) and V(packed) make something new each time. V(unpacked) is idempotent.
options:
  state:
    description:
      - V(room) makes a directory for the archive that only the present user enters, and fails where there is too
        little room.
      - V(packed) writes the archive and gives it to the user who has the directory it is in.
      - V(unpacked) makes the release from the archive.
    type: str
    choices: [room, packed, unpacked]
    required: true
  root:
    description: Directory whose C(releases) holds releases.
    type: path
    default: /opt/vllm-ray
  id:
    description: Id of the release. Needed unless O(state=room).
    type: str
  archive:
    description: Path of the archive. Needed unless O(state=room).
    type: path
  manifest:
    description: SHA-256 of the builder's manifest. Needed for O(state=unpacked).
    type: str
  replace:
    description: Whether V(unpacked) replaces a release that is there and differs from its manifest.
    type: bool
    default: false
  directory:
    description: Where V(room) makes its directory.
    type: path
    default: /var/tmp
  size:
    description: Bytes of the release, for V(room).
    type: int
    default: 0
  unpacks:
    description: Whether the release is going to be unpacked here, too.
    type: bool
    default: true
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Pack
  vllm_ray.cluster.release_archive:
    state: packed
    id: cpu-vllm0.32.0-py3.11.2-0f3b6c1d2a4e
    archive: /var/tmp/private/release.tar
"""

RETURN = r"""
directory:
  description: The directory that was made, empty in check mode.
  returned: O(state=room)
  type: str
  sample: /var/tmp/vllm-ray-release-x3k2j1
archive:
  description: Path of the archive.
  returned: O(state=packed)
  type: str
  sample: /var/tmp/vllm-ray-release-x3k2j1/release.tar
path:
  description: Where the release is.
  returned: O(state=unpacked)
  type: str
  sample: /opt/vllm-ray/releases/cpu-vllm0.32.0-py3.11.2-0f3b6c1d2a4e
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils._release_io import Archive

ARGUMENTS = {
    "state": {"type": "str", "choices": ["room", "packed", "unpacked"], "required": True},
    "root": {"type": "path", "default": "/opt/vllm-ray"},
    "id": {"type": "str"},
    "archive": {"type": "path"},
    "manifest": {"type": "str"},
    "replace": {"type": "bool", "default": False},
    "directory": {"type": "path", "default": "/var/tmp"},
    "size": {"type": "int", "default": 0},
    "unpacks": {"type": "bool", "default": True},
}
REQUIRED = [("state", "packed", ["id", "archive"]), ("state", "unpacked", ["id", "archive", "manifest"])]


def main() -> None:
    module = AnsibleModule(ARGUMENTS, required_if=REQUIRED, supports_check_mode=True)
    module.exit_json(**Archive(module)())


if __name__ == "__main__":
    main()
