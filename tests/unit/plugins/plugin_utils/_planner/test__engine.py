# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From looks to a layout: captured GPUs, published models."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._accelerator import ACCELERATORS, CUDA
from ansible_collections.vllm_ray.cluster.plugins.module_utils._models import _model_config
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _record, _settings
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._cluster import Cluster
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._host import Host
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner import _engine
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._engine import Engine
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._hardware import Link
from ansible_collections.vllm_ray.cluster.tests.unit import models
from ansible_collections.vllm_ray.cluster.tests.unit.looks import look

DEMO = models.ROOT / "demo-model" / "model" / "config.json"
SIZES = {"tensor-parallel-size": 8, "pipeline-parallel-size": 2}
L4 = {"name": "NVIDIA L4", "memory_mib": 23034, "reserved_mib": None}


def model(name: str) -> _model_config.Model:
    return _model_config.parse(models.config(name), {}, 0, {})


def host(number: int, gpus: int = 8, gpu: dict[str, Any] | None = None, **given: Any) -> Host:
    """Return a host with GPUs joined by NVLink; given: variables without their prefix."""
    values = {"vllm_ray_model": "/srv/model", **{f"vllm_ray_{name}": value for name, value in given.items()}}
    seen = look(number, gpus)
    for entry in seen["host"]["gpus"]:
        others = [index for index in range(gpus) if index != entry["index"]]
        entry.update(gpu or {}, links={"gpus": {str(index): "NV18" for index in others}, "nics": {}})
    return Host(f"gpu0{number}", ("head",) if number == 1 else ("workers",), _settings.check("-", values).values, seen)


def choose(
    hosts: list[Host], name: str, record: dict[str, Any] | None = None, may_change: bool = True, kind: str = "cuda"
) -> Engine:
    offer = {host.name: len((host.look or {})["host"]["gpus"]) or 1 for host in hosts}
    return _engine.choose(cluster(hosts, record, may_change, kind), offer, model(name))


def cluster(
    hosts: list[Host], record: Any = None, may_change: bool = True, kind: str = "cuda", serve_host: str = "gpu01"
) -> Cluster:
    accelerator = ACCELERATORS[kind]
    known = _record.read(record)
    return Cluster(hosts, hosts[0], serve_host, serve_host, accelerator, known, not may_change, may_change)


def recorded(engine: Engine, **change: Any) -> dict[str, Any]:
    assert engine.layout
    sizes = {"tp": engine.layout.tp, "pp": engine.layout.pp, "gpus": engine.layout.gpus}
    layers = {name: list(counts) for name, counts in engine.layout.layers.items()}
    return {"engine": {**sizes, "layers": layers, "wish": "/srv/model", **change}}


def test_gpus_as_the_planner_sees_them() -> None:
    found = _engine.cluster_host(host(1), CUDA, 2)
    assert [gpu.memory_mib for gpu in found.gpus] == [143771] * 2
    # fb_memory_usage/reserved of the capture, and what torch names as total on this machine: 139.80 GiB.
    assert (found.gpus[0].reserved_mib, round(found.gpus[0].usable / 1024**3, 2)) == (616, 139.8)
    assert found.link_inside == "nvlink"


@pytest.mark.parametrize(("services", "used"), [({}, 1551), ({"vllm-ray-node@default": "active"}, 500)])
def test_memory_of_our_own_services_is_free(services: dict[str, str], used: int) -> None:
    processes = [{"ours": False, "mib": 500, "user": "ann"}, {"ours": True, "mib": 1051, "user": "vllm-ray"}]
    seen = host(1, 1, {"used_mib": 1551, "processes": processes})
    assert seen.look
    seen.look["usage"]["services"] = services
    assert _engine.cluster_host(seen, CUDA).gpus[0].used_mib == used
    assert _engine.cluster_host(seen, CUDA, freed=True).gpus[0].used_mib == 0


