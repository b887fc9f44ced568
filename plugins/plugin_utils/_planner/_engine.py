# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choose the layout of an engine: convert probes for the planner, and its advice for the plan. PRIVATE."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._problem import Problem
from ansible_collections.vllm_ray.cluster.plugins.module_utils._models._model_config import Model
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _layout
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._cluster import is_whole
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._host import (
    gpu_indices,
    is_active,
    look_of,
    rdma_is_off,
    serve_args,
)
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner import _advice, _candidates, _wishes
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._advice import Advice
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._hardware import ClusterHost, Link, gpu_of

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._accelerator import Accelerator
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._cluster import Cluster
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._host import Host

# Taken where no NIC reports its speed, as those of virtual machines.
USUAL_GBIT = 10.0


@dataclass(frozen=True)
class Engine:
    """The layout of an engine, whether it is the one that serves, and what is to be said about it.

    layout: None where none is possible. advice: of the planner, empty where it could not compute one.
    """

    layout: _layout.Layout | None
    kept: bool = False
    notes: list[str] = field(default_factory=list)
    advice: Advice = field(default_factory=Advice)
    problems: list[Problem] = field(default_factory=list)


def cluster_host(host: Host, accelerator: Accelerator, count: int | None = None, freed: bool = False) -> ClusterHost:
    """Return a probed host as the planner sees it, with its first `count` GPUs.

    freed: whether memory that others hold counts as free.
    """
    indices = gpu_indices(host, accelerator)[:count]
    seen = {gpu["index"]: gpu for gpu in (host.look or {})["host"]["gpus"]}
    own = [seen[index] for index in indices]
    joined = all(
        str(gpu.get("links", {}).get("gpus", {}).get(str(other), "")).startswith("NV")
        for gpu in own
        for other in indices
        if other != gpu["index"]
    )
    gpus = [gpu_of(gpu, is_active(host)) for gpu in own]
    if freed:
        gpus = [replace(gpu, used_mib=0) for gpu in gpus]
    return ClusterHost(host.name, tuple(gpus), "nvlink" if joined and len(own) > 1 else "pcie")


def slowest_link(hosts: Sequence[Host]) -> tuple[Link, str]:
    """Return the slowest link between probed hosts, and what had to be assumed about it.

    RDMA counts where every host has an active port and what RDMA needs: NCCL uses it then, unless configured otherwise.
    """
    looks = [look_of(host) for host in hosts]
    rates = [
        max((port["rate"] or 0 for port in look["network"]["rdma"] if port["state"] == "ACTIVE"), default=0)
        for look in looks
    ]
    off = any(rdma_is_off(host.settings) for host in hosts)
    if rates and all(rates) and not off and not any(look["network"]["rdma_missing"] for look in looks):
        return Link(min(rates), rdma=True), ""
    speeds = []
    for look in looks:
        own = look["network"]["cluster_nic"]
        speeds += [nic["speed"] or 0 for nic in look["network"]["nics"] if own and nic["name"] == own["nic"]]
    if not all(speeds) or not speeds:
        return Link(USUAL_GBIT), f"not all NICs report their speed: assumed {USUAL_GBIT:g} Gbit/s"
    return Link(min(speeds) / 1000), ""


def model_of(facts: Mapping[str, t.Any]) -> Model:
    """Return a model from what model_info returns."""
    values: dict[str, t.Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in facts.items()
    }
    return Model(**values)


def of_advice(advice: Advice) -> _layout.Layout:
    """Return the layout that the planner chose."""
    layers = {name: tuple(part["layers_per_stage"]) for name, part in advice["hosts"].items()}
    return _layout.Layout(advice["tp"], advice["pp"], dict(advice["gpus"]), layers if advice["partition"] else {})


