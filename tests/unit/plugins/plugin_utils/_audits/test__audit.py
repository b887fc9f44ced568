# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import copy
import dataclasses
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._audits import _audit, _audit_rows
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base import _report
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks import _danger
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _paths, _settings
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._plans._types import Whole
from ansible_collections.vllm_ray.cluster.tests.unit import plans
from ansible_collections.vllm_ray.cluster.tests.unit.looks import look

DEFAULTS = {name: spec.get("default") for name, spec in _settings.specification().items()}
ADDRESSES = {"h1": "192.0.2.11", "h2": "192.0.2.12"}
STRANGER = "192.0.2.99"


def plan(**settings: Any) -> Whole:
    """Return the plan of a head that serves, and of a worker."""
    given = {**DEFAULTS, **settings}
    made = {
        "cluster": "default",
        "head": "h1",
        "serve_host": "h1",
        "api_clients": ["198.51.100.0/24"],
        "peers": ADDRESSES,
        "names": {address: name for name, address in ADDRESSES.items()},
        "model": {"wish": "/srv/model", "path": "/srv/model"},
        "ray": plans.RAY,
        "engine": {"endpoint": {"url": "http://192.0.2.11:8000", "port": 8000}},
        "hosts": {
            name: {
                "address": address,
                "nic": f"eno{number}",
                "is_head": name == "h1",
                "metrics_ports": [6384],
                "paths": _paths.paths(given).as_dict(),
                "settings": given,
            }
            for number, (name, address) in enumerate(ADDRESSES.items(), 1)
        },
    }
    whole = plans.plan(made).whole
    assert whole
    return whole


def listener(port: int, ours: bool = True, loopback: bool = False, process: str = "raylet") -> dict[str, Any]:
    return {"port": port, "address": "*", "process": process, "ours": ours, "loopback": loopback}


def options(name: str, **settings: Any) -> Any:
    return _audit.arguments(plan(**settings), name, "/r")


def healthy(**settings: Any) -> Any:
    """Return what a cluster answers in which everything holds."""
    made = plan(**settings)
    inside: dict[str, Any] = {}
    for name in made.hosts:
        rows = {row: _audit.finding(f"{row} was looked at") for row in options(name, **settings)["rows"]}
        found = [listener(6380), listener(22, ours=False, process="sshd"), listener(8265, loopback=True)]
        inside[name] = {"rows": rows, "listeners": found}
    opened = {name: [{"address": address, "port": port} for port in (22, 6380)] for name, address in ADDRESSES.items()}

    def reached(name: str, entries: list[dict[str, Any]]) -> dict[str, Any]:
        return {"asked": 3, "answered": len(entries), "addresses": [ADDRESSES[name]], "no_route": [], "open": entries}

    outside: Any = {
        "hosts": {name: reached(name, opened[name][:1]) for name in ADDRESSES},
        "own": [],
        "sources": dict.fromkeys(ADDRESSES.values(), STRANGER),
    }
    return _audit.Audit(
        plan=made,
        looks={"h1": look(1), "h2": look(2)},
        inside=inside,
        rules={
            name: {"mode": "manage", "commands": [], "added": [], "removed": [], "rules": ["one"], "problems": []}
            for name in ADDRESSES
        },
        peers={
            name: {"hosts": {other: reached(other, opened[other]) for other in ADDRESSES if other != name}}
            for name in ADDRESSES
        },
        stranger="h9",
        outside=outside,
    )


def faulty(audit: _audit.Audit) -> dict[tuple[str, str], str]:
    return {(entry.host, entry.row): entry.found for entry in _audit.verdicts(audit) if not entry.holds}


def test_a_healthy_cluster() -> None:
    found = _audit.verdicts(healthy())
    assert [entry for entry in found if not entry.holds] == []
    # Each row of the table, on the hosts that have it.
    assert {entry.row for entry in found} == {row.name for row in _audit_rows.ROWS}
    assert _audit.screen("default", found, [], 120).splitlines() == [
        "",
        f"AUDIT of the cluster default: {len(found)} of {len(found)} hold",
    ]


@pytest.mark.parametrize(
    "row", [row for row in _audit_rows.ROWS if row.asked == _audit_rows.INSIDE], ids=lambda r: r.name
)
@pytest.mark.parametrize("unknown", [False, True])
def test_each_row_of_a_host_can_fail(row: _audit_rows.Row, unknown: bool) -> None:
    audit = healthy()
    broken = _audit.finding("", unknown="nobody answers") if unknown else _audit.finding("1", ["it is bad"])
    audit.inside["h1"]["rows"][row.name] = broken
    (entry,) = [entry for entry in _audit.verdicts(audit) if not entry.holds]
    assert (entry.host, entry.row, entry.fix, entry.severity) == ("h1", row.name, row.fix, row.severity)
    assert entry.found == ("not known: nobody answers" if unknown else "it is bad")
    text = _audit.screen("default", _audit.verdicts(audit), [], 120)
    assert entry.found in text and row.fix.split()[0] in text and "h2" not in text


