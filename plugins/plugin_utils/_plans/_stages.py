# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks between hosts: when they are made, over which ranks, and what they mean. PRIVATE to the collection."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._accelerator import ACCELERATORS
from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine import _collective, _ray
from ansible_collections.vllm_ray.cluster.plugins.module_utils._net import _network
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks import (
    _collective_checks,
    _lint,
    _network_checks,
)
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._host import rdma_is_off

if t.TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _look
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import Answers
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._record import Nic
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._plans._types import Whole


# Seconds that each step of a collective check may take. Imports of torch on two hosts may end that far apart.
SECONDS = 30
# Ways between hosts over which ranks can add up.
PASSABLE = (_network_checks.OPEN, _network_checks.SLOW)


class Reached(t.TypedDict):
    """A host that was probed, and the ports of its services."""

    name: str
    address: str
    ports: list[int]


@dataclass(frozen=True)
class Stage:
    """What came of one stage: problems, lines that show it, and its state, as of _report.Check."""

    problems: list[dict[str, str]]
    lines: list[str]
    state: str = "done"


def news(before: Mapping[str, Nic], now: Mapping[str, Nic], ranks: int, serving: bool | None) -> str:
    """Return why a run checks what is between hosts, empty where it could learn nothing new.

    before: hosts of the record of the last run; now: {host: its cluster NIC}; ranks: of the engine; serving: whether
    it serves, None where that is not known.
    """
    if max(len(now), ranks) < 2:
        return ""
    if serving is False:
        return "nothing serves"
    new = [host for host, nic in now.items() if host not in before or not is_same(nic, before[host])]
    return f"new, or with another address, NIC or MTU: {', '.join(new)}" if new else ""


def is_same(one: Nic, other: Nic) -> bool:
    return (one.address, one.nic, one.mtu) == (other.address, other.nic, other.mtu)


def ranks_of(plan: Whole) -> dict[str, list[dict[str, int]]]:
    """Return the ranks of the engine by host: their numbers, and their GPUs as indices among the visible ones."""
    visible = {host: range(len(plan.hosts[host].engine_gpus)) for host in plan.engine.layout.gpus}
    return {
        host: [{"rank": rank, "device": device} for rank, device in pairs]
        for host, pairs in _collective.layout(visible).items()
        if pairs
    }


def why_no_collective(
    plan: Whole | None,
    present: Collection[str],
    releases: Answers,
    networks: _network_checks.Answers,
    off: Collection[str],
) -> str:
    """Return why no collective check can be made now, empty where one can.

    plan: None where there is no layout; present: hosts that take part in the run; releases, networks: what
    release_info and network_check said, by host; off: names of checks that are switched off.
    """
    if "collective" in off:
        return "off"
    if plan is None:
        return "not yet, there is no layout"
    serving = plan.outline.serving
    if serving is not False:
        return f"left out, {'the engine serves' if serving else 'it is not known whether the engine serves'}"
    if not plan.engine.needs_free:
        return "left out, the engine starts and holds its GPUs"
    left = [host for host in plan.engine.layout.gpus if host not in plan.hosts]
    if left:
        return f"not yet, {', '.join(left)} left the inventory"
    ranks = ranks_of(plan)
    if sum(map(len, ranks.values())) < 2:
        return "not needed, the engine uses one GPU"
    if any(plan.hosts[host].foreign_ray for host in ranks):
        return "left out, a Ray that is about to be stopped may hold the GPUs"
    absent = [host for host in ranks if host not in present]
    if absent:
        return f"not yet, it needs {', '.join(absent)}, too"
    without = [host for host in ranks if not (releases.get(host) or {}).get("versions")]
    if without:
        return f"not yet, there is no release on {', '.join(without)}"
    ways = _network_checks.ways({host: networks.get(host) for host in ranks})
    if any(way.kind not in PASSABLE for way in ways.values()):
        return "not yet, the network between its hosts is not open"
    return ""