def choose(cluster: Cluster, offer: Mapping[str, int], model: Model | None) -> Engine:
    """Choose the layout: the one that serves while it fits, otherwise the best for today's hosts.

    offer: GPUs by host. model: None where it is not known.
    """
    by_name, settings = cluster.by_name, cluster.head.settings
    server = by_name[cluster.serve_host].settings
    try:
        wishes = _wishes.read(serve_args(server), server["vllm_ray_env"])
    except _wishes.WishError as error:
        problem = Problem("-", "option", "error", str(error), error.wanted, error.fix)
        return Engine(None, problems=[problem])
    ordered = {cluster.serve_host: offer[cluster.serve_host], **offer}
    unseen = [name for name in ordered if not by_name[name].look]
    outside = [name for name in ordered if not by_name[name].look or by_name[name].limited]
    # The check gpu_memory reports other programs on the GPUs that the engine will have: once, and by name.
    freed = "gpu_memory" not in settings["vllm_ray_checks_off"]
    known, named = None if unseen else model, [by_name[name] for name in ordered]
    planned = Planner(known, named, cluster.accelerator, wishes, freed)
    fresh = planned.best(ordered)
    old = cluster.record.layout
    if old is None or not is_whole(old):
        if not cluster.may_change:
            return Engine(None, problems=[lost(old)])
        old = None
    if old is None or (fresh.layout == old and not fresh.problems):
        return replace(fresh, kept=old is not None, notes=[*fresh.notes, *unused_notes(fresh.layout, offer)])
    wish, served = settings["vllm_ray_model"], cluster.record.engine.wish if cluster.record.engine else None
    why_not = _layout.still_fits(old, offer, cluster.serve_host, wishes.tp, wishes.pp)
    if served not in (None, wish):
        why_not = f"the model is {wish} instead of {served}"
    relayout = settings["vllm_ray_relayout"] and fresh.layout is not None
    sizes = str(fresh.layout or "no layout that fits")
    if why_not is None and not relayout:
        kept = planned.kept(old, offer)
        if fresh.layout not in (None, old) and not fresh.problems and not unseen:
            kept.notes.append(f"the engine keeps {old}; -e vllm_ray_relayout=true would give {sizes}")
        return kept
    reason = why_not or "vllm_ray_relayout is set"
    if not cluster.may_change:
        kept = planned.kept(old, offer)
        note = f"the layout would change to {sizes} ({reason}), which stops the engine: -e vllm_ray_restart=true"
        kept.notes.insert(0, note)
        return kept
    if outside:
        found = f"the layout would change ({reason}), and this run does not reach {', '.join(outside)}"
        return Engine(old, True, problems=[layout_problem(found, "run without --limit while all hosts answer")])
    return replace(fresh, notes=[f"layout changes: {reason}", *fresh.notes, *unused_notes(fresh.layout, offer)])


