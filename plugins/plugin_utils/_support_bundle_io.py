# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a support bundle. PRIVATE to the collection."""

from __future__ import annotations

import io
import os
import tarfile
import time
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._redact import Redactor


def join(path: str, name: str, texts: Mapping[str, str], archives: Mapping[str, str], redactor: Redactor) -> None:
    """Write a bundle, readable for its owner alone: texts, and the files of each host's archive.

    Hosts have taken out what they know; redactor knows what they must not, such as the token of a hub.
    """
    opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(opened, "wb") as stream, tarfile.open(fileobj=stream, mode="w:gz", compresslevel=6) as bundle:
        for title, text in texts.items():
            put(bundle, f"{name}/{title}", text.encode(errors="replace"))
        for host, archive in archives.items():
            with tarfile.open(archive, mode="r:gz") as part:
                for member in part:
                    data = part.extractfile(member)
                    if data:
                        text = redactor.known(data.read().decode(errors="replace"))
                        put(bundle, f"{name}/hosts/{host}/{member.name}", text.encode())


def put(bundle: tarfile.TarFile, name: str, data: bytes) -> None:
    """Put a file into an archive."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = len(data), 0o600, int(time.time())
    bundle.addfile(entry, io.BytesIO(data))
