# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stages, checks and places files that the controller brings. PRIVATE to the collection."""

from __future__ import annotations

import hashlib
import os
import shutil
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils import _bring, _manifest_io

if t.TYPE_CHECKING:
    from collections.abc import Sequence

    from ansible.module_utils.basic import AnsibleModule


def hash_file(path: str) -> str:
    """Return the SHA-256 of a file, empty where there is none."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as stream:
            for block in iter(lambda: stream.read(1 << 20), b""):
                digest.update(block)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return ""
    return digest.hexdigest()


class Bring:
    """bundle_install: one of the two steps by which files come to a directory."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.path = module.params["path"]
        self.staging = os.path.join(self.path, _bring.STAGING)
        self.items = _bring.parse(module.params["files"])

    def __call__(self) -> dict[str, t.Any]:
        found = {item.path: hash_file(os.path.join(self.path, item.path)) for item in self.items}
        missing = _bring.missing(self.items, found)
        if self.module.check_mode or not missing:
            return {"changed": bool(missing), "staging": self.staging, "send": [], "bad": []}
        return self.stage(missing) if self.module.params["step"] == "stage" else self.install(missing)

    def stage(self, missing: Sequence[_bring.Item]) -> dict[str, t.Any]:
        """Make the staging directory for the connection's account, and tell what to send there."""
        needed, free = sum(item.size for item in missing), self.free()
        if free < needed:
            self.module.fail_json(
                msg=f"{free / 1e9:.1f} GB free in {self.path}. Wanted: {needed / 1e9:.1f} GB. To mend: make room, or "
                "set vllm_ray_root to a directory with room."
            )
        _manifest_io.make_directories(self.path)
        os.makedirs(self.staging, mode=0o700, exist_ok=True)
        account = self.module.params["account"]
        if os.geteuid() == 0 and account:
            os.chown(self.staging, account, -1)
        staged = {entry.name: entry.stat().st_size for entry in os.scandir(self.staging)}
        send = [item.path for item in _bring.to_send(missing, staged)]
        return {"changed": True, "staging": self.staging, "send": send, "bad": []}

    def free(self) -> int:
        existing = os.path.abspath(self.path)
        while not os.path.exists(existing):
            existing = os.path.dirname(existing)
        return shutil.disk_usage(existing).free

    def install(self, missing: Sequence[_bring.Item]) -> dict[str, t.Any]:
        """Take staged files over, so that nobody else writes to them, and give those that are right their names."""
        if os.geteuid() == 0:
            os.chown(self.staging, 0, 0)
        bad = []
        for item in missing:
            staged, target = os.path.join(self.staging, item.key), os.path.join(self.path, item.path)
            if os.path.isfile(staged) and os.geteuid() == 0:
                os.chown(staged, 0, 0)
            if hash_file(staged) != item.sha256:
                bad.append(item.path)
                continue
            _manifest_io.make_directories(os.path.dirname(target))
            os.chmod(staged, item.mode)
            os.replace(staged, target)
        shutil.rmtree(self.staging, ignore_errors=True)
        return {"changed": True, "staging": self.staging, "send": [], "bad": bad}
