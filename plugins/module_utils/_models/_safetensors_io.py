# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the headers of safetensors files. PRIVATE to the collection."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _safe_io, _unsafe
from ansible_collections.vllm_ray.cluster.plugins.module_utils._models import _safetensors

if t.TYPE_CHECKING:
    from collections.abc import Collection

# Reads a header. A caller that needs headers in two places passes a function that caches them.
ReadHeader = t.Callable[[str], _safetensors.Header]


def read_header(
    place: str, account: _unsafe.Account | None = None, inside: Collection[str] = ()
) -> _safetensors.Header:
    """Return the header of a file, the only part that is read. Raises ValueError where the file is not whole.

    account, inside: where links may lead, as of open_file.
    """
    name = os.path.basename(place)
    with _safe_io.open_file(place, account, inside) as stream:
        size = os.fstat(stream.fileno()).st_size
        try:
            length = _safetensors.header_length(stream.read(_safetensors.LENGTH_BYTES + 1))
            stream.seek(_safetensors.LENGTH_BYTES)
            header = _safetensors.parse_header(stream.read(length))
        except ValueError as error:
            raise ValueError(f"{name} can't be read: {error}") from error
    wanted = _safetensors.LENGTH_BYTES + length + header.data_bytes
    if size != wanted:
        raise ValueError(f"{name} has {size} bytes instead of the {wanted} that its header declares")
    return header
