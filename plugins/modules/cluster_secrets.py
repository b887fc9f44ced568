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
  - A file with less than 32 printable characters is an error, so that no service starts with an empty secret.
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
import re
import secrets

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils._service_set_io import make_directories

# An administrator's own secret is taken, too. Shorter ones, and an empty file above all, are none.
SECRET = re.compile(r"[!-~]{32,}")


def read_or_make(path: str, check_mode: bool) -> tuple[str, bool]:
    """Return a secret and whether it is new."""
    try:
        with open(path, encoding="ascii", errors="replace") as stream:
            return stream.read().strip(), False
    except FileNotFoundError:
        if check_mode:
            return "0" * 64, True
    value = secrets.token_hex(32)
    temporary = f"{path}.new"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o400)
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        stream.write(value)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, path)
    return value, True


def main() -> None:
    module = AnsibleModule(
        {
            "directory": {"type": "path", "required": True},
            "names": {"type": "list", "elements": "str", "required": True},
        },
        supports_check_mode=True,
    )
    directory = module.params["directory"]
    if not module.check_mode:
        if not os.path.isdir(os.path.dirname(directory)):
            make_directories(os.path.dirname(directory))
        os.makedirs(directory, mode=0o700, exist_ok=True)
    found = {name: read_or_make(os.path.join(directory, name), module.check_mode) for name in module.params["names"]}
    unfit = [os.path.join(directory, name) for name, (value, _new) in found.items() if not SECRET.fullmatch(value)]
    if unfit:
        module.fail_json(
            msg=f"{', '.join(unfit)}: not 32 or more printable characters without spaces, so no secret. Restore the "
            "file, or remove it and run again with -e vllm_ray_restart=true: a new secret is made, and the services "
            "that use it restart."
        )
    module.exit_json(
        changed=any(new for _value, new in found.values()),
        values_by_name={name: value for name, (value, _new) in found.items()},
    )


if __name__ == "__main__":
    main()
