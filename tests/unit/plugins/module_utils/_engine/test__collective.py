# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the output of ranks of a collective check shows. The outputs are real."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine import _collective

GIVEN: Any = {"ranks": [{"rank": 0, "device": 0}, {"rank": 1, "device": 1}], "world": 2}


@pytest.fixture
def read(fixtures: Path) -> Callable[[str], str]:
    return lambda name: (fixtures / "collective" / name).read_text(encoding="utf-8")


def test_ranks_that_are_done(read: Callable[[str], str]) -> None:
    outcomes = _collective.outcomes(read("done.log"), GIVEN)
    assert [(o["step"], o["missing"], o["error"]) for o in outcomes.values()] == [("done", [], "")] * 2
    # Two ranks: the bus carries what the algorithm does. 64 MiB in 51.4 ms.
    assert outcomes["1"]["gbytes_per_second"] == {"1048576": 1.311, "67108864": 1.305}


def test_a_rank_that_waits_in_vain(read: Callable[[str], str]) -> None:
    outcome = _collective.outcomes(read("missing.log"), {**GIVEN, "ranks": GIVEN["ranks"][:1]})["0"]
    assert (outcome["step"], outcome["missing"]) == ("meet", [1])


def test_a_rank_that_does_not_reach_the_first(read: Callable[[str], str]) -> None:
    outcome = _collective.outcomes(read("no_master.log"), {**GIVEN, "ranks": GIVEN["ranks"][1:]})["1"]
    assert outcome["step"] == "meet"
    assert "timed out after 3000ms while trying to connect to (127.0.0.1, 29511)" in outcome["error"]


def test_gpus_of_one_host(read: Callable[[str], str]) -> None:
    p2p, socket = (_collective.outcomes(read(f"nccl_{name}.log"), GIVEN)["0"] for name in ("p2p", "socket"))
    assert (p2p["step"], p2p["transports"], p2p["gbytes_per_second"]["67108864"]) == ("done", ["P2P/CUMEM"], 236.04)
    assert (socket["transports"], socket["gbytes_per_second"]["67108864"]) == (["NET/Socket"], 3.652)


def test_what_nccl_itself_says_comes_first(read: Callable[[str], str]) -> None:
    outcome = _collective.outcomes(read("nccl_no_nic.log"), GIVEN)["0"]
    assert (outcome["step"], outcome["error"]) == ("connect", "NCCL: Bootstrap : no socket interface found")


def test_a_rank_that_never_began() -> None:
    outcome = _collective.outcomes("", GIVEN)["1"]
    assert (outcome["step"], outcome["error"]) == ("start", "")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("nccl_ib.log", ["NET/IB/GDRDMA"]),
        ("nccl_ibext.log", ["NET/IBext_v8"]),
        ("nccl_p2p.log", ["P2P/CUMEM"]),
        ("done.log", []),
    ],
)
def test_transports(read: Callable[[str], str], name: str, found: list[str]) -> None:
    assert _collective.transports(read(name).splitlines()) == found


def test_bus_bandwidth_is_that_of_nccl_tests() -> None:
    # Eight ranks, 1 GB in 10 ms: 100 GB/s of the algorithm, times 2 * 7 / 8.
    assert _collective.bus_bandwidth(10**9, 0.01, 8) == pytest.approx(175e9)
    assert _collective.bus_bandwidth(10**9, 0.01, 1) == 0


def test_ranks_go_host_by_host() -> None:
    assert _collective.layout({"gpu01": [0, 1], "gpu02": [3]}) == {"gpu01": [(0, 0), (1, 1)], "gpu02": [(2, 3)]}


def test_the_script_is_python() -> None:
    ast.parse(_collective.SCRIPT)


def test_a_rank_gets_what_matters_of_a_nodes_environment() -> None:
    matters = ["NCCL_IB_PKEY", "GLOO_SOCKET_IFNAME", "CUDA_VISIBLE_DEVICES", "UCX_TLS", "TORCH_NCCL_DUMP_ON_TIMEOUT"]
    others = ["AWS_SECRET_ACCESS_KEY", "NVIDIA_API_KEY", "RAY_AUTH_TOKEN_PATH", "MY_NCCL_TOKEN", "HOME_2"]
    assert list(_collective.environment(dict.fromkeys([*others, *matters], "1"))) == matters


@pytest.mark.parametrize(("backend", "device"), [("nccl", "cuda"), ("gloo", "")])
def test_the_script_gets_the_device_of_its_backend(backend: str, device: str) -> None:
    given = {**GIVEN, "backend": backend, "master": "192.0.2.11", "port": 6390, "seconds": 30}
    assert _collective.host_task(given)["device"] == device