@dataclass(frozen=True)
class Planner:
    """What the planner needs. model: None where it is not known. hosts: probed, the serve host first.

    freed: whether memory that others hold of GPUs counts as free.
    """

    model: Model | None
    hosts: Sequence[Host]
    accelerator: Accelerator
    wishes: _wishes.Wishes
    freed: bool = False

    def best(self, offer: Mapping[str, int]) -> Engine:
        """Return the best layout for hosts as they are, or why there is none."""
        advice = self.advise(offer, self.wishes)
        if advice.get("fits"):
            return Engine(of_advice(advice), advice=advice)
        fix = f"set smaller {_layout.TP} or {_layout.PP} in vllm_ray_serve_args, or add hosts"
        problems = []
        if advice:
            fix = "; or ".join(advice["changes"]) or fix
            if advice["close"]:
                told = f"{'; '.join(advice['refusals'])}; {advice['close']}"
                return Engine(of_advice(advice), advice=advice, problems=[layout_problem(told, fix, "warning")])
            severity = "warning" if self.wishes.unreckoned else "error"
            problems = [layout_problem(refusal, fix, severity) for refusal in advice["refusals"]]
        try:
            layout = _layout.place(offer, *self.usual_sizes(offer))
        except _layout.LayoutError as error:
            if all(problem.severity != "error" for problem in problems):
                problems.append(layout_problem(str(error), fix))
            return Engine(None, advice=advice, problems=problems)
        return Engine(layout, advice=advice, problems=problems or self.misfits(layout))

    def usual_sizes(self, offer: Mapping[str, int]) -> tuple[int, int]:
        """Return TP and PP by the number of GPUs alone; where the model can't be cut like that, smaller ones."""
        tp, pp = _layout.sizes(offer, self.wishes.tp, self.wishes.pp)
        if not self.wishes.tp:
            tp = next((size for size in range(tp, 0, -1) if not self.refusals(size, 1)), tp)
        if not self.wishes.pp:
            pp = next((size for size in range(pp, 0, -1) if not self.refusals(tp, size)), pp)
        return tp, pp

    def refusals(self, tp: int, pp: int) -> list[str]:
        """Return why vLLM would refuse sizes for this model; nothing where it is not known."""
        if self.model is None:
            return []
        return [
            *_candidates.tp_refusals(self.model, tp, self.wishes),
            *_candidates.pp_refusals(self.model, pp, self.wishes),
        ]

    def misfits(self, layout: _layout.Layout) -> list[Problem]:
        """Return the problems of sizes that were not chosen by memory, as on CPU hosts."""
        fix = f"set {_layout.TP} and {_layout.PP} in vllm_ray_serve_args"
        return [
            layout_problem(f"{layout} can't serve this model: {refusal}", fix)
            for refusal in self.refusals(layout.tp, layout.pp)
        ]

    def kept(self, old: _layout.Layout, offer: Mapping[str, int]) -> Engine:
        """Return the layout that serves, with its figures."""
        partition = tuple(count for host in old.gpus for count in old.layers.get(host, ()))
        wishes = replace(self.wishes, tp=old.tp, pp=old.pp, partition=partition or self.wishes.partition)
        advice = self.advise(old.gpus, wishes)
        notes = unused_notes(old, offer)
        if advice and not advice["fits"] and not advice["close"]:
            # No error: the engine may serve with it since long, and the estimate be wrong.
            notes += [f"{old} may not start again with today's options: {text}" for text in advice["refusals"]]
        return Engine(old, True, notes, advice if advice.get("fits") else {})

    def advise(self, gpus: Mapping[str, int], wishes: _wishes.Wishes) -> Advice:
        """Ask the planner; it computes for GPUs whose memory is known. gpus: of each host that may take part, the serve
        host first.
        """
        named = {host.name: host for host in self.hosts}
        if self.model is None or not self.accelerator.has_gpus or any(name not in named for name in gpus):
            return {}
        link, assumed = slowest_link([named[name] for name in gpus])
        hosts = [cluster_host(named[name], self.accelerator, count, self.freed) for name, count in gpus.items()]
        # A GPU that shares the machine's memory reports none of its own, as that of a DGX Spark.
        if any(not gpu.usable for host in hosts for gpu in host.gpus):
            return {}
        advice = _advice.advise(self.model, hosts, link, wishes)
        if assumed and len(hosts) > 1:
            advice["notes"] = [*advice["notes"], assumed]
        return advice


def lost(known: _layout.Layout | None) -> Problem:
    """Return the problem of an engine that may serve and whose ranks are not known, so that it can't be kept.

    known: what could be learnt of its layout without the record of the last run.
    """
    found = "nodes of Ray run, and the head has no record of the engine that may use them"
    if known:
        found = f"the record of the last run is lost, and {known} has ranks on hosts that this run can't probe"
    fix = "run without --limit while all hosts answer; or allow the engine to be stopped: -e vllm_ray_restart=true"
    return layout_problem(found, fix)


def layout_problem(found: str, fix: str, severity: str = "error") -> Problem:
    """Return the problem of an engine that can't be laid out."""
    return Problem("-", "layout", severity, found, "an engine that fits its GPUs", fix)


def unused_notes(layout: _layout.Layout | None, offer: Mapping[str, int]) -> list[str]:
    """Say which hosts join without being used by the engine."""
    return [f"{host} joins, unused by the engine" for host in offer if layout and host not in layout.gpus]