def test_what_needs_root_is_a_warning_without_it() -> None:
    found = faulty(healthy(vllm_ray_scope="user"))
    needs = {row.name for row in _audit_rows.ROWS if row.root}
    assert {row for _host, row in found} == needs
    assert all("needs root" in text for text in found.values())
    problems = _audit.problems(_audit.verdicts(healthy(vllm_ray_scope="user")))
    title, line, *_more = _audit.screen("c", _audit.verdicts(healthy(vllm_ray_scope="user")), [], 120).splitlines()[1:]
    assert "are not known" in title
    assert "needs root, which vllm_ray_scope=user does not use: units, sudoers, account" in line
    assert _report.fails(problems, strict=False) == []


def test_a_host_without_an_answer_is_not_known() -> None:
    audit = healthy()
    audit.inside["h2"], audit.rules["h2"], audit.peers["h2"] = None, None, None
    found = faulty(audit)
    assert {row for host, row in found if host == "h2"} == {
        # The controller judges the settings.
        entry.row
        for entry in _audit.verdicts(audit)
        if entry.host == "h2" and entry.row != "settings"
    }
    assert found["h1", "peers"] == "not known: h2 did not probe the ports"
    assert all(text.startswith("not known: ") for text in found.values())


def test_a_host_that_limit_excludes() -> None:
    audit = healthy()
    audit.inside["h2"] = None
    assert faulty(audit)["h2", "modes"] == "not known: the host did not answer, or --limit excludes it"


def test_what_ended_the_module_is_said() -> None:
    audit = healthy()
    audit.inside["h2"] = {"msg": "systemctl failed"}
    assert faulty(audit)["h2", "paths"] == "not known: systemctl failed"


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ({"added": ["6380 ALLOW  IN x"]}, "missing: 6380 ALLOW IN x"),
        ({"removed": ["y ALLOW IN"]}, "not in the plan: y ALLOW IN"),
        ({"commands": ["ufw delete allow in from x"]}, "to be run: ufw delete allow in from x"),
        ({"commands": ["ufw reload", "ufw --force enable"]}, None),
        ({"mode": "off"}, "not known: vllm_ray_firewall is off, so this collection manages no rules"),
        ({"rules": [], "problems": [{"found": "firewalld filters"}]}, "not known: firewalld filters"),
    ],
)
def test_rules_of_the_firewall(answer: dict[str, Any], found: str | None) -> None:
    audit = healthy()
    audit.rules["h1"].update(answer)
    assert faulty(audit) == ({("h1", "rules"): found} if found else {})


def with_open(audit: _audit.Audit, port: int, source: str = STRANGER) -> _audit.Audit:
    assert audit.outside
    audit.outside["hosts"]["h1"]["open"].append({"address": ADDRESSES["h1"], "port": port})
    audit.outside["sources"][ADDRESSES["h1"]] = source
    return audit


@pytest.mark.parametrize(
    ("port", "source", "settings", "holds"),
    [
        pytest.param(6380, STRANGER, {}, False, id="a port of Ray"),
        pytest.param(8000, STRANGER, {}, False, id="the API, not a client"),
        pytest.param(8000, "198.51.100.7", {}, True, id="the API, a client"),
        pytest.param(6380, "198.51.100.7", {}, False, id="a port of Ray, a client of the API"),
        pytest.param(6384, STRANGER, {"vllm_ray_metrics_clients": [STRANGER]}, True, id="metrics, a client"),
        pytest.param(6384, STRANGER, {}, False, id="metrics"),
        pytest.param(22, STRANGER, {}, True, id="SSH"),
        pytest.param(9100, STRANGER, {}, True, id="what is not ours"),
        pytest.param(8265, STRANGER, {}, False, id="the dashboard"),
    ],
)
def test_what_a_stranger_reaches(port: int, source: str, settings: dict[str, Any], holds: bool) -> None:
    found = faulty(with_open(healthy(**settings), port, source))
    assert list(found) == ([] if holds else [("h1", "outside")])
    if not holds:
        assert f"h9 ({source}) reaches {port} (" in found["h1", "outside"]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"own": ["192.0.2.12"]}, "h9 is the host h2 of the cluster"),
        ({"hosts": {}}, "h9 did not probe the ports"),
    ],
)
def test_a_stranger_that_is_none(change: dict[str, Any], found: str) -> None:
    audit = healthy()
    assert audit.outside
    audit.outside.update(change)
    assert {(host, row): found in text for (host, row), text in faulty(audit).items()} == {
        ("h1", "outside"): True,
        ("h2", "outside"): True,
    }


def test_a_stranger_without_a_route() -> None:
    audit = healthy()
    assert audit.outside
    audit.outside["hosts"]["h2"].update(no_route=[ADDRESSES["h2"]], open=[])
    assert faulty(audit) == {("h2", "outside"): "not known: h9 has no route to h2"}


def test_a_stranger_whom_nothing_answers() -> None:
    """A firewall in between, or one that drops: a port that is silent may be open to others."""
    audit = healthy()
    assert audit.outside
    audit.outside["hosts"]["h2"].update(answered=0, open=[])
    assert faulty(audit) == {("h2", "outside"): "not known: h2 does not answer h9, not even by SSH"}


