# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rules a cluster wants, and the way there."""

from __future__ import annotations

import typing as t
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall import _ufw, _ufw_plan
from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall._ufw import Rule, State
from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall._ufw_plan import Plan, Service, Ssh, Want
from ansible_collections.vllm_ray.cluster.plugins.module_utils._net._listeners import Listener
from ansible_collections.vllm_ray.cluster.tests import reference

FIXTURES = Path(__file__).parents[4] / "fixtures" / "ufw"
OURS = "vllm-ray default"
SSH = Ssh((22,), "192.0.2.9", "eno1")
WANT = Want("default", ("10.0.0.2", "fd42::2"), "eno1", (Service("api", (8000,), ("198.51.100.0/24",)),))
EMPTY = State(installed=True)
SSH_RULES = (
    Rule(False, proto="tcp", dport="22", comment=OURS),
    Rule(True, proto="tcp", dport="22", comment=OURS),
)
PEER = Rule(False, src="10.0.0.2", nic_in="eno1", comment=OURS)
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
    assert _ufw_plan.foreign_rules(WANT, after) == _ufw_plan.foreign_rules(WANT, state)
    for client, port, nic in (("10.0.0.2", 4711, "eno1"), ("fd42::2", 22, "eno1"), ("198.51.100.9", 8000, "eno2")):
        assert _ufw.verdict(after.rules, client, port, nic) == "allow"
    assert _ufw.verdict(after.rules, SSH.client, 22, SSH.nic) in ("allow", "limit")
    assert _ufw.verdict(after.rules, "192.0.2.50", 4711, "eno1") in ("", "deny")
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
    assert _ufw.verdict(found.after, "198.51.100.7", 8000) == "deny"


def test_a_rule_behind_a_deny_is_moved_and_the_diff_says_so() -> None:
    state = with_rules(Rule(False, "deny"), *SET)
    found = plan(state)
    assert "delete allow in on eno1 from 10.0.0.2 to 0.0.0.0/0 comment vllm-ray default" in commands(found)
    hidden = [(rule, found.hidden[rule.key]) for rule in state.rules if rule.key in found.hidden]
    picture = _ufw_plan.picture("Status: active", state.rules, OURS, hidden)
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


def ssh_of(*rules: Rule, ssh: Ssh = SSH, **values: t.Any) -> list[str]:
    found = _ufw_plan.ssh_rules(WANT, with_rules(*rules, **values), ssh)
    return [f"{rule.src} {rule.dport}" for rule in found]


FROM_VPN = Rule(False, src="10.9.0.0/16", proto="tcp", dport="22")


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        pytest.param(ssh_of(), ["0.0.0.0/0 22", "::/0 22"], id="nothing is said about ssh"),
        pytest.param(ssh_of(Rule(False, dport="22")), [], id="others allow it"),
        pytest.param(ssh_of(Rule(False, "limit", dport="22", proto="tcp")), [], id="others limit it"),
        pytest.param(ssh_of(FROM_VPN), ["192.0.2.9 22"], id="others allow it from elsewhere"),
        pytest.param(ssh_of(FROM_VPN, ssh=Ssh((22,), "10.9.1.1")), [], id="others allow it from here"),
        pytest.param(ssh_of(FROM_VPN, ssh=Ssh((22,))), [], id="others allow it, and nobody is connected"),
        pytest.param(ssh_of(Rule(False, "deny", dport="22")), ["192.0.2.9 22"], id="others deny it"),
        pytest.param(ssh_of(Rule(False, src="192.0.2.9")), ["0.0.0.0/0 22", "::/0 22"], id="this client has all ports"),
        pytest.param(ssh_of(PEER, ssh=Ssh((22,), "10.0.0.2")), ["0.0.0.0/0 22", "::/0 22"], id="the client is a peer"),
        pytest.param(ssh_of(ssh=Ssh((22, 2222))), ["0.0.0.0/0 22", "::/0 22", "0.0.0.0/0 2222", "::/0 2222"], id="two"),
        pytest.param(ssh_of(ipv6=False), ["0.0.0.0/0 22"], id="IPv4 only"),
        pytest.param(ssh_of(replace(FROM_VPN, nic_in="eno1", src="")), [], id="allowed by the client's interface"),
        pytest.param(ssh_of(replace(FROM_VPN, nic_in="wg0", src="")), ["192.0.2.9 22"], id="allowed by another one"),
    ],
)
def test_ssh_stays(found: list[str], wanted: list[str]) -> None:
    assert list(dict.fromkeys(found)) == wanted


