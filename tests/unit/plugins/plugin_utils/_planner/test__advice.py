# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which layout is chosen, why, and what is said where none fits."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner import _advice, _memory
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._hardware import GIB, MIB, Gpu
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._wishes import AUTO, Wishes
from ansible_collections.vllm_ray.cluster.tests.unit.models import NAMES, model
from ansible_collections.vllm_ray.cluster.tests.unit.plugins.plugin_utils.planner_cases import (
    CASES,
    REFUSALS,
    TCP10,
    Case,
    Refusal,
)
from ansible_collections.vllm_ray.cluster.tests.unit.plugins.plugin_utils.planner_models import (
    H100,
    H200,
    RTX4090,
    cluster,
    some_hosts,
    some_wishes,
)


def ask(case: Case) -> _advice.Advice:
    return _advice.advise(model(case.model), case.cluster, case.link, case.wishes)


def test_layouts_that_differ_in_pp_alone_are_the_next_best_where_there_are_no_others() -> None:
    """Two H200s served an 8B with TP=1 PP=2 "as no other layout fits", and PP=1 fitted."""
    wishes = Wishes(tp=1, max_model_len=4096, utilization=0.4)
    found = _advice.advise(model("llama-3.1-8b"), cluster((H200, 2)), TCP10, wishes)
    assert found["fits"]
    sizes = {(found["tp"], found["pp"]), *((other["tp"], other["pp"]) for other in found["alternatives"])}
    assert sizes == {(1, 1), (1, 2)}
    assert not any("no other layout fits" in reason for reason in found["reasons"])


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_choice(case: Case) -> None:
    found, what = ask(case), model(case.model)
    assert found["fits"], found
    assert (found["tp"], found["pp"], tuple(found["gpus"].values())) == case.layout, case.why
    assert found["executor"] == ("mp" if len(found["gpus"]) == 1 else "ray")
    # All of it can go into the plan's JSON, and every host's part is there.
    assert json.loads(json.dumps(found)) == found
    shared = found["tp"] > max(found["gpus"].values())
    assert sum(part["layers"] for part in found["hosts"].values()) == what.layers * (
        len(found["hosts"]) if shared else 1
    )
    for part in found["hosts"].values():
        used = part["weights_gib"] + part["reserve_gib"] + part["kv_gib"]
        assert used <= part["usable_gib"] * case.wishes.utilization + 0.02
        assert part["kv_gib"] > 0
    # The fullest GPU of each host is shown. All weights in the files must be on some GPU.
    held = sum(part["weights_gib"] * part["gpus"] for part in found["hosts"].values()) * GIB
    assert held >= case.wishes.loaded(what).weight_bytes * 0.99
    assert found["concurrency"] >= 1
    assert 2 <= len(found["reasons"]) <= 6
    assert len(found["alternatives"]) <= 2


def test_the_cases_are_what_was_asked_for() -> None:
    """Published models on clusters of each shape: most of what must be chosen follows from arithmetic."""
    assert len(CASES) >= 40
    assert len({case.model for case in CASES.values()}) >= 18
    assert sum(case.why.startswith("snapshot") for case in CASES.values()) <= 2


def test_it_explains_itself() -> None:
    found = ask(CASES["70b-2x8+1x4"])
    choice, memory, network, inside, idle = found["reasons"]
    assert choice.startswith("TP=8 PP=2 on 2 hosts: about ")
    assert "(an estimate, give or take 40%) at 128 requests at once, 1024 tokens in, 256 out" in choice
    assert memory.startswith("weights take 8.2 and steps 2.8 of the 72.8 GiB that vLLM may use of the fullest GPU;")
    assert network.startswith("stages stay on hosts, so a layer never waits for the network (10 Gbit/s TCP)")
    assert network.endswith("over TCP, PP=2 was measured 2.9 times as fast as TP=2")
    assert inside == "the 8 GPUs of a stage share each layer over NVLink"
    assert idle == "GPUs left over: gpu03 4; with them the engine would be no faster, by the estimate"
    assert [(other["tp"], other["pp"]) for other in found["alternatives"]] == [(4, 4), (4, 2)]
    assert found["alternatives"][1]["why_not"].endswith("43% of the KV cache, 1 host, 2 stages")
    # Five engines of four GPUs would share the load better than one of sixteen, and there is no such thing yet.
    assert found["replicas"]["engines"] == 5


def test_mixed_gpus_are_told_with_their_layers() -> None:
    found = ask(CASES["32b-24+80"])
    small, large = found["hosts"]["gpu01"], found["hosts"]["gpu02"]
    assert small["layers"] + large["layers"] == 64
    assert found["partition"] == [small["layers"], large["layers"]]
    assert small["layers"] < large["layers"]
    assert any(reason.startswith("GPUs differ, so layers go by speed") for reason in found["reasons"])


def test_the_users_sizes_are_kept() -> None:
    for case in CASES.values():
        found = ask(case)
        assert case.wishes.tp in (None, found["tp"])
        assert case.wishes.pp in (None, found["pp"])
        assert case.wishes.max_model_len in (None, found["max_model_len"])


@pytest.mark.parametrize("case", REFUSALS.values(), ids=list(REFUSALS))
def test_refusal(case: Refusal) -> None:
    found = _advice.advise(model(case.model), case.hosts, TCP10, case.wishes)
    assert not found["fits"]
    assert case.refusal in found["refusals"]
    assert case.change in found["changes"]
    assert json.loads(json.dumps(found)) == found


