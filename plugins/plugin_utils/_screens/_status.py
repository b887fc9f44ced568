# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The status screen of a cluster: services, nodes, GPUs and the engine. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._plain import plain
from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine import _engine_state
from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine._ray import table_lines
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._report import problem_lines
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._screens._screen import table

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Answers = Mapping[str, Mapping[str, t.Any] | None]


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


def state_of(engine: Mapping[str, t.Any]) -> str:
    """Return the state of the engine of one host."""
    usual = _engine_state.SERVES if engine["serving"] else _engine_state.DOWN
    return str(engine.get("state") or (usual if engine.get("url") else _engine_state.NONE))


def engine_of(looks: Answers) -> tuple[str, Mapping[str, t.Any]] | None:
    """Return host and look of the engine of the cluster, the best one where hosts have several; None: there is none."""
    engines = [(name, look["engine"]) for name, look in looks.items() if look]
    found = [(name, engine) for name, engine in engines if state_of(engine) != _engine_state.NONE]

    def rank(entry: tuple[str, Mapping[str, t.Any]]) -> int:
        state = state_of(entry[1])
        return ORDER.index(state) if state in ORDER else len(ORDER)

    return min(found, key=rank, default=None)


def unseen(plan: Mapping[str, t.Any], looks: Answers) -> bool:
    """Return whether the host that should serve could not be probed."""
    return bool(plan.get("serve_host")) and looks.get(plan["serve_host"]) is None


def verdict(plan: Mapping[str, t.Any], looks: Answers) -> str:
    """Return whether the engine serves, judged by a completion of one token."""
    found = engine_of(looks)
    if found is None and unseen(plan, looks):
        return f"has an unknown state: its serve host {plan['serve_host']} could not be probed"
    if found is None and plan.get("serving", False) is None:
        return "may have an engine that serves: a host where it may run could not be probed, see the problems"
    if found is None:
        return f"has no engine{'' if 'engine' in plan else ', and no plan: preflight.yml shows why'}"
    name, engine = found
    what = f"an engine of unknown options on {name}"
    if engine.get("url"):
        what = f"{engine['model']} with TP={engine['tp']} PP={engine['pp']} at {engine['url']} on {name}"
    return VERDICTS.get(state_of(engine), "does not serve {what}: {why}").format(what=what, why=engine["why"])


def apart(look: Mapping[str, t.Any]) -> bool:
    """Return whether the engine of a host has its GPUs by the mp executor, so that Ray is not offered them."""
    alive = (*GOOD, _engine_state.LOADING, _engine_state.NO_ANSWER)
    engine = look["engine"]
    return engine.get("executor") == "mp" and state_of(engine) in alive and bool(look["host"]["gpus"])


def summary(
    plan: Mapping[str, t.Any], names: Sequence[str], looks: Answers, problems: Sequence[Mapping[str, str]]
) -> dict[str, t.Any]:
    """Return how a cluster is, for programs. looks: with details; None where a host did not answer."""
    there = {name: look for name, look in looks.items() if look}
    details = [look.get("details") or {} for look in there.values()]
    engine = plan.get("engine") or {}
    found = engine_of(looks)
    unknown = unseen(plan, looks) or plan.get("serving", False) is None
    none = _engine_state.UNKNOWN if unknown else _engine_state.NONE
    state = state_of(found[1]) if found else none
    return {
        "cluster": plan.get("cluster", ""),
        "verdict": verdict(plan, looks),
        "state": state,
        "serving": None if state == _engine_state.UNKNOWN else state in GOOD,
        "kv_cache": next((detail["kv_cache"] for detail in details if detail.get("kv_cache")), {}),
        "planned": engine.get("advice") or {},
        "model": next((detail["model"] for detail in details if detail.get("model")), {}),
        "ray": next((detail["nodes"] for detail in details if detail.get("nodes")), {}),
        "names": plan.get("names", {}),
        "apart": found[0] if found and apart(there[found[0]]) else "",
        "tls": (plan.get("tls") or {}).get("expires", ""),
        "hosts": {name: host(looks.get(name)) for name in names},
        "problems": [dict(problem) for problem in problems],
    }


def host(look: Mapping[str, t.Any] | None) -> dict[str, t.Any] | None:
    """Return how one host is."""
    if look is None:
        return None
    details = look.get("details") or {}
    return {
        "address": (look["network"]["cluster_nic"] or {}).get("address", "-"),
        "services": {
            unit: {"restarts": 0, "first_error": "", **(details.get("services") or {}).get(unit, {}), "state": state}
            for unit, state in look["usage"]["services"].items()
        },
        "gpus": [
            {key: gpu[key] for key in ("index", "name", "used_mib", "memory_mib", "processes")}
            for gpu in look["host"]["gpus"]
        ],
        "firewall": details.get("firewall") or {},
        "release": details.get("release") or {},
    }


def part(unit: str) -> str:
    """Return what a unit is for people: node or serve."""
    return "serve" if "serve@" in unit else "node"


def host_row(name: str, host: Mapping[str, t.Any] | None) -> tuple[str, ...]:
    """Return the row of one host: address, services, and GPUs with their memory in use."""
    if host is None:
        return (name, "-", "did not answer", "")
    services = ", ".join(
        f"{part(unit)} {service['state']}"
        for unit, service in host["services"].items()
        if service["state"] != "inactive" or "node@" in unit
    )
    gpus = host["gpus"]
    used, size = (sum(gpu[key] or 0 for gpu in gpus) / 1024 for key in ("used_mib", "memory_mib"))
    cards = f"{len(gpus)} GPUs, {used:.0f} of {size:.0f} GiB in use" if gpus else "no GPU"
    return (name, host["address"], services, cards)


def release_text(release: Mapping[str, t.Any]) -> str:
    """Return name and versions of a release."""
    if not release:
        return "none"
    python = (release.get("python") or {}).get("version", "none running")
    versions = [f"{package} {version}" for package, version in release["versions"].items()]
    return f"{release['path'].rsplit('/', 1)[-1]}: {', '.join([*versions, f'Python {python}'])}"


def host_lines(host: Mapping[str, t.Any], usual_release: str) -> list[tuple[str, str]]:
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


def cache_text(cache: Mapping[str, t.Any]) -> str:
    """Return the size of a KV cache. cache: tokens, and context and concurrency where they are known."""
    text = f"{cache['tokens']:,} tokens"
    if cache.get("concurrency") and cache.get("context"):
        text += f", {cache['concurrency']:g} requests of {cache['context']:,} tokens at once"
    return text


def engine_lines(summary: Mapping[str, t.Any]) -> list[tuple[str, str]]:
    """Return what there is to say of the engine: (label, text)."""
    cache, advice, model, ray = (summary[key] for key in ("kv_cache", "planned", "model", "ray"))
    lines = []
    planned = {
        "tokens": advice.get("kv_tokens"),
        "context": advice.get("max_model_len"),
        "concurrency": round(advice.get("concurrency") or 0, 2),
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


def screen(summary: Mapping[str, t.Any]) -> str:
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
