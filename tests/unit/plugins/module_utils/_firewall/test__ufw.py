# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read from ufw's files and the kernel, on captured output."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall import _ufw
from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall._ufw import Rule

FIXTURES = Path(__file__).parents[4] / "fixtures" / "ufw"
NAMES = {
    _ufw.CONF: "ufw.conf",
    _ufw.DEFAULTS: "default_ufw",
    _ufw.RULES[False]: "user.rules",
    _ufw.RULES[True]: "user6.rules",
}


def text(*parts: str) -> str:
    return FIXTURES.joinpath(*parts).read_text(encoding="utf-8")


def captured(directory: str) -> _ufw.State:
    filters = {False: text(directory, "iptables_S"), True: text(directory, "ip6tables_S")}
    return _ufw.read_state(lambda path: text(directory, NAMES[path]), filters)


def test_every_rule_is_shown_as_ufw_shows_it() -> None:
    shown = [_ufw.show(rule) for rule in captured("mixed").rules]
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
    found = _ufw.fault(state)
    assert (state.enabled, _ufw.in_force(state), found.text if found else None) == (enabled, in_force, fault)
    assert _ufw.is_active(state) == (enabled and not fault)


def test_a_kernel_that_cannot_be_read_is_not_trusted() -> None:
    state = _ufw.read_state(lambda path: text("mixed", NAMES[path]), {})
    assert (_ufw.is_active(state), _ufw.in_force(state)) == (False, False)
    assert _ufw.is_active(_ufw.read_state(lambda path: text("mixed", NAMES[path])))


def test_chains_that_no_packet_enters_are_found() -> None:
    assert {v6: len(chains) for v6, chains in _ufw.severed(captured("flushed")).items()} == {False: 32}
    assert _ufw.severed(captured("disabled")) == {}
    assert _ufw.severed(captured("unloaded")) == {}


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
    ("given", "wanted"),
    [
        ("10.0.0.5/32", "10.0.0.5"),
        ("10.0.0.5/24", "10.0.0.0/24"),
        ("fd42:0::5/128", "fd42::5"),
        ("::/0", "::/0"),
    ],
)
def test_addresses_are_as_ufw_writes_them(given: str, wanted: str) -> None:
    assert _ufw.normal_address(given) == wanted


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
    assert _ufw.verdict(captured("mixed").rules, client, port, nic) == wanted


@pytest.mark.parametrize(
    ("one", "two", "wanted"),
    [
        (Rule(False, dport="80"), Rule(False, dport="80,443", proto="tcp"), True),
        (Rule(False, dport="80", proto="udp"), Rule(False, dport="80", proto="tcp"), False),
        (Rule(False, dport="1:100"), Rule(False, dport="50:60"), True),
        (Rule(False, dport="1:40"), Rule(False, dport="50:60"), False),
        (Rule(False, src="10.0.0.0/8"), Rule(False, src="10.1.2.3", nic_in="eno1"), True),
        (Rule(False, nic_in="eno2"), Rule(False, nic_in="eno1"), False),
        (Rule(False), Rule(True), False),
        (Rule(False), Rule(False, direction="out"), False),
    ],
)
def test_rules_meet(one: Rule, two: Rule, wanted: bool) -> None:
    assert [_ufw.rules_meet(*pair) for pair in ((one, two), (two, one))] == [wanted, wanted]


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
    ("state", "wanted"),
    [
        (_ufw.State(), "ufw is not installed"),
        (_ufw.State(installed=True), "ufw is off"),
        (_ufw.State(installed=True, input_policy="ACCEPT"), "ufw is off"),
        (_ufw.State(installed=True, enabled=True, input_policy="ACCEPT"), "ufw admits packets that no rule covers"),
        (_ufw.State(installed=True, enabled=True), ""),
        (_ufw.State(installed=True, enabled=True, input_policy="REJECT"), ""),
    ],
)
def test_why_every_port_is_open(state: _ufw.State, wanted: str) -> None:
    assert _ufw.why_open(state).partition(" (")[0] == wanted
