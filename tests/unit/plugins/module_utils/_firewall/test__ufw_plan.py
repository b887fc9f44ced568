# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of ufw that reach the rules of a cluster."""

from __future__ import annotations

import typing as t
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall import _backend, _rules, _ufw_plan, _wanted
from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall._backend import Plan
from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall._rules import Rule, State
from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall._wanted import Service, Ssh, Want
from ansible_collections.vllm_ray.cluster.plugins.module_utils._net._listeners import Listener
from ansible_collections.vllm_ray.cluster.tests import reference
from ansible_collections.vllm_ray.cluster.tests.unit.firewalls import EMPTY, OURS, PEER, SSH, SSH_RULES, WANT

FIXTURES = Path(__file__).parents[4] / "fixtures" / "ufw"
PEER6 = Rule(True, src="fd42::2", nic_in="eno1", comment=OURS)
API = Rule(False, src="198.51.100.0/24", proto="tcp", dport="8000", comment=OURS)
SET = (PEER6, PEER, *SSH_RULES, API)


def text(name: str) -> str:
    return (FIXTURES / name).read_text(encoding="utf-8")


def plan(state: State, want: Want = WANT, ssh: Ssh = SSH, listeners: tuple[Listener, ...] = ()) -> Plan:
    return _ufw_plan.make_plan(want, state, ssh, listeners)


def commands(found: Plan) -> list[str]:
    return [" ".join(step.argv) for step in found.steps]


def with_rules(*rules: Rule, **values: t.Any) -> State:
    return replace(EMPTY, rules=rules, **values)


def test_first_run() -> None:
    found = plan(EMPTY)
    assert commands(found) == [
        "allow in proto tcp from any to any port 22 comment vllm-ray default",
        "allow in proto tcp from 198.51.100.0/24 to 0.0.0.0/0 port 8000 comment vllm-ray default",
        "prepend allow in on eno1 from 10.0.0.2 to 0.0.0.0/0 comment vllm-ray default",
        "prepend allow in on eno1 from fd42::2 to ::/0 comment vllm-ray default",
    ]
    assert found.after == SET
    assert found.problems == ()


BAN = Rule(False, "deny", src="198.51.100.7")


STATES = [
    pytest.param(EMPTY, id="no rules"),
    pytest.param(with_rules(*SET), id="all there"),
    pytest.param(with_rules(*SET[1:]), id="a peer deleted"),
    pytest.param(with_rules(*SET, Rule(False, src="10.0.0.9", nic_in="eno1", comment=OURS)), id="a stale peer"),
    pytest.param(with_rules(*SET, Rule(False, "deny", src="10.0.0.9", comment=OURS)), id="odd rule with our comment"),
    pytest.param(with_rules(replace(PEER, action="deny"), *SET[2:]), id="our peer turned into a deny"),
    pytest.param(with_rules(replace(API, log="log")), id="our client's rule turned into a logging one"),
    pytest.param(with_rules(Rule(False, "deny"), Rule(True, "deny")), id="deny from anywhere"),
    pytest.param(with_rules(Rule(False, "deny"), *SET), id="deny from anywhere before ours"),
    pytest.param(with_rules(Rule(False, "limit", dport="22"), *SET), id="limited ssh before a peer"),
    pytest.param(with_rules(Rule(False, "deny", direction="out")), id="outgoing denied by a rule"),
    pytest.param(with_rules(output_policy="DROP"), id="outgoing denied by default"),
    pytest.param(with_rules(PEER, replace(API, comment="")), id="client's rule is somebody else's"),
    pytest.param(with_rules(replace(PEER, comment="vllm-ray default2")), id="another cluster has the same peer"),
    pytest.param(with_rules(BAN), id="a ban"),
    pytest.param(with_rules(SSH_RULES[0]), id="half of ssh deleted"),
    pytest.param(with_rules(Rule(False, dapp="OpenSSH", proto="tcp", dport="22")), id="ssh is allowed for IPv4"),
    pytest.param(with_rules(Rule(False, src="10.9.0.0/16", proto="tcp", dport="22")), id="ssh only from elsewhere"),
]


@pytest.mark.parametrize("state", STATES)
def test_after_the_plan_there_is_nothing_to_do_and_others_rules_are_as_before(state: State) -> None:
    found = plan(state)
    after = replace(state, rules=found.after)
    again = plan(after)
    assert (commands(again), again.added, again.removed) == ([], (), ())
    assert _wanted.foreign_rules(WANT, after) == _wanted.foreign_rules(WANT, state)
    for client, port, nic in (("10.0.0.2", 4711, "eno1"), ("fd42::2", 22, "eno1"), ("198.51.100.9", 8000, "eno2")):
        assert _rules.verdict(after.rules, client, port, nic) == "allow"
    assert _rules.verdict(after.rules, SSH.client, 22, SSH.nic) in ("allow", "limit")
    assert _rules.verdict(after.rules, "192.0.2.50", 4711, "eno1") in ("", "deny")
    assert len({rule.key for rule in after.rules}) == len(after.rules)


def test_nothing_to_do() -> None:
    assert plan(with_rules(*SET)).steps == ()


