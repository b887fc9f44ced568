# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Evaluates the results of an audit, row by row. PRIVATE to the collection."""

from __future__ import annotations

import ipaddress
import textwrap
import typing as t
from dataclasses import asdict, dataclass

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._problem import Problem
from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall._backends import TOOL
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._audits import _audit_rows
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._audits._audit_rows import Row
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base import _report
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _host

if t.TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._audits._audit import Found, Listening
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _look
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._net._reach_io import Reached, Target, There
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._plans._types import Whole

    # By host; None where one gave no answer.
    Answers = Mapping[str, Mapping[str, object] | None]
    Looks = Mapping[str, _look.Look | None]

HOLDS, FAILS, UNKNOWN = "holds", "does not hold", "not known"
NEEDS_ROOT = "needs root, which vllm_ray_scope=user does not use"


@dataclass(frozen=True)
class Verdict:
    """One row of one host."""

    host: str
    row: str
    group: str
    state: str
    found: str
    expected: str
    fix: str
    severity: str

    @property
    def holds(self) -> bool:
        return self.state == HOLDS


class Rules(t.TypedDict, total=False):
    """What ufw_peers returned in check mode; only msg where it refused."""

    msg: str
    mode: str
    commands: Sequence[str]
    added: Sequence[str]
    removed: Sequence[str]
    rules: Sequence[str]
    problems: Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class Audit:
    """What all hosts answered.

    inside: of audit_host; rules: of ufw_peers in check mode; peers: of audit_reach on hosts;
    outside: of audit_reach on stranger, the name of a host. looks: of host_info. protection: all problems of _danger.
    """

    plan: Whole
    looks: Looks
    inside: Answers
    rules: Mapping[str, Rules | None]
    peers: Answers
    stranger: str
    outside: Reached | None
    protection: Sequence[Mapping[str, str]] = ()


def arguments(plan: Whole, name: str, release: str) -> dict[str, object]:
    """Return the options of audit_host that follow from the plan of a host."""
    part, cluster, endpoint = plan.hosts[name], plan.outline.cluster, plan.engine.endpoint
    settings, paths = part.settings, part.paths
    serves, system = name == plan.engine.serve_host, settings["vllm_ray_scope"] == "system"
    node, serve = _host.unit_names(cluster)
    rows = _audit_rows.rows_of(part.is_head, serves, settings["vllm_ray_checks_off"])
    return {
        "config": paths.config,
        "state": paths.state,
        "started": paths.started,
        "models": paths.models,
        "manifests": paths.manifests,
        "units": paths.units,
        "command": paths.command,
        "cluster": cluster,
        "clusters": paths.clusters,
        "root": "" if settings.get("vllm_ray_release_path") else paths.root,
        "release": release,
        "model": plan.model.path,
        "manager": "systemd" if system else "supervisor",
        "supervisor_directory": paths.config,
        "supervisor_bin": f"{paths.config}/current/bin",
        "services": [node, serve] if serves else [node],
        "rows": [row.name for row in rows if row.asked == _audit_rows.INSIDE and (system or not row.root)],
        "address": part.address,
        "raylet_port": settings["vllm_ray_node_manager_port"],
        "gcs_port": plan.outline.ray.gcs_port if part.is_head else 0,
        "dashboard": plan.outline.ray.dashboard_url if part.is_head else "",
        "ports": sorted(_host.ports(settings, part.is_head, serves)),
        "public_ports": public_ports(plan, name),
        "api": endpoint.url if serves else "",
        # The host asks from its own address.
        "api_open": ["/metrics"] if admitted(part.address, settings["vllm_ray_metrics_clients"]) else [],
        "ca_file": f"{paths.config}/tls-ca.crt",
        "server_name": _host.server_name(settings),
        "sudoers_file": f"/etc/sudoers.d/vllm-ray-{cluster.replace('.', '_')}",
    }


