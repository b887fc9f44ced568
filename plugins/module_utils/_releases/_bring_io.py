# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stages, checks and places files that the controller brings. PRIVATE to the collection."""

from __future__ import annotations

import hashlib
import os
import shutil
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _directory_io, _safe_io, _unsafe
from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases import _bring

if t.TYPE_CHECKING:
    from collections.abc import Sequence

    from ansible.module_utils.basic import AnsibleModule


def hash_stream(stream: t.BinaryIO) -> str:
    """Return the SHA-256 of what is left of a file."""
    digest = hashlib.sha256()
    for block in iter(lambda: stream.read(1 << 20), b""):
        digest.update(block)
    return digest.hexdigest()


def hash_file(path: str, size: int) -> str:
    """Return the SHA-256 of a file, empty where there is no regular one of this size."""
    try:
        with _safe_io.open_file(path) as stream:
            return hash_stream(stream) if os.fstat(stream.fileno()).st_size == size else ""
    except (FileNotFoundError, _unsafe.Unsafe):
        return ""


class Bring:
    """bundle_install: one of the two steps by which files come to a directory."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.path = module.params["path"]
        self.staging = os.path.join(self.path, _bring.STAGING)
        self.items = _bring.parse(module.params["files"])
        # Only root can give a directory away.
        self.account = module.params["account"] if os.geteuid() == 0 else os.geteuid()

    def __call__(self) -> dict[str, object]:
        found = {item.path: hash_file(os.path.join(self.path, item.path), item.size) for item in self.items}
        missing = _bring.missing(self.items, found)
        if self.module.check_mode or not missing:
            return {"changed": bool(missing), "staging": self.staging, "send": [], "bad": []}
        return self.stage(missing) if self.module.params["step"] == "stage" else self.install(missing)

    def stage(self, missing: Sequence[_bring.Item]) -> dict[str, object]:
        """Make the staging directory for the connection's account, and return what to send there."""
        needed, free = sum(item.size for item in missing), self.free()
        if free < needed:
            self.module.fail_json(
                msg=f"{free / 1e9:.1f} GB free in {self.path}. Expected: {needed / 1e9:.1f} GB. To fix: make room, or "
                "set vllm_ray_root to a directory with room."
            )
        above = _safe_io.open_directory(self.path, make=0o755)
        with above, above.enter(_bring.STAGING, make=0o700) as staging:
            staging.own(self.account, mode=0o700)
            sizes = {name: now.st_size for name in staging.names() if (now := staging.lstat(name))}
        send = [item.path for item in _bring.to_send(missing, sizes)]
        return {"changed": True, "staging": self.staging, "send": send, "bad": []}

    def free(self) -> int:
        existing = os.path.abspath(self.path)
        while not os.path.exists(existing):
            existing = os.path.dirname(existing)
        return shutil.disk_usage(existing).free

    def install(self, missing: Sequence[_bring.Item]) -> dict[str, object]:
        """Take staged files over, so that nobody else writes to them, and give those that are right their names."""
        bad = []
        with _safe_io.open_directory(self.path) as above:
            with above.enter(_bring.STAGING) as staging:
                staging.own(os.geteuid(), os.getegid(), 0o700)
                for item in missing:
                    if not self.place(staging, item):
                        bad.append(item.path)
            above.remove(_bring.STAGING)
        return {"changed": True, "staging": self.staging, "send": [], "bad": bad}

    def place(self, staging: _directory_io.Directory, item: _bring.Item) -> bool:
        """Give a staged file its name, if it is the right one; return whether it was."""
        if ".." in item.path.split("/") or item.path.startswith("/"):
            return False
        try:
            fd = staging.open(item.key)
        except (FileNotFoundError, _unsafe.Unsafe):
            return False
        with os.fdopen(fd, "rb") as stream:
            if os.fstat(fd).st_size != item.size:
                return False
            staging.own_file(item.key, os.geteuid(), os.getegid())
            if hash_stream(stream) != item.sha256:
                return False
        staging.own_file(item.key, mode=item.mode)
        with _safe_io.parent_of(os.path.join(self.path, item.path), make=0o755) as (folder, name):
            staging.rename(item.key, folder, name)
        return True
