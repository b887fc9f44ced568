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

import hashlib
import os
import re
import secrets

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils import _safe_io

LARGEST = 64 * 1024
# An administrator's own secret is taken, too. Shorter ones, and an empty file above all, are none.
SECRET = re.compile(r"[!-~]{32,}")


def read(path: str) -> str | None:
    """Return a text of ours, None where there is none. Raises OSError, Unsafe where its file is not one of ours."""
    try:
        with _safe_io.open_file(path) as stream:
            if not _safe_io.trusted(os.fstat(stream.fileno()).st_uid):
                raise _safe_io.Unsafe(path, "a file of another account, which knows the secret", "one of our own")
            data = stream.read(LARGEST)
    except FileNotFoundError:
        return None
    if not data.isascii():
        raise _safe_io.Unsafe(path, "a file with other characters than ASCII", "a secret")
    return data.decode().strip()


def read_or_make(path: str, reason: str, check_mode: bool) -> tuple[str, bool]:
    """Return a secret and whether it is new: there was none, or not yet another one for this reason. Raises OSError."""
    secret, noted = read(path), f"{path}.renewed"
    note = hashlib.sha256(reason.encode()).hexdigest()
    if secret is not None and (not reason or note == read(noted)):
        if not reason and not check_mode:
            _safe_io.remove(noted)
        return secret, False
    if check_mode:
        return "0" * 64, True
    value = secrets.token_hex(32)
    _safe_io.write_file(path, value.encode(), mode=0o400, sync=True)
    if reason:
        # Not before the secret: who believes a note that came too early would keep the old one for ever.
        _safe_io.write_file(noted, note.encode(), mode=0o400, sync=True)
    return value, True


def refuse_unfit(module: AnsibleModule, found: dict[str, str]) -> None:
    """End the module where a file holds no secret. found: by path."""
    unfit = [path for path, value in found.items() if not SECRET.fullmatch(value)]
    if unfit:
        module.fail_json(
            msg=f"{', '.join(unfit)}: not 32 or more printable characters without spaces, so no secret. Restore the "
            "file, or remove it and run again with -e vllm_ray_restart=true: a new secret is made, and the services "
            "that use it restart."
        )


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
    directory, check, names = module.params["directory"], module.check_mode, module.params["names"]
    reasons = {**dict.fromkeys(names, ""), **dict.fromkeys(module.params["renew"], module.params["reason"])}
    with _safe_io.reported(module):
        if not check:
            _safe_io.make_directories(os.path.dirname(directory))
            _safe_io.make_directories(directory, mode=0o700)
        found = {name: read_or_make(os.path.join(directory, name), reasons[name], check) for name in names}
    refuse_unfit(module, {os.path.join(directory, name): value for name, (value, _new) in found.items()})
    values = {name: value for name, (value, _new) in found.items()}
    module.exit_json(changed=any(new for _value, new in found.values()), values_by_name=values)


if __name__ == "__main__":
    main()