def test_pcie_where_one_pair_has_no_nvlink() -> None:
    seen = host(1, 2)
    assert seen.look
    seen.look["host"]["gpus"][1]["links"]["gpus"] = {"0": "SYS"}
    assert _engine.cluster_host(seen, CUDA).link_inside == "pcie"


def port(state: str = "ACTIVE", rate: float = 400.0) -> Any:
    return {"device": "mlx5_0", "state": state, "rate": rate}


def test_the_slowest_link_counts() -> None:
    fast, slow = host(1), host(2)
    assert slow.look
    slow.look["network"]["nics"][0]["speed"] = 10000
    assert _engine.slowest_link([fast, slow]) == (Link(10), "")


def test_rdma_only_where_all_have_it() -> None:
    first, second = host(1), host(2)
    assert first.look and second.look
    first.look["network"]["rdma"], network = [port()], second.look["network"]
    network["rdma"] = [port(rate=200.0)]
    assert _engine.slowest_link([first, second]) == (Link(200, rdma=True), "")
    network["rdma"] = [port("DOWN")]
    assert _engine.slowest_link([first, second]) == (Link(25), "")
    network.update({"rdma": [port()], "rdma_missing": ["libibverbs1"]})
    assert _engine.slowest_link([first, second]) == (Link(25), "")


def test_no_rdma_where_it_is_switched_off() -> None:
    hosts = [host(1), host(2, env={"NCCL_IB_DISABLE": 1})]
    for one in hosts:
        assert one.look
        one.look["network"]["rdma"] = [port()]
    assert _engine.slowest_link(hosts) == (Link(25), "")


def test_a_nic_without_speed_is_taken_as_usual() -> None:
    seen = host(1)
    assert seen.look
    seen.look["network"]["nics"][0]["speed"] = None
    assert _engine.slowest_link([seen]) == (Link(10), "not all NICs report their speed: assumed 10 Gbit/s")


def test_the_planner_decides() -> None:
    found = choose([host(1), host(2)], "llama-3.1-8b")
    # GPUs per host and hosts would be TP=8 PP=2 on both; a model this small is as fast on one.
    assert found.layout and found.layout.gpus == {"gpu01": 8}
    assert found.advice["kv_tokens"] > 0
    assert found.problems == [] and not found.kept


def test_sizes_of_the_user_are_kept() -> None:
    found = choose([host(1, serve_args=SIZES), host(2)], "llama-3.1-8b")
    assert found.layout and (found.layout.tp, found.layout.pp) == (8, 2)
    assert found.layout.layers == {}


def test_a_model_that_does_not_fit() -> None:
    found = choose([host(1, 1)], "llama-3.3-70b")
    assert [problem.check for problem in found.problems] == ["layout"]
    assert "weights 131.4" in found.problems[0].found
    assert "GiB" in found.problems[0].found
    assert " or " in found.problems[0].fix


RTX4090 = {"name": "NVIDIA GeForce RTX 4090", "memory_mib": 24564, "reserved_mib": None}


def test_sizes_of_the_user_that_miss_narrowly_are_a_warning() -> None:
    """One request of 44032 tokens fits; of 45056 misses by less than the estimate may be off; of 131072 by far."""
    long = {"max-model-len": 45056}
    found = choose([host(1, 1, RTX4090, serve_args={**long, "tensor-parallel-size": 1})], "llama-3.1-8b")
    assert found.layout and (found.layout.tp, found.layout.pp, found.layout.gpus) == (1, 1, {"gpu01": 1})
    [problem] = found.problems
    assert (problem.check, problem.severity) == ("layout", "warning")
    assert "and vLLM may use 21.7; that is 0.1 GiB too much, and the reserve may be off by 0.6" in problem.found
    assert problem.fix.startswith("max-model-len: 44032 instead of 45056; or ")
    # Ours to choose, the same is refused; and so is what misses by more.
    for args in (long, {"tensor-parallel-size": 1}):
        assert [p.severity for p in choose([host(1, 1, RTX4090, serve_args=args)], "llama-3.1-8b").problems] == [
            "error"
        ]