def admitted(address: str, clients: Iterable[str]) -> bool:
    """Return whether an address is one of some clients: addresses, networks, or any."""
    try:
        own = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(client == "any" or own in ipaddress.ip_network(client, strict=False) for client in clients)


def services(plan: Whole, name: str) -> list[tuple[Sequence[int], Sequence[str]]]:
    """Return (ports, clients) that our firewall rules open on a host besides those for peers."""
    part = plan.hosts[name]
    settings = part.settings
    found: list[tuple[Sequence[int], Sequence[str]]] = [
        (part.metrics_ports, settings["vllm_ray_metrics_clients"]),
    ]
    if name == plan.engine.serve_host:
        found.append(([plan.engine.endpoint.port], plan.api_clients))
    if part.is_head:
        found.append(([settings["vllm_ray_dashboard_port"]], settings["vllm_ray_dashboard_clients"]))
    return found


def public_ports(plan: Whole, name: str) -> list[int]:
    """Return the ports that our own rules open to everybody."""
    everybody = {"any", "0.0.0.0/0", "::/0"}
    return [port for ports, clients in services(plan, name) if everybody & set(clients) for port in ports]


def targets(plan: Whole | None, looks: Looks, inside: Answers, without: str = "") -> list[Target]:
    """Return the options of audit_reach: each host's addresses, and the ports that listen there or are ours.

    without: a host that does not ask itself.
    """
    found: list[Target] = []
    for name, look in looks.items():
        answer = inside.get(name)
        part = plan.hosts.get(name) if plan else None
        if plan is None or part is None or name == without or not look or not listens(answer):
            continue
        kinds = {nic["name"]: nic["kind"] for nic in look["network"]["nics"]}
        # What is behind a bridge of containers is nobody's way in, and the same address is elsewhere, too.
        addresses = [
            entry["address"]
            for entry in look["network"]["addresses"]
            if entry["up"] and (kinds.get(entry["nic"]) != "virtual" or entry["nic"] == part.nic)
        ]
        planned = _host.ports(part.settings, part.is_head, name == plan.engine.serve_host)
        ports = {*planned, *(listener["port"] for listener in listens(answer))}
        found.append({"name": name, "addresses": list(dict.fromkeys(addresses)), "ports": sorted(ports)})
    return found


def listens(answer: Mapping[str, object] | None) -> Sequence[Listening]:
    """Return what listens on a host, nothing where audit_host gave no answer."""
    return t.cast("Sequence[Listening]", (answer or {}).get("listeners") or [])


def reached(answer: Mapping[str, object] | None) -> Mapping[str, There]:
    """Return what a host reaches of the others, nothing where audit_reach gave no answer."""
    return t.cast("Mapping[str, There]", (answer or {}).get("hosts") or {})


def findings(answer: Mapping[str, object] | None) -> Mapping[str, Found]:
    """Return what the rows found on a host, nothing where audit_host gave no answer."""
    return t.cast("Mapping[str, Found]", (answer or {}).get("rows") or {})


# --- Rows that are not asked inside of a host ------------------------------------------------------------------------


def finding(checked: str, faults: Iterable[str] = (), unknown: str = "") -> Found:
    """Return what a row found, in the form of audit_host."""
    return {"checked": checked, "faults": list(faults), "unknown": unknown}


def rules(answer: Rules | None) -> Found:
    """Judge what ufw_peers would change. answer: its result in check mode."""
    if not answer or "commands" not in answer:
        return finding("", unknown=str((answer or {}).get("msg") or "the rules could not be read"))
    if answer["mode"] == "off":
        return finding("", unknown="vllm_ray_firewall is off, so this collection manages no rules")
    changes = [f"missing: {rule}" for rule in answer["added"]] + [
        f"not in the plan: {rule}" for rule in answer["removed"]
    ]
    # What puts the firewall in force is a row of its own.
    commands = [command for command in answer["commands"] if command not in TOOL.in_force]
    faults = [" ".join(change.split()) for change in changes] or [f"to be run: {command}" for command in commands]
    if not faults and not answer["rules"]:
        return finding(
            "", unknown="; ".join(problem["found"] for problem in answer["problems"]) or "there are no rules"
        )
    return finding(f"{len(answer['rules'])} rules", faults)


