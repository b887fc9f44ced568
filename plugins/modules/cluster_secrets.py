#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_secrets
short_description: Make and read the secrets of a cluster
description:
  - Makes each secret that is not there yet from 32 random bytes, in a file that only its owner may read.
  - The secrets are returned, so a task that calls this must set C(no_log).
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
attributes:
  check_mode:
    support: full
    details: A secret that is not there yet is returned as zeros.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  directory:
    description: Directory of the secrets. It is made with mode 0700.
    type: path
    required: true
  names:
    description: Names of the secrets, each the name of a file.
    type: list
    elements: str
    required: true
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Make and read the secrets
  vllm_ray.cluster.cluster_secrets:
    directory: /etc/vllm-ray/default/secrets
    names: [ray.token, api.key]
  no_log: true
  register: secrets
"""

RETURN = r"""
values_by_name:
  description: The secrets by name.
  returned: always
  type: dict
"""

import os
import secrets

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils import _safe_io

LARGEST = 64 * 1024


def read_or_make(path: str, check_mode: bool) -> tuple[str, bool]:
    """Return a secret and whether it is new. Raises OSError, Unsafe where its file is not one of ours."""
    try:
        with _safe_io.open_file(path) as stream:
            if not _safe_io.trusted(os.fstat(stream.fileno()).st_uid):
                raise _safe_io.Unsafe(path, "a file of another account, which knows the secret", "one of our own")
            data = stream.read(LARGEST)
        if not data.isascii():
            raise _safe_io.Unsafe(path, "a file with other characters than ASCII", "a secret")
        return data.decode().strip(), False
    except FileNotFoundError:
        if check_mode:
            return "0" * 64, True
    value = secrets.token_hex(32)
    _safe_io.write_file(path, value.encode(), mode=0o400, sync=True)
    return value, True


def main() -> None:
    module = AnsibleModule(
        {
            "directory": {"type": "path", "required": True},
            "names": {"type": "list", "elements": "str", "required": True},
        },
        supports_check_mode=True,
    )
    directory, check = module.params["directory"], module.check_mode
    with _safe_io.reported(module):
        if not check:
            _safe_io.make_directories(os.path.dirname(directory))
            _safe_io.make_directories(directory, mode=0o700)
        found = {name: read_or_make(os.path.join(directory, name), check) for name in module.params["names"]}
    module.exit_json(
        changed=any(new for _value, new in found.values()),
        values_by_name={name: value for name, (value, _new) in found.items()},
    )


if __name__ == "__main__":
    main()