def test_an_engine_that_serves_with_a_narrow_layout_is_left_in_peace() -> None:
    record = {"engine": {"tp": 1, "pp": 1, "gpus": {"gpu01": 1}, "wish": "/srv/model"}}
    found = choose([host(1, 1, RTX4090, serve_args={"max-model-len": 45056})], "llama-3.1-8b", record)
    assert (found.kept, found.problems, found.notes) == (True, [], [])


def test_layers_of_a_narrow_layout_go_with_hosts() -> None:
    """The smaller of two GPUs grows until the model fits; just before that, its layers are reported as well."""
    args = {"pipeline-parallel-size": 2, "tensor-parallel-size": 1, "max-model-len": 8192}
    answers = []
    for mib in range(9000, 15000, 100):
        small = {"name": "some GPU", "memory_mib": mib, "reserved_mib": None}
        found = choose([host(1, 1, RTX4090, serve_args=args), host(2, 1, small)], "phi-4")
        answers.append([problem.severity for problem in found.problems])
        if answers[-1] != ["error"]:
            assert found.layout and sum(sum(layers) for layers in found.layout.layers.values()) == 40
    assert answers[0] == ["error"]
    assert ["warning"] in answers
    assert set(map(tuple, answers[answers.index([]) :])) == {()}


def test_layers_go_with_hosts_that_differ() -> None:
    found = choose([host(1, 1, serve_args={"max-model-len": 8192}), host(2, 1, L4)], "qwen3-32b")
    fixed = choose(
        [host(1, 1, serve_args={"max-model-len": 8192, "pipeline-parallel-size": 2}), host(2, 1, L4)], "qwen3-32b"
    )
    # One H200 holds it alone, and is faster without the L4; if both must be used, it gets most of the 64 layers.
    assert found.layout and found.layout.gpus == {"gpu01": 1}
    assert fixed.layout
    (first,), (second,) = fixed.layout.layers["gpu01"], fixed.layout.layers["gpu02"]
    assert first + second == 64
    assert first > 5 * second


def test_what_serves_is_kept_with_its_figures() -> None:
    hosts = [host(1, serve_args=SIZES), host(2)]
    record = recorded(choose(hosts, "llama-3.3-70b"))
    more = choose([host(1), host(2), host(3)], "llama-3.3-70b", record)
    assert more.kept
    assert more.layout and (more.layout.tp, more.layout.pp) == (8, 2)
    assert (more.advice["tp"], more.advice["pp"]) == (8, 2)
    assert "gpu03 joins, unused by the engine" in more.notes


def test_what_serves_is_not_refused() -> None:
    record = {"engine": {"tp": 1, "pp": 1, "gpus": {"gpu01": 1}, "wish": "/srv/model"}}
    found = choose([host(1, 1)], "llama-3.3-70b", record)
    assert (found.kept, found.problems, found.advice) == (True, [], {})
    assert found.notes[0].startswith("TP=1 PP=1 may not start again with today's options: TP=1 PP=1 on 1 host needs")


def test_options_that_the_plan_does_not_reckon_with_leave_the_last_word_to_vllm() -> None:
    found = choose([host(1, 1, serve_args={"cpu-offload-gb": 20})], "llama-3.3-70b")
    assert found.layout and (found.layout.tp, found.layout.pp) == (1, 1)
    assert [problem.severity for problem in found.problems] == ["warning"]
    # With YaRN, as Qwen says; config.json has 40960 tokens.
    longer = choose([host(1, serve_args={"max-model-len": 131072, "hf-overrides": "{}"})], "qwen3-32b")
    assert (longer.problems, longer.advice["max_model_len"]) == ([], 131072)
    assert "hf-overrides is set, but the plan does not take it into account" in longer.advice["notes"]


def test_gpus_that_tell_no_memory_are_laid_out_by_their_number() -> None:
    shared = {"name": "NVIDIA GB10", "memory_mib": 0, "used_mib": 0, "reserved_mib": None}
    found = choose([host(1, 1, shared), host(2, 1, shared)], "llama-3.1-8b")
    assert found.layout and (found.layout.tp, found.layout.pp) == (1, 2)
    assert (found.advice, found.problems) == ({}, [])


