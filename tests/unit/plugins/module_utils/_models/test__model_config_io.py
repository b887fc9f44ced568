# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs import _hub, _hub_pin
from ansible_collections.vllm_ray.cluster.plugins.module_utils._models import _model_config_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._manifest_io import Unusable
from ansible_collections.vllm_ray.cluster.tests.unit import models

DEMO = models.ROOT / "demo-model" / "model"
WEIGHTS = "model.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The demo model, which tests may damage."""
    return Path(shutil.copytree(DEMO, tmp_path / "model"))


def info(folder: Path) -> dict[str, Any]:
    params = {"model": str(folder), "hub": "huggingface", "revision": "", "endpoint": "", "token": None}
    return _model_config_io.info(_model_config_io.query_of(params)).as_dict()


def test_the_demo_model_to_the_byte() -> None:
    found = info(DEMO)
    model = found["model"]
    parts = [sum(model["layer_bytes"]), model["embedding_bytes"], model["head_bytes"], model["other_bytes"]]
    with (DEMO / WEIGHTS).open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
    assert sum(parts) == os.path.getsize(DEMO / WEIGHTS) - 8 - length
    assert (model["bytes_from"], model["notes"], found["place"], found["commit"]) == ("files", (), str(DEMO), "")


def test_only_headers_are_read(folder: Path) -> None:
    weights = folder / WEIGHTS
    size = weights.stat().st_size
    with weights.open("rb+") as stream:
        # What follows the header becomes a hole of a file of the same size: nobody may look at it.
        stream.truncate(8 + int.from_bytes(stream.read(8), "little"))
        stream.truncate(size)
    assert info(folder)["model"] == info(DEMO)["model"]


@pytest.mark.parametrize("change", [-1, 1], ids=["cut", "longer"])
def test_a_file_of_the_wrong_size_is_told(folder: Path, change: int) -> None:
    size = (folder / WEIGHTS).stat().st_size
    os.truncate(folder / WEIGHTS, size + change)
    with pytest.raises(Unusable, match=f"{WEIGHTS} has {size + change} bytes instead of the {size}"):
        info(folder)


def test_a_pointer_of_git_lfs_is_no_model(folder: Path) -> None:
    (folder / WEIGHTS).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5321176\n")
    with pytest.raises(Unusable, match=f"{WEIGHTS} can't be read: it does not start like a safetensors file"):
        info(folder)


def test_a_file_of_the_index_that_is_missing_is_named(folder: Path) -> None:
    files = {f"tensor{number}": f"model-{number:05}-of-00006.safetensors" for number in range(1, 7)}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": files}))
    with pytest.raises(Unusable, match=r"model-00001-of-00006.safetensors, .* and 3 more"):
        info(folder)


def test_files_beside_those_of_the_index_do_not_count(folder: Path) -> None:
    wanted = info(folder)["model"]
    shutil.copy(folder / WEIGHTS, folder / "consolidated.safetensors")
    assert info(folder)["model"] == wanted
    shutil.copy(folder / WEIGHTS, folder / "adapter.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"lm_head.weight": WEIGHTS}}))
    assert info(folder)["model"] == wanted


def test_without_weights_the_shapes_tell(folder: Path) -> None:
    wanted = info(folder)["model"]
    (folder / WEIGHTS).unlink()
    assert info(folder)["model"] == {**wanted, "bytes_from": "shapes"}


def test_the_quantisation_in_a_file_of_its_own(folder: Path) -> None:
    old = {"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "FP8", "exclude_modules": ["lm_head"]}}
    (folder / "hf_quant_config.json").write_text(json.dumps(old))
    assert info(folder)["model"]["quantization"] == "modelopt"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("config.json", "{", "/config.json can't be read"),
        ("config.json", "[]", "config.json can't be read: it is not a JSON object"),
        ("config.json", "{}", "expected a number in num_hidden_layers"),
        ("hf_quant_config.json", "{", "/hf_quant_config.json can't be read"),
        ("model.safetensors.index.json", "{}", "the index has no weight_map"),
    ],
)
def test_a_broken_file_is_told(folder: Path, name: str, text: str, message: str) -> None:
    (folder / name).write_text(text)
    with pytest.raises(Unusable, match=message) as caught:
        info(folder)
    assert str(folder) in caught.value.problem["found"]
    assert caught.value.problem["fix"]


def test_what_is_no_directory_of_a_model(folder: Path) -> None:
    with pytest.raises(Unusable, match="is not a directory"):
        info(folder / "config.json")
    (folder / "config.json").unlink()
    with pytest.raises(Unusable, match=r"has no config\.json"):
        info(folder)


def test_an_id_that_is_none_is_not_asked_for() -> None:
    params = {"model": "../etc", "hub": "huggingface", "revision": "", "endpoint": "", "token": "secret"}
    with pytest.raises(Unusable, match="is not the id of a model") as caught:
        _model_config_io.info(_model_config_io.query_of(params))
    assert "secret" not in str(caught.value)


