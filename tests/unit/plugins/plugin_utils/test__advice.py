# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which layout is chosen, why, and what is said where none fits."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils import _advice, _candidates, _memory
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._hardware import GIB, ClusterHost, Gpu
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._wishes import AUTO, Wishes
from ansible_collections.vllm_ray.cluster.tests.unit.models import NAMES, model
from ansible_collections.vllm_ray.cluster.tests.unit.plugins.plugin_utils.planner_cases import (
    CASES,
    IB,
    REFUSALS,
    TCP10,
    Case,
    Refusal,
)
from ansible_collections.vllm_ray.cluster.tests.unit.plugins.plugin_utils.planner_models import (
    A10,
    A100,
    H100,
    H200,
    L40S,
    RTX4090,
    cluster,
)


def ask(case: Case) -> dict[str, Any]:
    return _advice.advise(model(case.model), case.cluster, case.link, case.wishes)


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
    # The fullest GPU of each host tells; what the files hold must be somewhere.
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
    assert idle == "GPUs left over: gpu03 4; with them the engine would be hardly faster, by the estimate"
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


def test_what_would_be_better() -> None:
    asked = ask(CASES["70b-tp16"])
    assert any(entry.startswith("without the sizes that are set, TP=8 PP=2") for entry in asked["better"])
    slow = _advice.advise(model("llama-3.3-70b"), CASES["70b-tp16"].cluster, TCP10, Wishes(tp=16))
    assert any(entry.startswith("400 Gbit/s with RDMA between the hosts: about ") for entry in slow["better"])
    weak_head = _advice.advise(
        model("llama-3.1-8b"), cluster((RTX4090, 1), (H100, 8)), TCP10, Wishes(max_model_len=8192)
    )
    assert any(entry.startswith("gpu02 alone (vllm_ray_serve_host): about ") for entry in weak_head["better"])
    short = ask(CASES["32b-4x1-24gb"])
    assert any(entry.startswith("kv-cache-dtype: fp8: ") for entry in short["better"])


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
    assert found["notes"][0].endswith(" may be off by 0.6: should vLLM refuse, lower max-model-len")


def test_a_partition_of_the_users_goes_by_rank() -> None:
    three = cluster((H100, 1), (H100, 1), (H100, 1))
    found = _advice.advise(model("llama-3.1-8b"), three, TCP10, Wishes(partition=(10, 12, 10)))
    assert [part["layers"] for part in found["hosts"].values()] == [10, 12, 10]
    assert found["notes"] == [
        "VLLM_PP_LAYER_PARTITION goes by rank, and Ray orders the hosts after the serve host by itself"
    ]


KINDS = [H100, H200, A100, L40S, A10, RTX4090]


def some_hosts(chance: random.Random) -> list[ClusterHost]:
    kinds = chance.sample(KINDS, chance.choice((1, 1, 2, 3)))
    hosts = [(chance.choice(kinds), chance.choice((1, 2, 4, 8))) for _host in range(chance.randint(1, 3))]
    return cluster(*hosts, inside=chance.choice(("nvlink", "pcie")))


def some_wishes(chance: random.Random) -> Wishes:
    return Wishes(
        max_model_len=chance.choice((2048, 8192, 16384)),
        kv_dtype=chance.choice(("auto", "fp8")),
        eager=chance.random() < 0.3,
        utilization=chance.choice((0.8, 0.92)),
    )


def test_memory_is_never_exceeded() -> None:
    """Weights, reserve and as many requests as are promised lie within vLLM's share, in any order of hosts."""
    chance = random.Random(1)
    fitting = 0
    for _round in range(40):
        what, hosts, wishes = model(chance.choice(NAMES)), some_hosts(chance), some_wishes(chance)
        for verdict in _advice.weigh(what, hosts, TCP10, wishes):
            if not verdict.fits:
                continue
            fitting += 1
            assert sum(verdict.candidate.layers) == what.layers
            assert min(verdict.candidate.layers) >= 1
            for order in _advice.orders(verdict.candidate):
                alone = _advice.judge(what, order, hosts, TCP10, wishes)
                for stage, memory, request in zip(order.stages, alone.memory, alone.cache.request):
                    smallest = min(gpu.usable for gpu in stage.gpus)
                    assert memory.total == smallest
                    assert memory.budget == int(smallest * wishes.utilization)
                    used = memory.weights + memory.reserve + request * verdict.cache.concurrency
                    assert used <= memory.budget + 1
    assert fitting > 300