def test_options_are_those_of_the_serve_host() -> None:
    hosts = [host(1, 1), host(2, 8, serve_args={"tensor-parallel-size": 2})]
    offer = {"gpu01": 1, "gpu02": 8}
    found = _engine.choose(cluster(hosts, serve_host="gpu02"), offer, model("llama-3.1-8b"))
    assert found.layout and found.layout.tp == 2


def test_another_model_is_laid_out_anew() -> None:
    record = {"engine": {"tp": 1, "pp": 1, "gpus": {"gpu01": 1}, "wish": "/srv/small"}}
    waits = choose([host(1), host(2)], "llama-3.3-70b", record, may_change=False)
    assert waits.layout and (waits.layout.tp, waits.kept) == (1, True)
    assert "vllm_ray_restart=true" in waits.notes[0]
    found = choose([host(1), host(2)], "llama-3.3-70b", record)
    assert not found.kept
    assert found.notes[0] == "layout changes: the model is /srv/model instead of /srv/small"


def test_a_cpu_host_counts_as_one_gpu_and_the_model_must_still_divide() -> None:
    hosts = [host(1, 0, serve_args={"tensor-parallel-size": 3}), host(2, 0), host(3, 0)]
    found = choose(hosts, "llama-3.1-8b", kind="cpu")
    assert found.layout and found.layout.tp == 3
    assert found.problems[0].found == "TP=3 PP=1 can't serve this model: 32 attention heads can't be divided by 3"


def test_a_wish_that_is_no_number() -> None:
    found = choose([host(1, serve_args={"max-model-len": "long"})], "llama-3.1-8b")
    assert (found.layout, found.problems[0].check) == (None, "option")


def test_a_host_that_was_not_looked_at_counts_by_the_record() -> None:
    hosts = [host(1), Host("gpu02", ("workers",), host(2).settings, None, "left out by --limit", limited=True)]
    offer = {"gpu01": 8, "gpu02": 8}
    found = _engine.choose(cluster(hosts), offer, model("llama-3.3-70b"))
    assert found.layout and found.layout.gpus == offer
    assert found.advice == {}


def test_no_new_layout_with_hosts_that_were_not_looked_at() -> None:
    hosts = [host(1, relayout=True), Host("gpu02", ("workers",), host(2).settings, None, "by --limit", limited=True)]
    offer, record = {"gpu01": 8, "gpu02": 8}, {"engine": {"tp": 8, "pp": 1, "gpus": {"gpu01": 8}}}
    found = _engine.choose(cluster(hosts, record), offer, model("llama-3.3-70b"))
    assert [problem.severity for problem in found.problems] == ["error"]
    assert "vllm_ray_relayout is set" in found.problems[0].found and "gpu02" in found.problems[0].found
    kept = [host(1), hosts[1]]
    found = _engine.choose(cluster(kept, record), offer, model("llama-3.3-70b"))
    assert (found.kept, found.problems) == (True, [])
    assert found.notes == ["gpu02 joins, unused by the engine"]


def test_no_layout_is_an_error_whatever_is_set() -> None:
    found = choose([host(1, 1, serve_args={"cpu-offload-gb": 20, "tensor-parallel-size": 2})], "llama-3.3-70b")
    assert found.layout is None
    assert "error" in [problem.severity for problem in found.problems]


def test_sizes_that_are_ours_are_those_that_the_model_can_be_cut_into() -> None:
    demo = _model_config.parse(json.loads(DEMO.read_text(encoding="utf-8")), {}, 0, {})
    hosts = [host(number, 0) for number in range(1, 9)]
    offer = {host.name: 1 for host in hosts}
    found = _engine.choose(cluster(hosts, kind="cpu"), offer, demo)
    # It has six layers.
    assert found.layout and (found.layout.tp, found.layout.pp, len(found.layout.gpus)) == (1, 6, 6)
    assert found.problems == []
