# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The status screen of a cluster: services, nodes, GPUs and the engine. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._plain import plain
from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine import _engine_state
from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine._ray import table_lines
from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _look
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._report import problem_lines
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._screens._screen import table

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._advice import Advice
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._plans._types import Plan

    Looks = Mapping[str, _look.Look | None]


class Service(t.TypedDict, total=False):
    """A service of a host. progress: where its log was read."""

    state: str
    restarts: int
    first_error: str
    progress: str


class HostStatus(t.TypedDict):
    """How one host is. firewall, release: empty where they were not read."""

    address: str
    services: dict[str, Service]
    gpus: list[_look.Gpu]
    firewall: _look.FirewallDetails
    release: _look.ReleaseDetails


class Status(t.TypedDict):
    """How a cluster is, for programs; documented as RV(status) of the action status."""

    cluster: str
    verdict: str
    state: str
    serving: bool | None
    kv_cache: _look.KvCache
    planned: Advice
    model: _look.ServedModel
    ray: _look.Nodes
    names: Mapping[str, str]
    apart: str
    tls: str
    hosts: dict[str, HostStatus | None]
    problems: list[dict[str, str]]


# What is said of an engine in a state of _engine_state, with what it is and why.
VERDICTS = {
    _engine_state.SERVES: "serves {what}",
    _engine_state.BUSY: "serves {what} and is busy: {why}",
    _engine_state.REFUSES: "serves {what} and refused the probe: {why}",
    _engine_state.NO_ANSWER: "does not answer, {what}: {why}",
    _engine_state.LOADING: "is loading {what}: {why}",
    _engine_state.UNKNOWN: "has an unknown state, {what}: {why}",
}
# The best one first; status.yml ends well with these and where there is no engine.
GOOD = (_engine_state.SERVES, _engine_state.BUSY, _engine_state.REFUSES)
ORDER = (*GOOD, _engine_state.NO_ANSWER, _engine_state.LOADING, _engine_state.UNKNOWN, _engine_state.FAILS)


def state_of(engine: _look.Engine) -> str:
    """Return the state of the engine of one host."""
    usual = _engine_state.SERVES if engine["serving"] else _engine_state.DOWN
    return str(engine.get("state") or (usual if engine.get("url") else _engine_state.NONE))


def engine_of(looks: Looks) -> tuple[str, _look.Engine] | None:
    """Return host and look of the engine of the cluster, the best one where hosts have several; None: there is none."""
    engines = [(name, look["engine"]) for name, look in looks.items() if look]
    found = [(name, engine) for name, engine in engines if state_of(engine) != _engine_state.NONE]

    def rank(entry: tuple[str, _look.Engine]) -> int:
        state = state_of(entry[1])
        return ORDER.index(state) if state in ORDER else len(ORDER)

    return min(found, key=rank, default=None)


def unseen_server(plan: Plan, looks: Looks) -> str:
    """Return the host that should serve, if it could not be probed; otherwise an empty text."""
    server = plan.whole.engine.serve_host if plan.whole else ""
    return server if looks.get(server) is None else ""


def is_unsure(plan: Plan) -> bool:
    """Return whether it is not known if an engine serves."""
    return plan.outline is not None and plan.outline.serving is None


def verdict(plan: Plan, looks: Looks) -> str:
    """Return whether the engine serves, judged by a completion of one token."""
    found, unseen = engine_of(looks), unseen_server(plan, looks)
    if found is None and unseen:
        return f"has an unknown state: its serve host {unseen} could not be probed"
    if found is None and is_unsure(plan):
        return "may have an engine that serves: a host where it may run could not be probed, see the problems"
    if found is None:
        return f"has no engine{'' if plan.whole else ', and no plan: preflight.yml shows why'}"
    name, engine = found
    what = f"an engine of unknown options on {name}"
    if engine.get("url"):
        what = f"{engine['model']} with TP={engine['tp']} PP={engine['pp']} at {engine['url']} on {name}"
    return VERDICTS.get(state_of(engine), "does not serve {what}: {why}").format(what=what, why=engine["why"])


def apart(look: _look.Look) -> bool:
    """Return whether the engine of a host has its GPUs by the mp executor, so that Ray is not offered them."""
    alive = (*GOOD, _engine_state.LOADING, _engine_state.NO_ANSWER)
    engine = look["engine"]
    return engine.get("executor") == "mp" and state_of(engine) in alive and bool(look["host"]["gpus"])


def summary(plan: Plan, names: Sequence[str], looks: Looks, problems: Sequence[Mapping[str, str]]) -> Status:
    """Return how a cluster is. looks: with details; None where a host did not answer."""
    there = {name: look for name, look in looks.items() if look}
    details = [look["details"] for look in there.values() if look.get("details")]
    found, whole = engine_of(looks), plan.whole
    unknown = unseen_server(plan, looks) or is_unsure(plan)
    none = _engine_state.UNKNOWN if unknown else _engine_state.NONE
    state = state_of(found[1]) if found else none
    return {
        "cluster": plan.outline.cluster if plan.outline else "",
        "verdict": verdict(plan, looks),
        "state": state,
        "serving": None if state == _engine_state.UNKNOWN else state in GOOD,
        "kv_cache": next((detail["kv_cache"] for detail in details if detail["kv_cache"]), _look.KvCache()),
        "planned": whole.engine.advice if whole else {},
        "model": next((detail["model"] for detail in details if detail["model"]), _look.ServedModel()),
        "ray": next((detail["nodes"] for detail in details if detail["nodes"]), _look.Nodes()),
        "names": whole.names if whole else {},
        "apart": found[0] if found and apart(there[found[0]]) else "",
        "tls": (whole.tls.expires if whole else "") or "",
        "hosts": {name: host(looks.get(name)) for name in names},
        "problems": [dict(problem) for problem in problems],
    }