def test_the_port_of_ssh_that_nothing_listens_on_any_more_is_closed() -> None:
    found = plan(with_rules(*SET), ssh=Ssh((2222,), "192.0.2.9"))
    assert found.removed == SSH_RULES


@pytest.mark.parametrize(
    ("connection", "given", "listeners", "wanted"),
    [
        pytest.param(22, [], [], (22,), id="connection"),
        pytest.param(
            2200, [22], [Listener("tcp", "0.0.0.0", 2222, "sshd", 5, "root")], (22, 2200, 2222), id="all of them"
        ),
        pytest.param(None, [], [Listener("tcp", "::", 22, "systemd", 1)], (22,), id="socket activation"),
        pytest.param(None, [], [Listener("tcp", "127.0.0.1", 22, "sshd", 1)], (), id="loopback only"),
        pytest.param(None, [], [], (), id="no ssh"),
        pytest.param(None, [], [Listener("tcp", "::", 4444, "sshd", 9, "ann")], (), id="a name that ann gave"),
    ],
)
def test_ports_of_ssh(connection: int | None, given: list[int], listeners: list[Listener], wanted: object) -> None:
    assert _ufw_plan.ssh_ports(connection, given, listeners) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("192.0.2.9 50000 192.0.2.1 22", ("192.0.2.9", "192.0.2.1", 22)),
        ("::ffff:192.0.2.9 50000 ::ffff:192.0.2.1 22", ("192.0.2.9", "192.0.2.1", 22)),
        ("fe80::1%eth0 50000 fe80::2%eth0 22", ("fe80::1", "fe80::2", 22)),
        ("", None),
        ("UNKNOWN 65535 UNKNOWN 65535", None),
        ("; rm -rf / 22", None),
    ],
)
def test_ssh_connection(text: str, wanted: object) -> None:
    assert _ufw_plan.parse_ssh_connection(text) == wanted


@pytest.mark.parametrize(
    ("rules", "policy", "ipv6", "client", "wanted"),
    [
        pytest.param(SSH_RULES, "DROP", True, "192.0.2.9", True, id="allowed"),
        pytest.param((), "DROP", True, "192.0.2.9", False, id="not allowed"),
        pytest.param((), "ACCEPT", True, "192.0.2.9", True, id="allowed by default"),
        pytest.param((Rule(False, "deny"), *SSH_RULES), "DROP", True, "192.0.2.9", False, id="denied"),
        pytest.param(SSH_RULES, "DROP", False, "fd42::9", False, id="by IPv6, which ufw drops"),
        pytest.param((), "DROP", True, "", True, id="not by ssh"),
    ],
)
def test_a_lockout_is_seen(rules: tuple[Rule, ...], policy: str, ipv6: bool, client: str, wanted: bool) -> None:
    state = replace(EMPTY, input_policy=policy, ipv6=ipv6)
    assert _ufw_plan.ssh_is_safe(WANT, state, Plan(after=rules), Ssh((22,), client)) is wanted


# Captured by root of processes of root.
LISTENERS = tuple(replace(entry, user="root") for entry in reference.listeners(text("ss")))


def test_what_only_this_host_reaches() -> None:
    assert [(x.proto, x.port, x.process, x.is_local) for x in LISTENERS] == [
        ("udp", 5140, "python3", False),
        ("tcp", 8124, "python3", True),
        ("tcp", 8123, "python3", False),
        ("tcp", 22, "sshd", False),
        ("tcp", 8125, "python3", True),
        ("tcp", 22, "sshd", False),
    ]


def test_what_would_be_closed() -> None:
    found = _ufw_plan.would_close(LISTENERS, plan(EMPTY).after)
    assert [(x.port, x.proto, x.process, x.pid > 0) for x in found] == [
        (5140, "udp", "python3", True),
        (8123, "tcp", "python3", True),
    ]