def test_what_a_refusal_offers_fits() -> None:
    """The length that is offered fits, and the next step does not."""
    hosts = cluster((RTX4090, 1))
    for length, fits in ((44032, True), (45056, False)):
        assert _advice.advise(model("llama-3.1-8b"), hosts, TCP10, Wishes(max_model_len=length))["fits"] is fits
    eight = cluster((H100, 8), (H100, 8))
    assert _advice.advise(model("llama-3.1-405b"), eight, TCP10, Wishes())["fits"]
    assert _advice.advise(model("llama-3.1-405b"), eight[:1], TCP10, Wishes(quantization="fp8_per_tensor"))["fits"]


def test_vllm_may_find_the_length() -> None:
    found = _advice.advise(model("llama-3.1-8b"), cluster((RTX4090, 1)), TCP10, Wishes(max_model_len=AUTO))
    assert found["fits"]
    assert 44032 <= found["max_model_len"] < 45056


def test_notes_say_what_was_guessed() -> None:
    found = _advice.advise(model("llama-3.1-8b"), cluster((Gpu("Some GPU", 81559), 1)), TCP10, Wishes())
    assert found["notes"] == ["Some GPU is not in the table of GPUs: its speed is a guess"]


def test_a_narrow_fit_is_told() -> None:
    found = _advice.advise(model("llama-3.1-8b"), cluster((RTX4090, 1)), TCP10, Wishes(max_model_len=44032))
    assert found["notes"][0].startswith("it fits with 0.")
    assert found["notes"][0].endswith(" may be off by 0.6: if vLLM refuses to start, lower max-model-len")


@pytest.mark.parametrize("wishes", [Wishes(max_model_len=8192, tp=2), Wishes(max_model_len=8192, tp=2, pp=1)])
def test_sizes_of_the_user_that_miss_by_less_than_the_error(wishes: Wishes) -> None:
    """22.1 GiB of 21.7: vLLM may take it, if its reserve is 0.6 GiB smaller."""
    found = _advice.advise(model("llama-3.3-70b-awq"), cluster((RTX4090, 2), inside="pcie"), TCP10, wishes)
    assert not found["fits"]
    assert found["close"].startswith("that is 0.4 GiB too much, and the reserve may be off by 0.6")
    assert (found["tp"], found["pp"], found["gpus"], found["executor"]) == (2, 1, {"gpu01": 2}, "mp")
    assert found["hosts"]["gpu01"]["weights_gib"] == 18.55
    assert "enforce-eager: true (no CUDA graphs, so slower)" in found["changes"]


def test_sizes_that_are_ours_stay_on_the_safe_side() -> None:
    """The same 22.1 GiB of 21.7, and nothing is set but what must fit: it is no layout for us."""
    found = _advice.advise(model("llama-3.3-70b-awq"), cluster((RTX4090, 2)), TCP10, Wishes(max_model_len=8192))
    assert (found["fits"], found["tp"]) == (True, 1)
    alone = _advice.advise(model("llama-3.1-8b"), cluster((RTX4090, 1)), TCP10, Wishes(max_model_len=45056))
    assert (alone["fits"], alone["close"], "tp" in alone) == (False, "", False)


def test_with_more_memory_refused_sizes_come_close_and_then_fit() -> None:
    """The range in which they are close is as wide as the error: 0.6 GiB of vLLM's 92 % of a GPU."""
    answers = []
    for mib in range(18000, 26000, 50):
        hosts = cluster((Gpu("NVIDIA L4", mib), 1))
        found = _advice.advise(model("llama-3.1-8b"), hosts, TCP10, Wishes(tp=1, max_model_len=32768))
        answers.append("fits" if found["fits"] else "close" if found["close"] else "refused")
    assert list(dict.fromkeys(answers)) == ["refused", "close", "fits"]
    assert answers.count("close") * 50 * 0.92 == pytest.approx(_memory.ERROR / MIB, abs=60)


def test_a_partition_of_the_users_goes_by_rank() -> None:
    three = cluster((H100, 1), (H100, 1), (H100, 1))
    found = _advice.advise(model("llama-3.1-8b"), three, TCP10, Wishes(partition=(10, 12, 10)))
    assert [part["layers"] for part in found["hosts"].values()] == [10, 12, 10]
    assert found["notes"] == [
        "VLLM_PP_LAYER_PARTITION assigns layers by rank, and Ray itself orders the hosts after the serve host"
    ]


def test_what_the_user_sets_is_kept_or_refused() -> None:
    chance = random.Random(6)
    kept = 0
    for _round in range(150):
        what, hosts = model(chance.choice(NAMES)), some_hosts(chance)
        pp = chance.choice((None, 1, 2, 3))
        wishes = replace(
            some_wishes(chance),
            tp=chance.choice((None, 1, 2, 4, 8)),
            pp=pp,
            partition=_memory.even_partition(what.layers, pp) if pp and chance.random() < 0.3 else (),
        )
        found = _advice.advise(what, hosts, TCP10, wishes)
        if not found["fits"]:
            assert found["refusals"]
            assert json.loads(json.dumps(found)) == found
            continue
        kept += 1
        assert wishes.tp in (None, found["tp"])
        assert wishes.pp in (None, found["pp"])
        assert found["max_model_len"] == wishes.max_model_len
        stages = [layers for part in found["hosts"].values() for layers in part["layers_per_stage"]]
        if wishes.partition and found["tp"] <= max(found["gpus"].values()):
            assert tuple(stages) == wishes.partition
            assert found["partition"] == []
    assert kept > 40
