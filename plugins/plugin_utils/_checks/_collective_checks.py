# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Problems found by the collective check (all-reduce over all ranks). PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._problem import Problem
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks._check import Need, check

if t.TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine._collective import Outcome

# What to check if a step does not end.
HANGS = {
    "meet": "allow connections to the first rank: check the firewall and vllm_ray_nic",
    "connect": "check the firewall and vllm_ray_nic; vllm_ray_nccl_debug=INFO logs details",
    "reduce": "compare the drivers; list only working RDMA devices in vllm_ray_rdma_devices",
}


@check("collective", needs=Need.COLLECTIVE)
def problems(
    outcomes: Mapping[str, Outcome],
    hosts: Mapping[int, str],
    with_rdma: Collection[str],
    failures: Mapping[str, str],
) -> list[Problem]:
    """Judge what all ranks reported.

    outcomes: what came of each rank (_collective.outcome) by its number as text; hosts: {rank: host} of the plan;
    with_rdma: hosts that have an RDMA device which works; failures: why the check did not run on a host.
    """
    found = []
    reported = {int(rank): outcome for rank, outcome in outcomes.items()}
    missing = {rank for outcome in reported.values() for rank in outcome["missing"]} | (set(hosts) - set(reported))
    everyone_met = not missing

    def add(rank: int, what: str, wanted: str, fix: str) -> None:
        found.append(Problem(hosts[rank], "collective", "error", f"rank {rank}: {what}", wanted, fix))

    for rank in sorted(hosts):
        outcome = reported.get(rank)
        if outcome is None:
            why = failures.get(hosts[rank], "no answer")
            add(rank, f"was not started: {why}", "a rank that takes part", "fix the cause, and run again")
        elif outcome["wrong"] is not None:
            add(rank, f"the sum is {outcome['wrong']}", "the correct sum", "replace the GPU or its link")
        elif outcome["step"] in ("start", "import"):
            add(
                rank,
                outcome["error"] or "did not start",
                "torch that works",
                "see vllm-ray exec python -c 'import torch'",
            )
        elif outcome["step"] == "meet" and rank in missing:
            add(rank, outcome["error"] or "did not meet the others", "all ranks meet", HANGS["meet"])
        elif outcome["step"] in HANGS and everyone_met:
            add(rank, outcome["error"] or f"stopped at step {outcome['step']}", "an all-reduce", HANGS[outcome["step"]])
    if not found and missing:
        names = ", ".join(f"{rank} on {hosts[rank]}" for rank in sorted(missing))
        found.append(
            Problem("-", "collective", "error", f"ranks that did not join: {names}", "all ranks", HANGS["meet"])
        )
    return found or unused_rdma(reported, hosts, with_rdma)


def unused_rdma(reported: Mapping[int, Outcome], hosts: Mapping[int, str], with_rdma: Collection[str]) -> list[Problem]:
    """Return a warning for each host whose RDMA device works while NCCL talks by plain sockets."""
    result: list[Problem] = []
    for rank, outcome in reported.items():
        host = hosts[rank]
        if host in with_rdma and "NET/Socket" in outcome["transports"] and all(p.host != host for p in result):
            speed = max(outcome["gbytes_per_second"].values(), default=0.0)
            what = f"NCCL uses NET/Socket, {speed:g} GB/s, although the host has RDMA"
            fix = (
                "check vllm_ray_rdma_devices, and in preflight's report the limit of locked memory and the GIDs of the "
                "devices"
            )
            result.append(Problem(host, "collective", "warning", what, "NET/IB", fix))
    return result


def summary(outcomes: Mapping[str, Outcome], backend: str) -> str:
    """Return one line about an all-reduce that came right: the slowest rank's bandwidth per size, and transports.

    backend: which names itself where it reports no transport, as Gloo.
    """
    sizes = sorted({int(size) for outcome in outcomes.values() for size in outcome["gbytes_per_second"]})
    slowest = [
        f"{min(o['gbytes_per_second'][str(size)] for o in outcomes.values()):.3g} GB/s at {size // 1024**2} MiB"
        for size in sizes
    ]
    ways = sorted({way for outcome in outcomes.values() for way in outcome["transports"]})
    return f"all-reduce over {len(outcomes)} ranks: {', '.join(slowest)}; {', '.join(ways) or backend}"
