# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read from ufw's files and the kernel, on captured output."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall import _rules, _ufw
from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall._rules import Rule, State

FIXTURES = Path(__file__).parents[4] / "fixtures" / "ufw"
NAMES = {
    _ufw.CONF: "ufw.conf",
    _ufw.DEFAULTS: "default_ufw",
    _ufw.RULES[False]: "user.rules",
    _ufw.RULES[True]: "user6.rules",
}


def text(*parts: str) -> str:
    return FIXTURES.joinpath(*parts).read_text(encoding="utf-8")


def filters(directory: str) -> dict[bool, _ufw.Filter]:
    programs = {False: "iptables_S", True: "ip6tables_S"}
    return {v6: _ufw.parse_filter(text(directory, name), v6) for v6, name in programs.items()}


def captured(directory: str) -> State:
    return _ufw.read_state(lambda path: text(directory, NAMES[path]), filters(directory))


def test_every_rule_is_shown_as_ufw_shows_it() -> None:
    shown = [_rules.show(rule) for rule in captured("mixed").rules]
    lines = [line.rstrip() for line in text("mixed", "status_verbose").splitlines()[7:] if line]
    assert len(shown) == 20
    assert sorted(shown) == sorted(lines)


def test_own_rules_are_those_with_exactly_this_comment() -> None:
    state = captured("mixed")
    assert [rule.src for rule in state.own("vllm-ray default2")] == ["10.234.0.13"]
    assert len(state.own("vllm-ray default")) == 6
    assert state.own("vllm-ray") == []


def test_no_host_has_no_rules() -> None:
    state = _ufw.read_state(lambda path: None)
    assert (state.installed, state.enabled, state.rules) == (False, False, ())


@pytest.mark.parametrize(
    ("directory", "enabled", "in_force", "fault"),
    [
        pytest.param("fresh", False, False, None, id="fresh"),
        pytest.param("mixed", True, True, None, id="active"),
        pytest.param("flushed", True, False, "IPv4: no packet enters ufw's chains", id="iptables -F"),
        pytest.param("unloaded", True, False, "IPv4: ufw's chains are not loaded", id="nft flush ruleset"),
        pytest.param("one_missing", True, True, "IPv4: the kernel has 15 rules, ufw's file has 16", id="iptables -D"),
        pytest.param("disabled", False, False, None, id="disabled"),
    ],
)
def test_the_kernel_is_compared(directory: str, enabled: bool, in_force: bool, fault: str | None) -> None:
    state = captured(directory)
    found = state.fault
    assert (state.enabled, state.in_force, found.text if found else None) == (enabled, in_force, fault)
    assert state.is_active == (enabled and not fault)


def test_a_kernel_that_cannot_be_read_is_not_trusted() -> None:
    state = _ufw.read_state(lambda path: text("mixed", NAMES[path]), {})
    assert (state.is_active, state.in_force) == (False, False)
    assert _ufw.read_state(lambda path: text("mixed", NAMES[path])).is_active


def test_chains_that_no_packet_enters_are_found() -> None:
    assert {v6: len(chains) for v6, chains in _ufw.severed(filters("flushed")).items()} == {False: 32}
    assert _ufw.severed(filters("disabled")) == {}
    assert _ufw.severed(filters("unloaded")) == {}


def test_settings() -> None:
    state = captured("deny_out")
    assert (state.input_policy, state.output_policy, state.forward_policy) == ("DROP", "DROP", "DROP")
    no_ipv6 = captured("no_ipv6")
    assert (no_ipv6.ipv6, no_ipv6.families, [rule for rule in no_ipv6.rules if rule.v6]) == (False, (False,), [])


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("### tuple ### allow any", id="too short"),
        pytest.param("### tuple ### allow any any nonsense any 0.0.0.0/0 in", id="no address"),
        pytest.param("### tuple ### allow any any 0.0.0.0/0 any 0.0.0.0/0 in comment=zz", id="comment is no hex"),
    ],
)
def test_a_malformed_tuple_is_left_out(line: str) -> None:
    assert _ufw.parse_rules(line, v6=False) == []


def test_the_old_form_of_a_tuple_has_no_direction() -> None:
    found = _ufw.parse_rules("### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0", v6=False)
    assert found == [Rule(False, proto="tcp", dport="22")]


