# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a support bundle. PRIVATE to the collection."""

from __future__ import annotations

import base64
import gzip
import io
import os
import re
import tarfile
import time
import typing as t
import zlib

from ansible_collections.vllm_ray.cluster.plugins.module_utils._host._support import missing_text
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._screens._support_bundle import is_member_name

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._redact import Redactor

MIB = 1024**2
# A host's part has at most 40 MiB of text, each file at most 2 MiB (total_mib, file_mib of support_part), and headers.
# A host that was broken into sends what it likes.
PART_BYTES, FILE_BYTES, FILES = 64 * MIB, 8 * MIB, 5000
# Of one host, as many faults are named.
FAULTS = 20
# Compressed, as it comes.
ARCHIVE_BYTES = 64 * MIB


class PartError(Exception):
    """A host's part that is not taken; the message says why."""


class Bounded(io.RawIOBase):
    """A stream that ends with an error after a number of bytes, whatever they were on the wire."""

    def __init__(self, stream: t.IO[bytes], limit: int) -> None:
        self.stream, self.left = stream, limit

    def read(self, size: int = -1) -> bytes:
        data = self.stream.read(self.left + 1 if size < 0 else min(size, self.left + 1))
        self.left -= len(data)
        if self.left < 0:
            raise PartError(f"it unpacks to more than {PART_BYTES // MIB} MiB")
        return data


def keep(folder: str, host: str, archive: object) -> str:
    """Write the archive that a host sent into a folder, and return its path. Raises PartError."""
    if not isinstance(archive, str) or len(archive) > ARCHIVE_BYTES * 4 // 3:
        raise PartError(f"its archive is not a text of at most {ARCHIVE_BYTES // MIB} MiB")
    try:
        data = base64.b64decode(archive, validate=True)
    except ValueError as error:
        raise PartError(f"its archive is not in Base64: {error}") from error
    os.makedirs(folder, mode=0o700, exist_ok=True)
    path = os.path.join(folder, f"{host_folder(host)}.tar.gz")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        stream.write(data)
    return path


def host_folder(host: str) -> str:
    """Return the name of a host's folder."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", host).lstrip(".") or "_"


def members(archive: str, refuse: Callable[[str], None]) -> Iterator[tuple[str, bytes]]:
    """Return names and contents of the files of a host's archive, one in memory at a time.

    refuse: takes a sentence about what is left out. Raises PartError where nothing more can be read.
    """
    seen: set[str] = set()
    try:
        with gzip.open(archive) as unpacked:
            stream = t.cast("t.IO[bytes]", Bounded(t.cast("t.IO[bytes]", unpacked), PART_BYTES))
            with tarfile.open(fileobj=stream, mode="r|", bufsize=tarfile.BLOCKSIZE) as part:
                for number, member in enumerate(part):
                    if number >= FILES:
                        raise PartError(f"it has more than {FILES} files")
                    why = ""
                    if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.issparse():
                        why = "is not a plain file"
                    elif not is_member_name(member.name) or member.name in seen:
                        why = "is not a name that support_part gives, or is there twice"
                    elif member.size > FILE_BYTES:
                        why = f"is larger than {FILE_BYTES // MIB} MiB"
                    if why:
                        refuse(f"{member.name[:200]!r} {why}")
                        continue
                    seen.add(member.name)
                    yield member.name, t.cast("t.IO[bytes]", part.extractfile(member)).read()
    except (tarfile.TarError, EOFError, zlib.error, OSError, ValueError) as error:
        raise PartError(f"it is not a readable archive: {error}") from error


def join(path: str, name: str, texts: Mapping[str, str], archives: Mapping[str, str], redactor: Redactor) -> list[str]:
    """Write a bundle, readable for its owner alone: texts, and the files of each host's archive.

    Hosts have taken out what they know; redactor knows what they must not, such as the token of a hub. What a part
    never holds is left out. Returns a sentence for each such thing; the bundle has them in the file REFUSED.
    """
    refused: list[str] = []
    opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(opened, "wb") as stream, tarfile.open(fileobj=stream, mode="w:gz", compresslevel=6) as bundle:
        for title, text in texts.items():
            put(bundle, f"{name}/{title}", text.encode(errors="replace"))
        for host, archive in archives.items():
            faults: list[str] = []
            try:
                for member, data in members(archive, faults.append):
                    text = redactor.known(data.decode(errors="replace"))
                    put(bundle, f"{name}/hosts/{host_folder(host)}/{member}", text.encode())
            except PartError as error:
                faults.append(str(error))
            refused += [f"{host}: {fault}" for fault in faults[:FAULTS]]
            refused += [f"{host}: {len(faults) - FAULTS} more"] if len(faults) > FAULTS else []
        if refused:
            put(bundle, f"{name}/REFUSED", redactor.known(missing_text(refused)).encode(errors="replace"))
    return refused


def put(bundle: tarfile.TarFile, name: str, data: bytes) -> None:
    """Put a file into an archive."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = len(data), 0o600, int(time.time())
    bundle.addfile(entry, io.BytesIO(data))