def settings_of(audit: Audit, name: str) -> Found:
    """Judge settings that remove a protection. Only errors are faults: warnings run code that somebody chose."""
    hosts = (name, "-") if name == audit.plan.engine.serve_host else (name,)
    found = [problem for problem in audit.protection if problem["host"] in hosts]
    faults = [problem["found"] for problem in found if problem["severity"] == "error"]
    notes = [f"warning: {problem['found']}" for problem in found if problem["severity"] == "warning"]
    return finding("; ".join(["vllm_ray_env, vllm_ray_serve_args and vllm_ray_start_args", *notes]), faults)


def outside(audit: Audit, name: str) -> Found:
    """Judge what a stranger reaches of a host."""
    answer, inside = audit.outside, listens(audit.inside.get(name))
    if not answer or not inside or name not in answer.get("hosts", {}):
        return finding("", unknown=f"{audit.stranger} did not probe the ports")
    peers = set(audit.plan.peers.values())
    own = sorted(peers & set(answer["own"]))
    if own:
        where = audit.plan.names.get(own[0], own[0])
        fix = "set vllm_ray_audit_from to a host outside of it"
        return finding("", unknown=f"{audit.stranger} is the host {where} of the cluster: {fix}")
    there = answer["hosts"][name]
    if not there["asked"] or there["no_route"] == there["addresses"]:
        return finding("", unknown=f"{audit.stranger} has no route to {name}")
    if not there["answered"]:
        return finding("", unknown=f"{name} does not answer {audit.stranger}, not even by SSH")
    part = audit.plan.hosts[name]
    planned = _host.ports(part.settings, part.is_head, name == audit.plan.engine.serve_host)
    ours = {listener["port"]: listener["process"] for listener in inside if listener["ours"]}
    named = {**planned, **ours}
    faults, others = [], set()
    for entry in there["open"]:
        address, port = entry["address"], entry["port"]
        source = answer["sources"].get(address, "")
        if port not in named:
            others.add(port)
        elif not any(port in ports and admitted(source, clients) for ports, clients in services(audit.plan, name)):
            faults.append(f"{audit.stranger} ({source}) reaches {port} ({named[port]}) at {address}")
    more = f"; also open, but not a service of this cluster: {', '.join(map(str, sorted(others)))}" if others else ""
    return finding(f"{there['asked']} ports and addresses from {audit.stranger}{more}", faults)


def peers(audit: Audit, name: str) -> Found:
    """Judge what the other hosts reach of a host."""
    inside, part = listens(audit.inside.get(name)), audit.plan.hosts[name]
    if not inside:
        return finding("", unknown=f"the ports that {name} listens on are not known")
    planned = _host.ports(part.settings, part.is_head, name == audit.plan.engine.serve_host)
    needed = {
        listener["port"]: planned[listener["port"]]
        for listener in inside
        if listener["port"] in planned and listener["ours"] and not listener["loopback"]
    }
    others = [other for other in audit.plan.hosts if other != name]
    faults, silent = [], []
    for other in others:
        there = reached(audit.peers.get(other)).get(name)
        if there is None:
            silent.append(other)
            continue
        found = {entry["port"] for entry in there["open"] if entry["address"] == part.address}
        faults += [f"{other} does not reach {port} ({needed[port]})" for port in sorted(set(needed) - found)]
    if silent and not faults:
        return finding("", unknown=f"{', '.join(silent)} did not probe the ports")
    return finding(f"{len(needed)} ports from {', '.join(others) or 'no other host'}", faults)


# --- The judgement ---------------------------------------------------------------------------------------------------