@pytest.mark.parametrize(
    ("port", "client", "nic", "wanted"),
    [
        (22, "192.0.2.1", "", "allow"),
        (2222, "192.0.2.1", "", "limit"),
        (22, "192.0.2.66", "", "allow"),
        (23, "192.0.2.66", "", "deny"),
        (443, "198.51.100.9", "", "allow"),
        (444, "198.51.100.9", "", ""),
        (444, "10.234.0.12", "", ""),
        (444, "10.234.0.12", "host0", "allow"),
        (6005, "192.0.2.1", "", ""),
        (9001, "fd42::1", "", ""),
    ],
)
def test_the_first_rule_that_fits_decides(port: int, client: str, nic: str, wanted: str) -> None:
    assert _rules.verdict(captured("mixed").rules, client, port, nic) == wanted


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        pytest.param(
            Rule(False, src="10.0.0.5", nic_in="eno1", comment="vllm-ray a"),
            "delete allow in on eno1 from 10.0.0.5 to 0.0.0.0/0 comment vllm-ray a",
            id="peer",
        ),
        pytest.param(
            Rule(True, dst="fd42::5", nic_out="eno1", direction="out"),
            "delete allow out on eno1 from ::/0 to fd42::5",
            id="out",
        ),
        pytest.param(
            Rule(False, "deny", dapp="OpenSSH", log="log"),
            "delete deny in log from 0.0.0.0/0 to 0.0.0.0/0 app OpenSSH",
            id="application and log",
        ),
        pytest.param(
            Rule(False, route=True, nic_in="eno1", nic_out="eno2", proto="tcp", dport="80"),
            "route delete allow in on eno1 out on eno2 proto tcp from 0.0.0.0/0 to 0.0.0.0/0 port 80",
            id="route",
        ),
    ],
)
def test_a_rule_is_deleted_by_its_words(rule: Rule, wanted: str) -> None:
    assert " ".join(_ufw.delete_argv(rule)) == wanted


def test_a_rule_for_anywhere_is_one_call_for_both_families() -> None:
    rule = Rule(False, proto="tcp", dport="22", comment="vllm-ray a")
    assert _ufw.add_argv(rule, first=False, either_family=True) == [
        *["allow", "in", "proto", "tcp", "from", "any", "to", "any", "port", "22", "comment", "vllm-ray a"]
    ]
    assert _ufw.add_argv(rule, first=True)[0] == "prepend"


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
    assert _ufw.nft_filters_input(text(name)) is wanted
    assert _ufw.nft_filters_input("no JSON") is False


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


@pytest.mark.parametrize(
    ("enabled", "ipv6", "policy", "wanted"),
    [
        pytest.param("mixed", "no_ipv6", "ACCEPT", ["IPv6 is not filtered (IPV6=no in /etc/default/ufw)"], id="open"),
        pytest.param("mixed", "no_ipv6", "DROP", [], id="IPv6 is dropped"),
        pytest.param("mixed", "mixed", "DROP", [], id="both are filtered"),
        pytest.param("disabled", "no_ipv6", "ACCEPT", [], id="off"),
    ],
)
def test_what_the_kernel_admits_past_the_rules(enabled: str, ipv6: str, policy: str, wanted: list[str]) -> None:
    def read(path: str) -> str:
        return text(ipv6 if path == _ufw.DEFAULTS else enabled, NAMES[path])

    kernel = filters(enabled)
    kernel[True] = replace(kernel[True], policy=policy)
    assert list(_ufw.read_state(read, kernel).past) == wanted
    line = "-A INPUT -j ACCEPT"
    kernel[False] = replace(kernel[False], accepts=(line,))
    line = f"IPv4: '{line}' admits packets that no rule of ufw allows"
    assert list(_ufw.read_state(read, kernel).past) == [*wanted, line]


def test_it_is_enabled_without_chains_that_no_packet_enters() -> None:
    *dropped, enable = captured("flushed").enabling
    assert [command.argv for command in dropped] == [("iptables-restore", "--noflush")]
    assert str(dropped[0].data).startswith("*filter\n-F ufw-")
    assert [command.argv for command in captured("disabled").enabling] == [enable.argv] == [_ufw.ENABLE.argv]
    assert all(" ".join(command.argv) in _ufw.TOOL.in_force for command in (*dropped, enable, _ufw.RELOAD))


def test_rules_that_ufw_left_are_known_without_its_program() -> None:
    state = _ufw.read_state(lambda path: text("mixed", NAMES[path]), filters("mixed"), program=False)
    assert (state.installed, state.enabled, state.fault, len(state.rules)) == (False, False, None, 20)