def look(folder: Path, model: str = "", **given: Any) -> Any:
    usual = {"hub": "huggingface", "revision": "", "endpoint": "", "token": None, "fetch": False}
    places = {"root": str(folder.parent), "record_directory": str(folder.parent / "records")}
    query = _model_config_io.query_of({"model": model or str(folder), **usual, **places, **given})
    return _model_config_io.look(query).as_dict()


def test_a_host_that_has_the_model(folder: Path) -> None:
    found = look(folder)
    assert (found["directory"], found["problem"]) == (str(folder), None)
    assert found["model"] == info(folder)["model"]


def test_a_host_that_has_a_copy_below_the_root(folder: Path) -> None:
    assert look(folder, "/elsewhere/model")["directory"] == str(folder)


def test_a_host_that_does_not_have_it(folder: Path) -> None:
    nothing = {"directory": "", "pinned": False, "model": None, "code": [], "pickled": [], "problem": None}
    assert look(folder, "/elsewhere/other") == nothing
    assert look(folder, "org/name") == nothing


def test_a_damaged_model_is_a_problem_and_no_error(folder: Path) -> None:
    (folder / "config.json").write_text("{")
    found = look(folder)
    assert found["model"] is None
    assert "config.json can't be read" in found["problem"]["found"]


def test_the_download_that_a_record_names(folder: Path) -> None:
    place = folder.parent / "org--name" / "0123"
    place.parent.mkdir()
    shutil.copytree(folder, place)
    # Workers have copies and no record.
    assert look(folder, "org/name")["directory"] == str(place)
    assert not look(folder, "org/name")["pinned"]
    wish = _hub.wish("huggingface", "org/name")
    records = folder.parent / "records"
    records.mkdir()
    (records / _hub_pin.pin_name(wish, "")).write_text(_hub_pin.render_pin(_hub_pin.Pin("4567", str(folder))))
    assert look(folder, "org/name")["directory"] == str(folder)
    assert look(folder, "org/name")["pinned"]


# --- What a model brings that may run ---------------------------------------------------------------------------------


def add(folder: Path, name: str, **config: Any) -> None:
    """Add to a file in JSON."""
    path = folder / name
    path.write_text(json.dumps({**(json.loads(path.read_text()) if path.exists() else {}), **config}))


def test_the_demo_model_brings_nothing_that_runs() -> None:
    assert (info(DEMO)["code"], info(DEMO)["pickled"]) == ([], [])


def test_code_is_named_by_files_and_by_all_configs(folder: Path) -> None:
    (folder / "here.py").write_text("")
    add(folder, "config.json", auto_map={"AutoConfig": "configuration_a.A", "AutoModel": ["org/other--modeling_b.B"]})
    add(folder, "tokenizer_config.json", auto_map={"AutoTokenizer": ["tokenization_c.C", None]})
    add(folder, "preprocessor_config.json", auto_map={"AutoProcessor": "processing_d.D"})
    wanted = ["configuration_a.py", "here.py", "org/other--modeling_b.py", "processing_d.py", "tokenization_c.py"]
    assert info(folder)["code"] == wanted
    assert look(folder)["code"] == wanted


@pytest.mark.parametrize("auto_map", [None, "text", 1, ["a.B"], {"AutoModel": {"a": 1}}, {"AutoModel": [1, None]}])
def test_an_auto_map_of_another_form_names_nothing(folder: Path, auto_map: object) -> None:
    add(folder, "config.json", auto_map=auto_map)
    assert info(folder)["code"] == []


def test_pickled_weights_count_where_there_are_no_others(folder: Path) -> None:
    for name in ("pytorch_model.bin", "training_args.bin", "optimizer.pt", "a.ckpt"):
        (folder / name).write_bytes(b"")
    assert info(folder)["pickled"] == []
    (folder / WEIGHTS).unlink()
    assert info(folder)["pickled"] == look(folder)["pickled"] == ["a.ckpt", "pytorch_model.bin"]


def test_names_of_a_hostile_directory_are_few_and_printable(folder: Path) -> None:
    for number in range(200):
        (folder / f"{number:03}\n\x1b[2J.py").write_text("")
    os.close(os.open(os.fsencode(folder) + b"/\xff.py", os.O_CREAT))
    code = info(folder)["code"]
    assert len(code) == _model_config_io.NAMES
    assert all(name.isprintable() for name in code)
    assert json.loads(json.dumps(code).encode()) == code


@pytest.mark.parametrize("name", _model_config_io.CODE_CONFIGS)
def test_a_fifo_in_the_place_of_a_config_is_told(folder: Path, name: str) -> None:
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    with pytest.raises(Unusable, match=name):
        info(folder)


def test_a_config_that_only_the_tokenizer_reads_may_be_broken(folder: Path) -> None:
    (folder / "tokenizer_config.json").write_text("[" * 100_000)
    assert info(folder)["code"] == []