def collective_arguments(plan: Whole, releases: Answers, port: int, forks: int) -> dict[str, dict[str, object]]:
    """Return the arguments of collective_check, by host.

    port: free on the first host, and open between all; forks: hosts that Ansible goes to at a time.
    """
    ranks, kind = ranks_of(plan), plan.outline.accelerator
    common = {
        "backend": ACCELERATORS[kind].backend,
        "world": sum(map(len, ranks.values())),
        "master": plan.peers[next(iter(ranks))],
        "port": port,
        # Where there are more hosts than forks, the last ones start some seconds later.
        "seconds": SECONDS + 2 * (len(ranks) // forks),
    }
    result: dict[str, dict[str, object]] = {}
    for host, own in ranks.items():
        part, release = plan.hosts[host], (releases[host] or {})["path"]
        settings = part.settings
        node: _ray.Node = {
            "release": release,
            "config_dir": part.paths.config,
            "state_dir": part.paths.state,
            "address": part.address,
            "nic": part.nic,
            "env": part.env,
            "accelerator": kind,
            "gpu_indices": part.engine_gpus,
            "rdma_devices": settings["vllm_ray_rdma_devices"],
            "autoscaler_metric_port": settings["vllm_ray_autoscaler_metric_port"],
            "dashboard_metric_port": settings["vllm_ray_dashboard_metric_port"],
        }
        result[host] = {
            **common,
            "release": release,
            "ranks": own,
            "environment": _collective.environment(_ray.environment(node)),
            "user": settings["vllm_ray_user"] if settings["vllm_ray_scope"] == "system" else None,
        }
    return result


def meeting_port(token: str, reached: Sequence[Reached]) -> int:
    """Return the port on which ranks meet: the random one of the network's check, which has just tested it.

    token: of the network's check; reached: of the action plan.
    """
    return _network.random_port(token, [port for host in reached for port in host["ports"]])


def network(tested: _network_checks.Answers, closed_yet: bool) -> Stage:
    """Judge the network. tested: what network_check said, by host; closed_yet: whether firewalls are opened later."""
    if len(tested) < 2 or not any(tested.values()):
        return Stage([], [], "not yet, it needs two hosts that answer")
    problems = _network_checks.network_problems(tested, closed_yet)
    return Stage([problem.as_dict() for problem in problems], _network_checks.matrix_lines(tested))


def parser(plan: Whole | None, releases: Answers, answers: Answers) -> Stage:
    """Judge the options of the engine by what the release's own parser said of them.

    plan: None where there is no layout; releases, answers: what release_info and serve_config_check said, by host.
    """
    if plan is None:
        return Stage([], [], "not yet, there is no layout")
    host = plan.engine.serve_host
    release, answer = releases.get(host), answers.get(host)
    if release and not release.get("versions"):
        return Stage([], [], f"not yet, there is no release on {host}")
    if not release or not answer:
        return Stage([], [], f"not yet, it needs {host}")
    if "refused" not in answer:
        return Stage([], [], f"not made, it ended with: {answer.get('msg', 'no answer')}")
    refused = answer["refused"]
    problems = [problem.as_dict() for problem in _lint.refused(host, release["path"], refused)]
    return Stage(problems, [], f"not yet, vLLM on {host} can't be loaded" if "release" in refused else "done")


def collective(planned: Mapping[str, t.Any], answers: Answers, with_rdma: Collection[str]) -> Stage:
    """Judge a collective check.

    planned: what collective_ranks said: why there is none, or the arguments of each host; answers: what
    collective_check said, by host; with_rdma: hosts whose RDMA works.
    """
    if planned["why"]:
        return Stage([], [], planned["why"])
    hosts = {rank["rank"]: host for host, own in planned["hosts"].items() for rank in own["ranks"]}
    told = {host: answers.get(host) or {} for host in planned["hosts"]}
    outcomes = {rank: outcome for answer in told.values() for rank, outcome in answer.get("ranks", {}).items()}
    failures = {host: str(answer.get("msg", "no answer")) for host, answer in told.items() if "ranks" not in answer}
    problems = _collective_checks.problems(outcomes, hosts, with_rdma, failures)
    backend = next(iter(planned["hosts"].values()))["backend"]
    well = all(problem.severity != "error" for problem in problems)
    lines = [f"  {_collective_checks.summary(outcomes, backend)}"] if well else []
    return Stage([problem.as_dict() for problem in problems], lines)


def with_rdma(plan: Whole | None, looks: Mapping[str, _look.Look | None]) -> list[str]:
    """Return the hosts of a plan whose RDMA works and is not switched off."""
    there = {host: look for host, look in looks.items() if look}
    return [
        host
        for host, part in (plan.hosts if plan else {}).items()
        if host in there
        and any(port["state"] == "ACTIVE" for port in there[host]["network"]["rdma"])
        and not rdma_is_off({"vllm_ray_env": part.env})
    ]