def larger(hosts: list[ClusterHost], mib: int) -> list[ClusterHost]:
    return [
        replace(host, gpus=tuple(replace(gpu, memory_mib=gpu.memory_mib + mib) for gpu in host.gpus)) for host in hosts
    ]


def assert_no_less(before: list[_advice.Verdict], after: list[_advice.Verdict]) -> None:
    """What fitted fits, the largest KV cache is as large, and the fastest layout as fast, but for what a step more or
    less of a few requests makes."""
    least, most = (
        [
            max((verdict.rate for verdict in found if verdict.fits), default=0),
            max((verdict.cache.tokens for verdict in found if verdict.fits), default=0),
        ]
        for found in (before, after)
    )
    assert any(verdict.fits for verdict in after) >= any(verdict.fits for verdict in before)
    assert most[0] >= least[0] * 0.99
    assert most[1] >= least[1]


def test_more_memory_never_gives_less() -> None:
    """The same layout has at least as many KV tokens, and what fitted still fits.

    The step is set, because vLLM makes it larger on GPUs of 70 GiB and more, which does cost some of the cache.
    """
    chance = random.Random(2)
    compared = 0
    for _round in range(40):
        what, hosts = model(chance.choice(NAMES)), some_hosts(chance)
        wishes = replace(some_wishes(chance), batched_tokens=2048, sequences=256)
        grown = larger(hosts, chance.choice((512, 4096, 40000)))
        for candidate in _candidates.candidates(what, hosts, wishes):
            if candidate.uneven:
                # Other memory gives it other layers; the best of all is compared below.
                continue
            given = {host.name: host.gpus[0] for host in grown}
            stages = tuple(
                _candidates.Stage(tuple((name, given[name]) for name, _gpu in stage.ranks))
                for stage in candidate.stages
            )
            before = _advice.judge(what, candidate, hosts, TCP10, wishes)
            after = _advice.judge(what, replace(candidate, stages=stages), grown, TCP10, wishes)
            assert after.cache.tokens >= before.cache.tokens
            assert after.fits >= before.fits
            compared += 1
        assert_no_less(_advice.weigh(what, hosts, TCP10, wishes), _advice.weigh(what, grown, TCP10, wishes))
    assert compared > 200


def test_one_more_host_never_gives_less() -> None:
    """Of any kind: it may stay idle. Sizes are ours to choose; TP over hosts, when it is set, ends where a host can
    hold it alone."""
    chance = random.Random(5)
    fitting = 0
    for _round in range(60):
        what, wishes = model(chance.choice(NAMES)), some_wishes(chance)
        hosts = [
            replace(host, name=f"gpu{number}") for number, host in enumerate(some_hosts(chance) + some_hosts(chance))
        ]
        before, after = (_advice.weigh(what, offered, TCP10, wishes) for offered in (hosts[:-1], hosts))
        assert_no_less(before, after)
        fitting += any(verdict.fits for verdict in before)
    assert fitting > 20


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


def test_the_chosen_one_is_near_the_fastest() -> None:
    chance = random.Random(3)
    for _round in range(40):
        what, hosts, wishes = model(chance.choice(NAMES)), some_hosts(chance), some_wishes(chance)
        verdicts = [v for v in _advice.weigh(what, hosts, chance.choice((TCP10, IB)), wishes) if v.fits]
        if verdicts:
            assert verdicts[0].rate >= 0.9 * max(verdict.rate for verdict in verdicts)
