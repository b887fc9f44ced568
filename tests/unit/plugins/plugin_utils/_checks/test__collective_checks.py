# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A collective check that failed names rank, host and fix."""

from __future__ import annotations

from typing import Any

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks import _collective_checks as checks

HOSTS = {0: "gpu01", 1: "gpu02"}


def rank(step: str = "done", **change: Any) -> Any:
    speeds = {"1048576": 3.1, "67108864": 4.3} if step == "done" else {}
    plain = {"missing": [], "wrong": None, "transports": ["NET/Socket"], "error": ""}
    return {"step": step, "gbytes_per_second": speeds, **plain, **change}


def found(outcomes: dict[str, Any], with_rdma: tuple[str, ...] = ()) -> list[tuple[str, str, str]]:
    return [(p.host, p.severity, p.found) for p in checks.problems(outcomes, HOSTS, with_rdma, {"gpu02": "no torch"})]


def test_all_is_well() -> None:
    assert found({"0": rank(), "1": rank()}) == []


def test_a_rank_that_did_not_start_is_named_with_its_host() -> None:
    outcomes = {"0": rank("meet", missing=[1]), "1": rank("import", error="ImportError: libcudart.so.13")}
    assert found(outcomes) == [("gpu02", "error", "rank 1: ImportError: libcudart.so.13")]


def test_a_host_that_never_answered_is_named() -> None:
    assert found({"0": rank("meet", missing=[1])}) == [("gpu02", "error", "rank 1: was not started: no torch")]


def test_a_rank_that_does_not_reach_the_first() -> None:
    error = "DistNetworkError: timed out while trying to connect to (192.0.2.11, 6390)"
    outcomes = {"0": rank("meet", missing=[1]), "1": rank("meet", error=error)}
    assert found(outcomes) == [("gpu02", "error", f"rank 1: {error}")]


def test_a_hang_names_its_step() -> None:
    outcomes = {"0": rank("connect"), "1": rank("connect")}
    assert found(outcomes) == [
        ("gpu01", "error", "rank 0: stopped at step connect"),
        ("gpu02", "error", "rank 1: stopped at step connect"),
    ]


def test_a_wrong_sum() -> None:
    assert found({"0": rank(), "1": rank("reduce", wrong=7.0)}) == [("gpu02", "error", "rank 1: the sum is 7.0")]


def test_rdma_that_is_not_used_is_a_warning_with_numbers() -> None:
    assert found({"0": rank(), "1": rank()}, with_rdma=("gpu02",)) == [
        ("gpu02", "warning", "NCCL uses NET/Socket, 4.3 GB/s, although the host has RDMA")
    ]


def test_the_summary_is_that_of_the_slowest_rank() -> None:
    slow = rank(gbytes_per_second={"1048576": 3.0, "67108864": 4.1}, transports=["P2P/CUMEM"])
    assert checks.summary({"0": rank(), "1": slow}, "nccl") == (
        "all-reduce over 2 ranks: 3 GB/s at 1 MiB, 4.1 GB/s at 64 MiB; NET/Socket, P2P/CUMEM"
    )
    silent = rank(transports=[])
    assert checks.summary({"0": silent, "1": silent}, "gloo").endswith("; gloo")
