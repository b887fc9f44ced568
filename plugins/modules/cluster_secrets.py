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
    details: A secret that is not there yet, or would be made anew, is returned as zeros.
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
  renew:
    description:
      - Those of O(names) to make anew because of O(reason).
      - That is done once as long as the reason stays the same, also where a run ends before all hosts have the new
        secret. An empty reason makes nothing anew, and forgets the last one.
    type: list
    elements: str
    default: []
  reason:
    description: Why secrets are made anew, such as names of hosts that must not know them any more.
    type: str
    default: ""
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

import contextlib
import os
import secrets

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils._service_set_io import make_directories, read_text


def write(path: str, text: str) -> None:
    """Write a file that only its owner may read: whole or not at all, also where the power fails."""
    temporary = f"{path}.new"
    # One that an ended run left may not be open to write.
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, path)
    directory = os.open(os.path.dirname(path), os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def read_or_make(path: str, reason: str, check_mode: bool) -> tuple[str, bool]:
    """Return a secret and whether it is new: there was none, or not yet another one for this reason."""
    secret, noted = read_text(path), f"{path}.renewed"
    before = read_text(noted) or ""
    if secret is not None and reason in ("", before):
        if before and not reason and not check_mode:
            os.unlink(noted)
        return secret.strip(), False
    if check_mode:
        return "0" * 64, True
    value = secrets.token_hex(32)
    write(path, value)
    if reason:
        # Not before the secret: who believes a note that came too early would keep the old one for ever.
        write(noted, reason)
    return value, True


def main() -> None:
    module = AnsibleModule(
        {
            "directory": {"type": "path", "required": True},
            "names": {"type": "list", "elements": "str", "required": True},
            "renew": {"type": "list", "elements": "str", "default": []},
            "reason": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    directory, reasons = module.params["directory"], dict.fromkeys(module.params["renew"], module.params["reason"])
    if not module.check_mode:
        if not os.path.isdir(os.path.dirname(directory)):
            make_directories(os.path.dirname(directory))
        os.makedirs(directory, mode=0o700, exist_ok=True)
    found = {
        name: read_or_make(os.path.join(directory, name), reasons.get(name, ""), module.check_mode)
        for name in module.params["names"]
    }
    module.exit_json(
        changed=any(new for _value, new in found.values()),
        values_by_name={name: value for name, (value, _new) in found.items()},
    )


if __name__ == "__main__":
    main()