@pytest.mark.parametrize(
    ("listener", "rules", "wanted"),
    [
        pytest.param(Listener("tcp", "::", 80), (), True, id="no rule"),
        pytest.param(Listener("tcp", "::", 80), (Rule(False, dport="80,443", proto="tcp"),), False, id="its port"),
        pytest.param(Listener("udp", "::", 80), (Rule(False, dport="80,443", proto="tcp"),), True, id="other protocol"),
        pytest.param(Listener("tcp", "::", 80), (Rule(False, "deny", dport="80"),), False, id="denied on purpose"),
        pytest.param(Listener("tcp", "::", 80), (Rule(False),), False, id="everything is allowed"),
        pytest.param(Listener("tcp", "::", 80), (Rule(False, nic_in="wg0"),), True, id="all of another interface"),
        pytest.param(Listener("tcp", "::", 80), (PEER,), True, id="peers only"),
        pytest.param(Listener("tcp", "::", 80), (Rule(False, dport="80", direction="out"),), True, id="outgoing"),
        pytest.param(Listener("udp", "::", 5353), (), False, id="built into ufw"),
        pytest.param(Listener("tcp", "::ffff:127.0.0.1", 80), (), False, id="loopback in an IPv6 socket"),
        pytest.param(Listener("tcp", "fe80::1%eth0", 80), (), True, id="scoped"),
        pytest.param(Listener("tcp", "::", 80, "docker-proxy", 9, "root"), (), False, id="docker"),
        pytest.param(
            Listener("tcp", "::", 6379, "gcs_server", 9, cgroup="0::/system.slice/vllm-ray-node@default.service\n"),
            (),
            False,
            id="our own unit",
        ),
        pytest.param(Listener("tcp", "::", 2049), (), True, id="the kernel listens"),
    ],
)
def test_would_close(listener: Listener, rules: tuple[Rule, ...], wanted: bool) -> None:
    assert bool(_ufw_plan.would_close([listener], rules)) is wanted


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
    assert _ufw_plan.would_close(LISTENERS, found.after) == []
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


@pytest.mark.parametrize(
    ("want", "message"),
    [
        (replace(WANT, cluster="it's"), "cluster \"it's\": use letters, digits, '.', '_' and '-'"),
        (replace(WANT, nic="eth0; reboot"), "interface 'eth0; reboot' is not the name of an interface"),
        (replace(WANT, peers=("gpu02",)), "peers: 'gpu02' is not an IP address or network"),
        (
            replace(WANT, services=(Service("api", (1,), ("x",)),)),
            "clients of api: 'x' is not an IP address or network",
        ),
        (replace(WANT, keep=("http",)), "keep: 'http' is neither 'all' nor like 9100/tcp"),
        (replace(WANT, keep=("70000",)), "keep: '70000' is neither 'all' nor like 9100/tcp"),
    ],
)
def test_bad_input(want: Want, message: str) -> None:
    assert _ufw_plan.bad_input(want) == [message]


def test_good_input() -> None:
    want = replace(WANT, services=(Service("api", (1,), ("any", "10.0.0.0/8")),), keep=("all", "9100/tcp", "1:2"))
    assert _ufw_plan.bad_input(want) == []


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("nft_none.json", False),
        ("nft_iptables.json", False),
        ("nft_ban.json", False),
        ("nft_policy_drop.json", True),
        ("nft_drop_rule.json", True),
    ],
)
def test_a_firewall_by_nftables(name: str, wanted: bool) -> None:
    assert _ufw_plan.nft_filters_input(text(name)) is wanted
    assert _ufw_plan.nft_filters_input("no JSON") is False


@pytest.mark.parametrize(("name", "wanted"), [("iptables_ban_S", False), ("iptables_plain_S", True)])
def test_a_firewall_by_iptables(name: str, wanted: bool) -> None:
    assert _ufw.parse_filter(text(name), v6=False).drops_all is wanted


@pytest.mark.parametrize(
    ("line", "opens"),
    [
        ("-A INPUT -j ACCEPT", True),
        ("-A INPUT -s 192.0.2.0/24 -p tcp -m tcp --dport 6379 -j ACCEPT", True),
        ("-A INPUT ! -i lo -j ACCEPT", True),
        ("-A INPUT -m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT", True),
        ("-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", False),
        ("-A INPUT -m state --state ESTABLISHED -j ACCEPT", False),
        ("-A INPUT -i lo -j ACCEPT", False),
        ("-A INPUT -p udp -m udp --dport 53 -j ACCEPT", False),
        ("-A INPUT -s 192.0.2.1 -p tcp -m tcp --dport 52365 -j DROP", False),
        ("-A ufw-user-input -p tcp -m tcp --dport 22 -j ACCEPT", False),
    ],
)
def test_what_gets_in_past_ufw(line: str, opens: bool) -> None:
    found = _ufw.parse_filter(f"-P INPUT DROP\n{line}\n-A INPUT -j ufw-before-input\n", v6=False)
    assert found.accepts == ((line,) if opens else ())


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


@pytest.mark.parametrize(
    ("state", "wanted"),
    [
        (State(), "Status: not installed"),
        (EMPTY, "Status: inactive"),
        (replace(EMPTY, enabled=True), "Status: active"),
    ],
)
def test_status(state: State, wanted: str) -> None:
    assert _ufw_plan.status_line(state) == wanted