def test_a_stale_peer_is_removed_after_the_new_one_is_added() -> None:
    stale = Rule(False, src="10.0.0.9", nic_in="eno1", comment=OURS)
    found = plan(with_rules(stale, *SET[2:], PEER6))
    assert commands(found) == [
        "prepend allow in on eno1 from 10.0.0.2 to 0.0.0.0/0 comment vllm-ray default",
        "delete allow in on eno1 from 10.0.0.9 to 0.0.0.0/0 comment vllm-ray default",
    ]
    assert (found.added, found.removed) == ((PEER,), (stale,))


def test_a_ban_stays_before_a_clients_rule() -> None:
    found = plan(with_rules(BAN))
    assert _rules.verdict(found.after, "198.51.100.7", 8000) == "deny"


def test_a_rule_behind_a_deny_is_moved_and_the_diff_says_so() -> None:
    state = with_rules(Rule(False, "deny"), *SET)
    found = plan(state)
    assert "delete allow in on eno1 from 10.0.0.2 to 0.0.0.0/0 comment vllm-ray default" in commands(found)
    hidden = [(rule, found.hidden[rule.key]) for rule in state.rules if rule.key in found.hidden]
    picture = _backend.picture("Status: active", state.rules, OURS, hidden)
    assert "10.0.0.2                   # vllm-ray default  <- behind: Anywhere DENY IN Anywhere" in picture


@pytest.mark.parametrize(
    ("state", "fix"),
    [
        pytest.param(
            with_rules(replace(PEER, action="deny", comment="")),
            "ufw delete deny in on eno1 from 10.0.0.2 to 0.0.0.0/0",
            id="the opposite of ours",
        ),
        pytest.param(
            with_rules(Rule(False, "deny", dport="80", proto="tcp"), replace(PEER, comment="")),
            "ufw delete allow in on eno1 from 10.0.0.2 to 0.0.0.0/0",
            id="the same as ours behind a deny",
        ),
        pytest.param(
            replace(EMPTY, ipv6=False),
            "set IPV6=yes in /etc/default/ufw and run again, or give IPv4 addresses",
            id="IPv6 is off",
        ),
    ],
)
def test_what_cannot_work_is_an_error(state: State, fix: str) -> None:
    assert [(problem.severity, problem.fix) for problem in plan(state).problems] == [("error", fix)]


def test_the_port_of_ssh_that_nothing_listens_on_any_more_is_closed() -> None:
    found = plan(with_rules(*SET), ssh=Ssh((2222,), "192.0.2.9"))
    assert found.removed == SSH_RULES


# Captured by root of processes of root.
LISTENERS = tuple(replace(entry, user="root") for entry in reference.listeners(text("ss")))


def test_what_would_be_closed() -> None:
    found = _wanted.would_close(LISTENERS, plan(EMPTY).after)
    assert [(x.port, x.proto, x.process, x.pid > 0) for x in found] == [
        (5140, "udp", "python3", True),
        (8123, "tcp", "python3", True),
    ]


def test_kept_ports() -> None:
    want = replace(WANT, keep=("9100/tcp", "53", "6000:6010/udp", "7000:7001"))
    found = [rule for rule in plan(EMPTY, want).after if not rule.v6 and rule.names_port and rule.from_anywhere]
    assert [(rule.dport, rule.proto) for rule in found] == [
        *[
            ("22", "tcp"),
            ("9100", "tcp"),
            ("53", "any"),
            ("6000:6010", "udp"),
            ("7000:7001", "tcp"),
            ("7000:7001", "udp"),
        ]
    ]


def test_keeping_all_keeps_what_listens_now_and_what_was_kept() -> None:
    want = replace(WANT, keep=("all",))
    found = plan(EMPTY, want, listeners=LISTENERS)
    assert _wanted.would_close(LISTENERS, found.after) == []
    assert {"8123", "5140"} <= {rule.dport for rule in found.after}
    state = replace(EMPTY, rules=found.after, enabled=True)
    assert plan(state, want).steps == ()
    assert {rule.dport for rule in plan(state).removed} == {"8123", "5140"}


def test_clients_from_anywhere() -> None:
    found = plan(EMPTY, replace(WANT, services=(Service("api", (8000,), ("any",)),)))
    assert "allow in proto tcp from any to any port 8000 comment vllm-ray default" in commands(found)


def test_all_our_rules_go_but_the_one_that_lets_ssh_in() -> None:
    gone = replace(WANT, present=False)
    assert plan(with_rules(*SET), gone).after == ()
    assert plan(with_rules(*SET, enabled=True), gone).after == SSH_RULES
    others = Rule(False, dport="22")
    assert plan(with_rules(*SET, others, enabled=True), gone, ssh=Ssh((22,), "192.0.2.9")).after == (*SSH_RULES, others)
    assert plan(EMPTY, gone).steps == ()


def test_what_to_know_before_enabling() -> None:
    docker = Listener("tcp", "0.0.0.0", 8080, "docker-proxy", 7, "root")
    state = replace(EMPTY, input_policy="ACCEPT", ipv6=False)
    assert [x.fix for x in _ufw_plan.before_enabling(state, [docker], "1\n")] == [
        "publish them on a loopback or cluster address",
        "set DEFAULT_FORWARD_POLICY in /etc/default/ufw, or add 'ufw route allow' rules",
        "ufw default deny incoming",
        "set IPV6=yes in /etc/default/ufw",
    ]
    assert list(_ufw_plan.before_enabling(EMPTY, LISTENERS, "0\n")) == []
