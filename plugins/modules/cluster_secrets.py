#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_secrets
short_description: Create and read the secrets of a cluster
description:
  - Creates each missing secret from 32 random bytes, in a file that only its owner may read.
  - Returns the secrets, so the task must set C(no_log).
  - Fails if a file has fewer than 32 printable characters, so that no service starts with an empty secret.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
attributes:
  check_mode:
    support: full
    details: In check mode, a secret that would be created or renewed is returned as zeros.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  directory:
    description: Directory of the secrets. It is created with mode 0700 if it is missing.
    type: path
    required: true
  names:
    description: Names of the secrets. Each is the name of a file in O(directory).
    type: list
    elements: str
    required: true
  renew:
    description:
      - Secrets of O(names) to renew, each with a list of reasons, such as hosts that must not know it any more.
      - A secret is renewed once for each reason, even if a run ends before all hosts have the new one. A reason that is
        no longer listed is forgotten.
    type: dict
    default: {}
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Create and read the secrets
  vllm_ray.cluster.cluster_secrets:
    directory: /etc/vllm-ray/default/secrets
    names: [ray.token, api.key]
  no_log: true
  register: secrets
"""

RETURN = r"""
values_by_name:
  description: Secrets by name.
  returned: always
  type: dict
former:
  description: SHA-256 of the previous secrets, by name. Empty if there was none. Use it to find files with a previous
    secret.
  returned: always
  type: dict
"""

import hashlib
import os
import secrets

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _directory_io, _redact, _safe_io, _unsafe

LARGEST = 64 * 1024


def read(path: str) -> str | None:
    """Return a text of ours, None where there is none. Raises OSError, Unsafe where its file is not one of ours."""
    try:
        with _safe_io.open_file(path) as stream:
            if not _directory_io.trusted(os.fstat(stream.fileno()).st_uid):
                raise _unsafe.Unsafe(path, "a file of another account, which knows the secret", "one of our own")
            data = stream.read(LARGEST)
    except FileNotFoundError:
        return None
    if not data.isascii():
        raise _unsafe.Unsafe(path, "a file with other characters than ASCII", "a secret")
    return data.decode().strip()


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def read_or_make(path: str, reasons: list[str], check_mode: bool) -> tuple[str, bool]:
    """Return a secret and whether it is new: there was none, or not yet another one for each reason. Raises OSError."""
    before, is_new, noted = read(path), False, f"{path}.renewed"
    secret = before
    done = (read(noted) or "").split()
    notes = [digest(reason) for reason in reasons]
    if secret is None or not set(notes) <= set(done):
        secret, is_new = "0" * 64 if check_mode else secrets.token_hex(32), True
    if check_mode:
        return secret, is_new
    if is_new:
        if before is not None:
            _safe_io.write_file(f"{path}.former", digest(before).encode(), mode=0o400, sync=True)
        _safe_io.write_file(path, secret.encode(), mode=0o400, sync=True)
    # Not before the secret: a run that believes a note which came too early would keep the old one for ever.
    if not notes:
        _safe_io.remove(noted)
    elif notes != done:
        _safe_io.write_file(noted, "\n".join(notes).encode(), mode=0o400, sync=True)
    return secret, is_new


def refuse_unfit(module: AnsibleModule, found: dict[str, str]) -> None:
    """End the module where a file holds no secret. found: by path."""
    unfit = [path for path, value in found.items() if not _redact.SECRET.fullmatch(value)]
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
            "renew": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    directory, check, names = module.params["directory"], module.check_mode, module.params["names"]
    renew = module.params["renew"]
    with _safe_io.reported(module):
        if not check:
            _safe_io.make_directories(os.path.dirname(directory))
            _safe_io.make_directories(directory, mode=0o700)
        paths = {name: os.path.join(directory, name) for name in names}
        before = {name: read(path) for name, path in paths.items()}
        found = {name: read_or_make(path, renew.get(name, []), check) for name, path in paths.items()}
        former = {
            name: digest(old) if new and old else read(f"{paths[name]}.former") or ""
            for (name, old), (_value, new) in zip(before.items(), found.values())
        }
    refuse_unfit(module, {paths[name]: value for name, (value, _new) in found.items()})
    values = {name: value for name, (value, _new) in found.items()}
    module.exit_json(changed=any(new for _value, new in found.values()), values_by_name=values, former=former)


if __name__ == "__main__":
    main()
