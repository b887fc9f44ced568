# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._models import _safetensors
from ansible_collections.vllm_ray.cluster.plugins.module_utils._models._safetensors import Tensor
from ansible_collections.vllm_ray.cluster.tests.unit import models

DEMO = models.ROOT / "demo-model" / "model" / "model.safetensors"
ENTRY = '{"dtype":"BF16","shape":[2,3],"data_offsets":[0,12]}'


def test_the_header_of_a_real_file_tells_its_length_to_the_byte() -> None:
    content = DEMO.read_bytes()
    length = _safetensors.header_length(content[:9])
    header = _safetensors.parse_header(content[8 : 8 + length])
    assert 8 + length + header.data_bytes == len(content)
    assert sum(tensor.bytes for tensor in header.tensors.values()) == header.data_bytes
    assert header.tensors["lm_head.weight"] == Tensor("BF16", (576, 256))


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\0" * 7, id="short"),
        pytest.param(b"\2" + b"\0" * 7, id="nothing-after-the-length"),
        pytest.param(b"\1" + b"\0" * 7 + b"{", id="no-header"),
        pytest.param((32 * 1024**2 + 1).to_bytes(8, "little") + b"{", id="too-long"),
        pytest.param((1000).to_bytes(8, "little") + b"\0", id="no-object"),
        pytest.param(b"version h", id="a-pointer-of-git-lfs"),
    ],
)
def test_what_is_no_safetensors_file(start: bytes) -> None:
    with pytest.raises(ValueError, match="does not start like a safetensors file"):
        _safetensors.header_length(start)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a":' + ENTRY[:-1], "not JSON"),
        ("[]", "not a JSON object"),
        ('{"a":{"dtype":"BF16","shape":[2]}}', "entry a has no dtype, shape or place"),
        ('{"a":{"dtype":"BF16","shape":2,"data_offsets":[0,4]}}', "entry a has no"),
        ('{"a":' + ENTRY.replace("BF16", "Q4_K") + "}", "unknown dtypes: Q4_K"),
    ],
)
def test_a_broken_header_is_told(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _safetensors.parse_header(text.encode())


def test_metadata_is_no_tensor() -> None:
    header = _safetensors.parse_header(('{"__metadata__":{"format":"pt"},"a":' + ENTRY + "}").encode())
    assert header == _safetensors.Header({"a": Tensor("BF16", (2, 3))}, 12)


@pytest.mark.parametrize(
    ("tensor", "size"),
    [(Tensor("F32", ()), 4), (Tensor("BF16", (2, 0)), 0), (Tensor("F4", (16, 3)), 24), (Tensor("I32", (3, 5)), 60)],
)
def test_bytes_of_a_tensor(tensor: Tensor, size: int) -> None:
    assert tensor.bytes == size


def test_a_real_index() -> None:
    index = _safetensors.parse_index((models.MODELS / "deepseek-v3" / "one_layer.index.json").read_text())
    assert index.total_size == 0
    assert set(index.files.values()) == {"model-00001-of-00001.safetensors"}
    assert len(index.files) == 10


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("{}", "no weight_map"),
        ('{"weight_map": {"a": 1}}', "no weight_map"),
        ("[]", "not a JSON object"),
    ],
)
def test_what_is_no_index(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _safetensors.parse_index(text)


def test_an_index_need_not_tell_the_size() -> None:
    assert _safetensors.parse_index('{"weight_map": {"a": "f"}}') == _safetensors.Index(0, {"a": "f"})
