# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rules a cluster wants, whatever tool keeps them."""

from __future__ import annotations

import typing as t
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall import _wanted
from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall._rules import Rule, State
from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall._wanted import Service, Ssh, Want
from ansible_collections.vllm_ray.cluster.plugins.module_utils._net._listeners import Listener
from ansible_collections.vllm_ray.cluster.tests import reference
from ansible_collections.vllm_ray.cluster.tests.unit.firewalls import EMPTY, PEER, SSH, SSH_RULES, WANT

FIXTURES = Path(__file__).parents[4] / "fixtures" / "ufw"


def text(name: str) -> str:
    return (FIXTURES / name).read_text(encoding="utf-8")


def with_rules(*rules: Rule, **values: t.Any) -> State:
    return replace(EMPTY, rules=rules, **values)


def ssh_of(*rules: Rule, ssh: Ssh = SSH, **values: t.Any) -> list[str]:
    found = _wanted.ssh_rules(WANT, with_rules(*rules, **values), ssh)
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
    assert _wanted.ssh_ports(connection, given, listeners) == wanted


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
    assert _wanted.parse_ssh_connection(text) == wanted


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
    assert _wanted.ssh_is_safe(state, rules, Ssh((22,), client)) is wanted


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
    assert bool(_wanted.would_close([listener], rules)) is wanted


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
    assert _wanted.bad_input(want) == [message]


def test_good_input() -> None:
    want = replace(WANT, services=(Service("api", (1,), ("any", "10.0.0.0/8")),), keep=("all", "9100/tcp", "1:2"))
    assert _wanted.bad_input(want) == []