def verdicts(audit: Audit) -> list[Verdict]:
    """Return the rows of all hosts of the plan."""
    return [
        verdict(name, row, found_of(audit, name, row), part.settings["vllm_ray_scope"] == "system")
        for name, part in audit.plan.hosts.items()
        for row in _audit_rows.rows_of(
            part.is_head, name == audit.plan.engine.serve_host, part.settings["vllm_ray_checks_off"]
        )
    ]


def found_of(audit: Audit, name: str, row: Row) -> Found:
    """Return what a row found on a host, from the source that answers it."""
    if row.root and audit.plan.hosts[name].settings["vllm_ray_scope"] != "system":
        return finding("", unknown=NEEDS_ROOT)
    if row.asked == _audit_rows.RULES:
        return rules(audit.rules.get(name))
    if row.asked == _audit_rows.SETTINGS:
        return settings_of(audit, name)
    if row.asked == _audit_rows.OUTSIDE:
        return outside(audit, name)
    if row.asked == _audit_rows.PEERS:
        return peers(audit, name)
    answer = audit.inside.get(name) or {}
    missing = answer.get("msg") or "the host did not answer, or --limit excludes it"
    return findings(answer).get(row.name) or finding("", unknown=str(missing))


def verdict(host: str, row: Row, found: Found, system: bool) -> Verdict:
    """Judge one row. system: whether the host has root; what needs root is a warning where it has not."""
    state, text, severity = HOLDS, str(found["checked"]), "info"
    if found["faults"]:
        state, text, severity = FAILS, "; ".join(found["faults"]), row.severity
    elif found["unknown"]:
        state, text = UNKNOWN, f"not known: {found['unknown']}"
        severity = row.severity if system or not row.root else "warning"
    return Verdict(host, row.name, row.group, state, text, row.expected, row.fix, severity)


def problems(found: Iterable[Verdict]) -> list[dict[str, str]]:
    """Return the rows that do not hold as problems."""
    return [
        Problem(entry.host, entry.row, entry.severity, entry.found, entry.expected, entry.fix).as_dict()
        for entry in found
        if not entry.holds
    ]


def count(found: Sequence[Verdict], off: Collection[str]) -> str:
    """Return how many rows hold, such as `52 of 54 hold, 1 is not known`."""
    unknown = sum(entry.state == UNKNOWN for entry in found)
    left_out = sorted({row.switch for row in _audit_rows.ROWS} & set(off))
    parts = [f"{sum(entry.holds for entry in found)} of {len(found)} hold"]
    parts += [f"{unknown} {'is' if unknown == 1 else 'are'} not known"] if unknown else []
    parts += [f"left out by vllm_ray_checks_off: {', '.join(left_out)}"] if left_out else []
    return ", ".join(parts)


def screen(cluster: str, found: Sequence[Verdict], off: Collection[str], width: int) -> str:
    """Return what audit.yml shows: the rows that do not hold, and how many do."""
    title = f"AUDIT of the cluster {cluster}: {count(found, off)}"
    rootless = [entry for entry in found if entry.found.endswith(NEEDS_ROOT)]
    lines = _report.problem_lines(problems(entry for entry in found if entry not in rootless), width)
    if rootless:
        names = ", ".join(dict.fromkeys(entry.row for entry in rootless))
        lines += textwrap.wrap(f"{NEEDS_ROOT}: {names}", width - 2, initial_indent="  ", subsequent_indent="    ")
    return "\n".join(["", title, *lines])


def checks(found: Sequence[Verdict]) -> tuple[list[dict[str, str]], list[_report.Check]]:
    """Return problems and checks as JUnit has them: a case for each row of each host."""
    cases = [_report.Check(f"{entry.row} on {entry.host}", entry.group) for entry in found]
    named = [{**problem, "check": f"{problem['check']} on {problem['host']}"} for problem in problems(found)]
    return named, cases


def rows(found: Iterable[Verdict]) -> list[dict[str, object]]:
    """Return all rows for programs."""
    return [{**asdict(entry), "holds": entry.holds} for entry in found]