def test_a_peer_that_is_shut_out() -> None:
    audit = healthy()
    audit.peers["h2"]["hosts"]["h1"]["open"] = []
    assert faulty(audit) == {("h1", "peers"): "h2 does not reach 6380 (vllm_ray_node_manager_port)"}


def test_targets_have_all_addresses_but_those_of_containers() -> None:
    audit, looks = healthy(), {"h1": look(1), "h2": look(2)}
    network = looks["h1"]["network"]
    network["addresses"] += [
        {"nic": "docker0", "address": "172.17.0.1", "up": True},
        {"nic": "eno9", "address": "2001:db8::1", "up": True},
        {"nic": "eno8", "address": "192.0.2.200", "up": False},
    ]
    network["nics"].append({**network["nics"][0], "name": "docker0", "kind": "virtual"})
    target: Any
    (target,) = _audit.targets(audit.plan, looks, audit.inside, without="h2")
    assert target["addresses"] == ["192.0.2.11", "2001:db8::1"]
    assert {22, 6379, 6380, 8000, 8265} <= set(target["ports"])
    assert [entry["name"] for entry in _audit.targets(audit.plan, looks, audit.inside)] == ["h1", "h2"]


def test_options_by_what_a_host_is() -> None:
    head, worker = (options(name, vllm_ray_metrics_clients=["192.0.2.0/24"]) for name in ADDRESSES)
    assert (head["services"], worker["services"]) == (
        ["vllm-ray-node@default", "vllm-ray-serve@default-main"],
        ["vllm-ray-node@default"],
    )
    assert (head["gcs_port"], worker["gcs_port"], head["api"], worker["api"]) == (6379, 0, "http://192.0.2.11:8000", "")
    assert head["api_open"] == ["/metrics"]
    assert {"api", "dashboard", "tls"} <= set(head["rows"]) - set(worker["rows"])
    assert not {"rules", "outside", "peers"} & set(head["rows"])


def test_ports_of_what_a_host_is() -> None:
    """A host that is no head may use the ports of one for something else."""
    head, worker = (set(options(name)["ports"]) for name in ADDRESSES)
    assert head - worker >= {6379, 8000, 8265}
    assert {6380} <= worker < head


def protection(severity: str, host: str) -> dict[str, str]:
    return _danger.Problem(host, _danger.CHECK, severity, "vllm_ray_env: X opens it", "not set", "remove it").as_dict()


@pytest.mark.parametrize(
    ("severity", "host", "fails"),
    [("error", "h2", ["h2"]), ("error", "-", ["h1"]), ("warning", "h2", []), ("info", "-", [])],
)
def test_settings_that_take_protection_away(severity: str, host: str, fails: list[str]) -> None:
    audit = dataclasses.replace(healthy(vllm_ray_checks_off=["protection"]), protection=[protection(severity, host)])
    assert faulty(audit) == {(name, "settings"): "vllm_ray_env: X opens it" for name in fails}
    notes = [entry.host for entry in _audit.verdicts(audit) if "warning: vllm_ray_env: X" in entry.found]
    assert notes == (["h2"] if severity == "warning" else [])


def test_a_port_for_everybody_is_no_fault() -> None:
    made = plan(vllm_ray_metrics_clients=["0.0.0.0/0"])
    assert _audit.public_ports(made, "h2") == [6384]
    assert _audit.public_ports(dataclasses.replace(made, api_clients=["any"]), "h1") == [6384, 8000]


def test_counts() -> None:
    audit = healthy()
    audit.inside["h1"]["rows"]["logs"] = _audit.finding("", unknown="x")
    found = _audit.verdicts(audit)
    text = _audit.count(found, ["audit_kernel", "firewall", "mtu"])
    assert (
        text == f"{len(found) - 1} of {len(found)} hold, 1 is not known, left out by vllm_ray_checks_off: audit_kernel"
    )


def test_the_report_has_a_case_for_each_row_of_each_host() -> None:
    audit = healthy()
    audit.inside["h2"]["rows"]["groups"] = _audit.finding("1 groups", ["vllm-ray is in the group docker"])
    found = _audit.verdicts(audit)
    problems, checks = _audit.checks(found)
    root = ET.fromstring(_report.junit(problems, checks, False, "audit").encode())
    assert root.get("name") == "audit"
    cases = root.findall(".//testcase")
    assert len(cases) == len(found)
    assert [case.get("name") for case in cases if case.find("failure") is not None] == ["groups on h2"]
    (row,) = [row for row in _audit.rows(found) if not row["holds"]]
    assert (row["host"], row["row"], row["state"]) == ("h2", "groups", _audit.FAILS)
    assert set(row) >= {"found", "expected", "fix", "severity", "group"}


def test_a_verdict_changes_nothing_of_what_was_found() -> None:
    audit = healthy()
    before = copy.deepcopy(audit)
    _audit.verdicts(audit)
    assert audit == before
