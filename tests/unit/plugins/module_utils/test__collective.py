# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ranks of a collective check tell, from what real ones printed."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils import _collective


@pytest.fixture
def read(fixtures: Path):
    return lambda name: (fixtures / "collective" / name).read_text(encoding="utf-8")


def test_a_rank_that_is_done(read) -> None:
    outcome = _collective.outcome(read("done.log"), 2)
    assert (outcome["step"], outcome["missing"], outcome["error"]) == ("done", [], "")
    # Two ranks: the bus carries what the algorithm does. 64 MiB in 66.2 ms.
    assert outcome["gbytes_per_second"] == {"1048576": 0.548, "67108864": 1.013}


def test_a_rank_that_waits_in_vain(read) -> None:
    outcome = _collective.outcome(read("missing.log"), 2)
    assert (outcome["step"], outcome["missing"]) == ("meet", [1])


def test_a_rank_that_does_not_reach_the_first(read) -> None:
    outcome = _collective.outcome(read("no_master.log"), 2)
    assert outcome["step"] == "meet"
    assert "timed out after 4000ms while trying to connect to (127.0.0.1, 29511)" in outcome["error"]


def test_a_rank_that_never_began() -> None:
    outcome = _collective.outcome("Traceback ...\nModuleNotFoundError: No module named 'torch'\n", 2)
    assert (outcome["step"], outcome["error"]) == ("start", "ModuleNotFoundError: No module named 'torch'")


@pytest.mark.parametrize(
    ("name", "found"), [("nccl_ib.log", ["NET/IB/GDRDMA"]), ("nccl_ibext.log", ["NET/IBext_v8"]), ("done.log", [])]
)
def test_transports(read, name: str, found: list[str]) -> None:
    assert _collective.transports(read(name).splitlines()) == found


def test_bus_bandwidth_is_that_of_nccl_tests() -> None:
    # Eight ranks, 1 GB in 10 ms: 100 GB/s of the algorithm, times 2 * 7 / 8.
    assert _collective.bus_bandwidth(10**9, 0.01, 8) == pytest.approx(175e9)
    assert _collective.bus_bandwidth(10**9, 0.01, 1) == 0


def test_ranks_go_host_by_host() -> None:
    assert _collective.layout({"gpu01": [0, 1], "gpu02": [3]}) == {"gpu01": [(0, 0), (1, 1)], "gpu02": [(2, 3)]}


def test_the_script_is_python() -> None:
    ast.parse(_collective.SCRIPT)