def host(look: _look.Look | None) -> HostStatus | None:
    """Return how one host is."""
    if look is None:
        return None
    details, nic = look.get("details"), look["network"]["cluster_nic"]
    return {
        "address": nic["address"] if nic else "-",
        "services": {
            unit: service(state, details["services"].get(unit) if details else None)
            for unit, state in look["usage"]["services"].items()
        },
        "gpus": [
            {
                "index": gpu["index"],
                "name": gpu["name"],
                "used_mib": gpu["used_mib"],
                "memory_mib": gpu["memory_mib"],
                "processes": gpu["processes"],
            }
            for gpu in look["host"]["gpus"]
        ],
        "firewall": details["firewall"] if details else {},
        "release": details["release"] if details else {},
    }


def service(state: str, log: _look.ServiceDetails | None) -> Service:
    """Return how a service is. log: what its log says, None where it was not read."""
    if log is None:
        return {"state": state, "restarts": 0, "first_error": ""}
    return {**log, "state": state}


def part(unit: str) -> str:
    """Return what a unit is for people: node or serve."""
    return "serve" if "serve@" in unit else "node"


def host_row(name: str, host: HostStatus | None) -> tuple[str, ...]:
    """Return the row of one host: address, services, and GPUs with their memory in use."""
    if host is None:
        return (name, "-", "did not answer", "")
    services = ", ".join(
        f"{part(unit)} {service['state']}"
        for unit, service in host["services"].items()
        if service["state"] != "inactive" or "node@" in unit
    )
    gpus = host["gpus"]
    used, size = sum(gpu["used_mib"] or 0 for gpu in gpus) / 1024, sum(gpu["memory_mib"] for gpu in gpus) / 1024
    cards = f"{len(gpus)} GPUs, {used:.0f} of {size:.0f} GiB in use" if gpus else "no GPU"
    return (name, host["address"], services, cards)


def release_text(release: _look.ReleaseDetails) -> str:
    """Return name and versions of a release."""
    if not release:
        return "none"
    python = release["python"]["version"] if release["python"] else "none running"
    versions = [f"{package} {version}" for package, version in release["versions"].items()]
    return f"{release['path'].rsplit('/', 1)[-1]}: {', '.join([*versions, f'Python {python}'])}"


def host_lines(host: HostStatus, usual_release: str) -> list[tuple[str, str]]:
    """Return what else there is to say of one host: (label, text)."""
    lines = []
    release, firewall = release_text(host["release"]), host["firewall"]
    if release != usual_release:
        lines.append(("release", release))
    if firewall:
        lines.append(("firewall", "; ".join([firewall["status"], *firewall["rules"]])))
    for gpu in host["gpus"]:
        for process in gpu["processes"]:
            owner = f"pid {process['pid']}" + (f", {process['user']}" if process["user"] else "")
            size = f" {process['mib']:,} MiB" if process["mib"] is not None else ""
            whose = ", ours" if process["ours"] else ""
            lines.append((f"GPU {gpu['index']}", f"{process['process']} ({owner}){size}{whose}"))
    for unit, service in host["services"].items():
        if service["restarts"]:
            lines.append(("restarts", f"{part(unit)}: {service['restarts']}, automatic restarts since it was started"))
        if service["first_error"]:
            lines.append(("error", f"{part(unit)}: {service['first_error']}"))
    return lines


def cache_text(cache: _look.KvCache) -> str:
    """Return the size of a KV cache. cache: tokens, and context and concurrency where they are known."""
    text = f"{cache['tokens']:,} tokens"
    if cache.get("concurrency") and cache.get("context"):
        text += f", {cache['concurrency']:g} requests of {cache['context']:,} tokens at once"
    return text


def engine_lines(summary: Status) -> list[tuple[str, str]]:
    """Return what there is to say of the engine: (label, text)."""
    cache, advice, model, ray = summary["kv_cache"], summary["planned"], summary["model"], summary["ray"]
    lines = []
    planned: _look.KvCache = {
        "tokens": advice.get("kv_tokens", 0),
        "context": advice.get("max_model_len", 0),
        "concurrency": round(advice.get("concurrency", 0.0), 2),
    }
    if cache:
        lines.append(("KV cache", cache_text(cache)))
    if planned["tokens"]:
        lines.append(("planned", cache_text(planned)))
    if model:
        revision = f", revision {model['revision']}" if model["revision"] else ""
        digest = f", manifest {model['digest'][:12]}" if model["digest"] else ""
        lines.append(("model", f"{model['path']}{revision}{digest}"))
    if summary.get("tls"):
        lines.append(("TLS", f"the certificate of the API {summary['tls']}"))
    if ray and not ray["exists"]:
        lines.append(("nodes", f"Ray does not answer: {ray['why']}"))
    lines += [("node", line) for line in table_lines(ray.get("nodes", []), summary["names"], summary["apart"])]
    return lines


def screen(summary: Status) -> str:
    """Return what status.yml shows."""
    hosts = summary["hosts"]
    releases = [release_text(host["release"]) for host in hosts.values() if host]
    usual = max(releases, key=releases.count, default="none")
    lines = ["", plain(f"The cluster {summary['cluster']} {summary['verdict']}")]
    top = [*engine_lines(summary), *([("release", usual)] if releases else [])]
    lines += [f"  {label:<10} {plain(text)}" for label, text in top]
    lines.append("")
    for row, host in zip(table([host_row(name, host) for name, host in hosts.items()]), hosts.values()):
        lines.append(row)
        lines += [f"      {label:<9} {plain(text)}" for label, text in (host_lines(host, usual) if host else ())]
    lines += ["", *problem_lines(summary["problems"])] if summary["problems"] else []
    return "\n".join(lines)
