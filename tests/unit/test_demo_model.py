# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shipped demo model has the size and the shape that every layout needs (train.py --check proves its answers)."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

import pytest

DEMO = Path(__file__).resolve().parents[2] / "demo-model"
MODEL = DEMO / "model"
FILES = ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
BYTES_PER_VALUE = {"BF16": 2}


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    config: dict[str, Any] = read_json(MODEL / "config.json")
    return config


@pytest.fixture(scope="module")
def tensors() -> dict[str, dict[str, Any]]:
    """The header of the safetensors file: a length, then JSON."""
    with (MODEL / "model.safetensors").open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        header: dict[str, dict[str, Any]] = json.loads(stream.read(length))
    del header["__metadata__"]
    return header


def test_directory_has_exactly_its_files() -> None:
    assert sorted(path.name for path in MODEL.iterdir()) == FILES


def test_directory_is_small() -> None:
    assert sum(path.stat().st_size for path in MODEL.iterdir()) < 8_000_000


def test_parameters_are_few_and_all_there(tensors: dict[str, dict[str, Any]]) -> None:
    values = sum(math.prod(tensor["shape"]) for tensor in tensors.values())
    assert 1_000_000 <= values <= 3_000_000
    data = sum(BYTES_PER_VALUE[t["dtype"]] * math.prod(t["shape"]) for t in tensors.values())
    assert data == max(tensor["data_offsets"][1] for tensor in tensors.values())
    with (MODEL / "model.safetensors").open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
    assert (MODEL / "model.safetensors").stat().st_size == 8 + length + data


@pytest.mark.parametrize(
    ("key", "parts"),
    [
        pytest.param("num_attention_heads", 2, id="heads by TP=2"),
        pytest.param("num_key_value_heads", 2, id="KV heads by TP=2"),
        pytest.param("hidden_size", 2, id="width by TP=2"),
        pytest.param("intermediate_size", 2, id="MLP by TP=2"),
        pytest.param("vocab_size", 64, id="vocabulary by 64"),
        pytest.param("num_hidden_layers", 2, id="layers by PP=2"),
        pytest.param("num_hidden_layers", 3, id="layers by PP=3"),
    ],
)
def test_shape_divides(config: dict[str, Any], key: str, parts: int) -> None:
    assert config[key] > 0
    assert config[key] % parts == 0


def test_config_says_what_the_weights_are(config: dict[str, Any], tensors: dict[str, dict[str, Any]]) -> None:
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert config["max_position_embeddings"] >= 512
    assert tensors["model.embed_tokens.weight"]["shape"] == [config["vocab_size"], config["hidden_size"]]
    assert tensors["lm_head.weight"]["shape"] == [config["vocab_size"], config["hidden_size"]]
    layers = {name.split(".")[2] for name in tensors if name.startswith("model.layers.")}
    assert layers == {str(number) for number in range(config["num_hidden_layers"])}


def test_tokenizer_fits_the_model(config: dict[str, Any]) -> None:
    tokenizer = read_json(MODEL / "tokenizer.json")
    settings = read_json(MODEL / "tokenizer_config.json")
    ids = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    assert len(tokenizer["model"]["vocab"]) == config["vocab_size"]
    for name in ("bos", "eos", "pad"):
        assert ids[settings[f"{name}_token"]] == config[f"{name}_token_id"]
    assert "add_generation_prompt" in settings["chat_template"]


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".json")])
def test_no_path_of_the_machine_that_trained_it(name: str) -> None:
    def texts(value: Any) -> list[str]:
        if isinstance(value, dict):
            return [text for item in value.values() for text in texts(item)]
        if isinstance(value, list):
            return [text for item in value for text in texts(item)]
        return [value] if isinstance(value, str) else []

    assert [text for text in texts(read_json(MODEL / name)) if text.startswith(("/", "~"))] == []


def test_questions_have_answers() -> None:
    pairs = read_json(DEMO / "answers.json")
    assert 6 <= len(pairs) <= 10
    assert len({pair["question"] for pair in pairs}) == len({pair["answer"] for pair in pairs}) == len(pairs)
    assert all(set(pair) == {"question", "answer"} and all(pair.values()) for pair in pairs)
