# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The headers of safetensors files, and the index of several of them. PRIVATE to the collection.

A file begins with 8 bytes, the length of its header (unsigned, little-endian), followed by the header: JSON, a tensor's
name to its dtype, shape and place (https://github.com/huggingface/safetensors#format).
"""

from __future__ import annotations

import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _json

LENGTH_BYTES = 8
# The library itself accepts 100 MB. A hundred thousand tensors, more than any model has in a file, are 15 MB.
LONGEST_HEADER = 32 * 1024**2
# What torch accepts.
MOST_DIMENSIONS = 64
# Bits of one element. Types of sub-bytes are packed, so their shapes count elements.
BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "U16": 16, "I16": 16, "F16": 16, "BF16": 16, "U32": 32, "I32": 32, "F32": 32,
    "U64": 64, "I64": 64, "F64": 64, "C64": 64, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}  # fmt: skip


class Tensor(t.NamedTuple):
    """A tensor of a file. dtype: as safetensors names it, BF16 for example."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def elements(self) -> int:
        count = 1
        for length in self.shape:
            count *= length
        return count

    @property
    def bytes(self) -> int:
        return self.elements * BITS[self.dtype] // 8


class Header(t.NamedTuple):
    """What a file holds. data_bytes: length of what follows the header."""

    tensors: dict[str, Tensor]
    data_bytes: int


class Index(t.NamedTuple):
    """model.safetensors.index.json. total_size: bytes of all tensors, 0 where it is missing."""

    total_size: int
    files: dict[str, str]


def header_length(start: bytes) -> int:
    """Return the length of a header from the first 9 bytes of its file. Raises ValueError where it can't be one."""
    length = int.from_bytes(start[:LENGTH_BYTES], "little")
    if start[LENGTH_BYTES:] != b"{" or not 2 <= length <= LONGEST_HEADER:
        raise ValueError("it does not start like a safetensors file")
    return length


def parse_header(text: bytes) -> Header:
    """Return the content of a header. Raises ValueError where it is not whole or names an unknown dtype."""
    tensors, end, name = {}, 0, ""
    entries = _mapping(text, "the header")
    try:
        for name, entry in entries.items():
            if name != "__metadata__":
                shape = entry["shape"][: MOST_DIMENSIONS + 1]
                tensors[name] = Tensor(str(entry["dtype"])[:20], tuple(int(length) for length in shape))
                end = max(end, int(entry["data_offsets"][1]))
    except (KeyError, TypeError, IndexError, ValueError, OverflowError) as error:
        raise ValueError(f"the header's entry {name[:200]} has no dtype, shape or place") from error
    if any(len(tensor.shape) > MOST_DIMENSIONS for tensor in tensors.values()):
        raise ValueError(f"the header has tensors of more than {MOST_DIMENSIONS} dimensions")
    unknown = sorted({tensor.dtype for tensor in tensors.values()} - set(BITS))
    if unknown:
        raise ValueError(f"the header has unknown dtypes: {', '.join(unknown[:5])}")
    return Header(tensors, end)


def parse_index(text: str | bytes) -> Index:
    """Return the index: each tensor's file. Raises ValueError where it is none."""
    index = _mapping(text, "the index")
    files = index.get("weight_map")
    if not isinstance(files, dict) or not all(isinstance(file, str) for file in files.values()):
        raise ValueError("the index has no weight_map")
    metadata = index.get("metadata")
    total = metadata.get("total_size") if isinstance(metadata, dict) else None
    return Index(int(total) if isinstance(total, (int, float)) and abs(total) < 1 << 63 else 0, dict(files))


def _mapping(text: str | bytes, what: str) -> dict[str, t.Any]:
    try:
        return _json.parse(text, dict)
    except ValueError as error:
        raise ValueError(f"{what} can't be used: {error}") from error
