# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The planner against vLLM's own code: it proposes nothing that vLLM refuses, and knows what it will weigh."""

from __future__ import annotations

import json
import os
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._models import _quantization
from ansible_collections.vllm_ray.cluster.plugins.module_utils._models._model_config import Model, parse, text_config
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner import _candidates, _memory
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._wishes import Wishes
from ansible_collections.vllm_ray.cluster.tests.unit import models

SIZES = range(1, 17)
# The GPUs that vLLM is asked for, and whether they compute in FP8.
GPUS = {"H100": True, "A100": False}
# vLLM knows its quantisation no more: refused as a whole.
REFUSED = "llama-3.1-8b-bitsandbytes"
NAMES = [name for name in models.NAMES if name != REFUSED]
# Where the planner refuses what vLLM's code lets pass, and why.
STRICTER = {
    # On Machete, AutoGPTQ takes the 1728 inputs of a rank, 13.5 groups of 128, and loads 13 scales for them.
    ("llama-2-13b-gptq", "H100", 8),
    # Marlin refuses that; exllama takes it with the same scales.
    ("llama-2-13b-gptq", "A100", 8),
}


def config(name: str) -> dict[str, Any]:
    """Return a model's config.json; of one with images its text model's, since the CPU release has no torchvision."""
    found = models.config(name)
    text = text_config(found)
    return found if text == found else {**text, "architectures": ["Gemma3ForCausalLM"]}


@cache
def model(name: str) -> Model:
    return parse(config(name))


@pytest.fixture(scope="session")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what vLLM says to all models."""
    folder = tmp_path_factory.mktemp("models")
    for name in models.NAMES:
        (folder / name).mkdir()
        (folder / name / "config.json").write_text(json.dumps(config(name)))
    python = Path(os.environ["VLLM_RAY_TEST_RELEASE"], "bin", "python")
    asked = subprocess.run(
        [python, Path(__file__).with_name("ask_vllm.py"), folder],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert asked.returncode == 0, asked.stderr[-5000:]
    found: dict[str, Any] = json.loads(asked.stdout.splitlines()[-1])
    return found


def test_a_quantisation_that_vllm_does_not_know(answers: dict[str, Any]) -> None:
    assert "bitsandbytes" in answers["models"][REFUSED]["refused"]
    assert _candidates.quantization_refusals(model(REFUSED), Wishes())


def test_every_other_model_can_be_read(answers: dict[str, Any]) -> None:
    assert {name: answers["models"][name]["refused"] for name in NAMES} == dict.fromkeys(NAMES, "")
    assert len(NAMES) >= 25


def kinds(name: str) -> list[str]:
    """Return the GPUs that vLLM is asked for: without quantisation they don't matter."""
    return list(GPUS) if model(name).quantization else ["H100"]


ASKED = [(name, kind) for name in NAMES for kind in kinds(name)]


@pytest.mark.parametrize(("name", "kind"), ASKED)
def test_tp_sizes_are_those_that_vllm_takes(answers: dict[str, Any], name: str, kind: str) -> None:
    for tp in SIZES:
        refused = _candidates.tp_refusals(model(name), tp, Wishes(), GPUS[kind])
        theirs = answers["models"][name]["tp"][kind][str(tp)]["refused"]
        assert refused or not theirs, f"TP={tp}: vLLM says {theirs}"
        stricter = bool(refused) and not theirs
        assert stricter == ((name, kind, tp) in STRICTER), f"TP={tp}: the planner says {refused}"


@pytest.mark.parametrize("name", NAMES)
def test_pp_sizes_and_their_layers_are_vllms(answers: dict[str, Any], name: str) -> None:
    for pp in SIZES:
        theirs = answers["models"][name]["pp"][str(pp)]
        assert bool(_candidates.pp_refusals(model(name), pp, Wishes())) == bool(theirs["refused"])
        if not theirs["refused"]:
            assert list(_memory.even_partition(model(name).layers, pp)) == theirs["layers"]


@pytest.mark.parametrize(("name", "kind"), ASKED)
def test_weights_are_what_vllm_makes(answers: dict[str, Any], name: str, kind: str) -> None:
    """Of the first and the last stage on one rank, within 0.5 %, or 16 MiB where a stage is small."""
    what = model(name)
    stages = _memory.parts(_memory.even_partition(what.layers, answers["models"][name]["stages"]))
    compared = 0
    for tp in SIZES:
        made = answers["models"][name]["tp"][kind][str(tp)].get("bytes")
        if made and (name, kind, tp) not in STRICTER:
            assert [_memory.weights(what, tp, stages[end]) for end in (0, -1)] == pytest.approx(
                made, rel=0.005, abs=2**24
            )
            compared += 1
    assert compared


@pytest.mark.parametrize("name", NAMES)
def test_the_kv_cache_is_what_vllm_makes(answers: dict[str, Any], name: str) -> None:
    """Of so many bytes on each GPU, in tokens and longest requests, within 0.5 %."""
    what = model(name)
    memory = _memory.Memory(0, answers["cache"] + _memory.OTHER, 0, 0, 0)
    for layout, theirs in answers["models"][name]["caches"].items():
        tp, pp = map(int, layout.split(","))
        assert theirs["refused"] == "", layout
        stages = [(part, memory) for part in _memory.parts(_memory.even_partition(what.layers, pp))]
        ours = _memory.cache(what, tp, stages, Wishes(), theirs["step"])
        assert ours.tokens == pytest.approx(theirs["tokens"], rel=0.005), layout
        assert ours.concurrency == pytest.approx(theirs["concurrency"], rel=0.005), layout


@pytest.mark.parametrize("name", NAMES)
def test_quantisations_that_can_be_asked_for(answers: dict[str, Any], name: str) -> None:
    """Whatever `--quantization` the planner lets pass, vLLM does."""
    passed = {
        method
        for method in _quantization.KNOWN
        if not _candidates.quantization_refusals(model(name), Wishes(quantization=method))
    }
    assert passed <= set(answers["models"][name]["methods"])
    assert passed


def test_the_list_of_quantisations_is_the_releases(answers: dict[str, Any]) -> None:
    assert sorted(_quantization.KNOWN) == answers["methods"]
    assert sorted(_quantization.DEPRECATED) == answers["deprecated"]
