# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rules one cluster needs on a host, whatever tool keeps them. Pure. PRIVATE to the collection."""

from __future__ import annotations

import ipaddress
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall import _rules
from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall._rules import BLOCKING, Rule, State

if t.TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._net._listeners import Listener

# What a firewall lets in on every host (ufw by its before.rules): DHCP, multicast DNS and UPnP discovery.
BUILT_IN = {("udp", 68), ("udp", 546), ("udp", 1900), ("udp", 5353)}
OWN_CGROUP = "/vllm-ray-"
PORTS = re.compile(r"(\d+(?::\d+)?)(?:/(tcp|udp))?")


@dataclass(frozen=True)
class Service:
    """TCP ports that some clients may reach, by any interface."""

    name: str
    ports: tuple[int, ...]
    clients: tuple[str, ...]


@dataclass(frozen=True)
class Ssh:
    """Where SSH listens, and whence and by which interface the present connection came, where that is known."""

    ports: tuple[int, ...] = ()
    client: str = ""
    nic: str = ""


@dataclass(frozen=True)
class Want:
    """What one cluster wants of a host's firewall."""

    cluster: str
    peers: tuple[str, ...] = ()
    nic: str = ""
    services: tuple[Service, ...] = ()
    keep: tuple[str, ...] = ()
    present: bool = True

    @property
    def comment(self) -> str:
        return _rules.comment_of(self.cluster)

    @property
    def keep_all(self) -> bool:
        return "all" in self.keep


def parse_ssh_connection(text: str) -> tuple[str, str, int] | None:
    """Return client address, server address and server port of SSH_CONNECTION."""
    words = text.split()
    if len(words) != 4 or not words[3].isdigit():
        return None
    try:
        client, server = (str(_plain(ipaddress.ip_address(word.split("%")[0]))) for word in (words[0], words[2]))
    except ValueError:
        # sshd says UNKNOWN where its connection is no socket.
        return None
    return client, server, int(words[3])


def _plain(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return the IPv4 address that an IPv6 socket shows as ::ffff:a.b.c.d, other addresses as they are."""
    return getattr(address, "ipv4_mapped", None) or address


def is_of_root(listener: Listener, process: str) -> bool:
    """Return whether it is that program: anybody may give a process a name, but not an account."""
    return listener.process == process and listener.user == "root"


def ssh_ports(connection: int | None, given: Iterable[int], listeners: Iterable[Listener]) -> tuple[int, ...]:
    """Return the ports of SSH: that of the connection, what the user says, where sshd listens, else 22 if in use."""
    ports = {*given, *([connection] if connection else [])}
    ports.update(x.port for x in listeners if is_of_root(x, "sshd") and x.proto == "tcp" and not x.is_local)
    if not ports:
        ports.update(x.port for x in listeners if (x.proto, x.port) == ("tcp", 22) and not x.is_local)
    return tuple(sorted(ports))


def bad_input(want: Want) -> list[str]:
    """Return what is wrong with the requested values themselves."""
    faults = []
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", want.cluster):
        faults.append(f"cluster {want.cluster!r}: use letters, digits, '.', '_' and '-'")
    if want.nic and not re.fullmatch(r"[^\s/!:'\"]{1,15}", want.nic):
        faults.append(f"interface {want.nic!r} is not the name of an interface")
    for label, addresses in (("peers", want.peers), *((f"clients of {s.name}", s.clients) for s in want.services)):
        for address in addresses:
            try:
                address == "any" or ipaddress.ip_network(address, strict=False)
            except ValueError:
                faults.append(f"{label}: {address!r} is not an IP address or network")
    faults += [f"keep: {entry!r} is neither 'all' nor like 9100/tcp" for entry in want.keep if not _keep(entry)]
    return faults


def _keep(entry: str) -> bool:
    match = PORTS.fullmatch(entry)
    if entry == "all":
        return True
    return bool(match) and all(0 < int(port) < 65536 for port in entry.partition("/")[0].split(":"))


def _anywhere(state: State, comment: str, port: str, proto: str) -> list[Rule]:
    return [Rule(v6, dport=port, proto=proto, comment=comment) for v6 in state.families]


def _is_open_port(rule: Rule) -> bool:
    """Return whether a rule lets everybody in to some ports: the form of our rules for SSH and for kept ports."""
    return (
        rule.action == "allow" and rule.names_port and rule.from_anywhere and (rule.nic_in, rule.sport) == ("", "any")
    )


def ssh_rules(want: Want, state: State, ssh: Ssh) -> list[Rule]:
    """Return our rules that keep SSH open: none where somebody else's rules do.

    Where others' rules are about SSH's port, they stay what decides who gets in, and only the client of the present
    connection is let in besides.
    """
    foreign = [rule for rule in state.rules if rule.comment != want.comment]
    wanted = []
    for port in ssh.ports:
        ours = [
            rule
            for rule in state.own(want.comment)
            if rule.action == "allow" and rule.names_port and (rule.dport, rule.proto) == (str(port), "tcp")
        ]
        wanted += [rule for rule in ours if rule.from_anywhere or rule.src == ssh.client]
        decided = [rule for rule in foreign if rule.names_port and _fits(rule, "tcp", port)]
        everything = [
            rule
            for rule in foreign
            if rule.from_anywhere
            and (rule.action, rule.direction, rule.dport, rule.nic_in) == ("allow", "in", "any", "")
            and rule.proto in ("any", "tcp")
        ]
        if not decided and not everything:
            wanted += _anywhere(state, want.comment, str(port), "tcp")
        elif ssh.client and not _gets_in([*ours, *foreign], ssh, port, state):
            v6 = ipaddress.ip_address(ssh.client).version == 6
            wanted.append(Rule(v6, src=ssh.client, dport=str(port), proto="tcp", comment=want.comment))
    return [rule for rule in wanted if rule.v6 in state.families]


def _gets_in(rules: Sequence[Rule], ssh: Ssh, port: int, state: State) -> bool:
    found = _rules.verdict(rules, ssh.client, port, ssh.nic)
    return found in ("allow", "limit") or (not found and state.input_policy == "ACCEPT")


def _fits(rule: Rule, proto: str, port: int) -> bool:
    return rule.proto in ("any", proto) and _rules.ports_cover(rule.dport, port)


def peer_rules(want: Want, state: State) -> list[Rule]:
    """Return the rules that let peers reach everything by the cluster NIC, and be reached where that is not free."""
    outgoing = [
        rule
        for rule in state.rules
        if rule.comment != want.comment and rule.direction == "out" and not rule.route and rule.action in BLOCKING
    ]
    wanted = []
    for peer in want.peers:
        v6 = ipaddress.ip_network(peer, strict=False).version == 6
        wanted.append(Rule(v6, src=peer, nic_in=want.nic, comment=want.comment))
        back = Rule(v6, dst=peer, nic_out=want.nic, direction="out", comment=want.comment)
        if state.output_policy != "ACCEPT" or any(_rules.rules_meet(rule, back) for rule in outgoing):
            wanted.append(back)
    return wanted


def service_rules(want: Want, state: State) -> list[Rule]:
    wanted = []
    for service in want.services:
        for client in service.clients:
            for port in service.ports:
                if client == "any":
                    wanted += _anywhere(state, want.comment, str(port), "tcp")
                    continue
                v6 = ipaddress.ip_network(client, strict=False).version == 6
                wanted.append(Rule(v6, src=client, dport=str(port), proto="tcp", comment=want.comment))
    return wanted


def kept_rules(want: Want, state: State, closing: Iterable[Listener]) -> list[Rule]:
    """Return the rules for kept ports. With 'all', what was kept once stays, and what would close now is kept."""
    wanted = []
    for entry in want.keep:
        match = PORTS.fullmatch(entry)
        if match:
            # ufw takes a range of ports only together with a protocol.
            protos = [match.group(2)] if match.group(2) else ["tcp", "udp"] if ":" in entry else ["any"]
            for proto in protos:
                wanted += _anywhere(state, want.comment, match.group(1), proto)
    if want.keep_all:
        wanted += [rule for rule in state.own(want.comment) if _is_open_port(rule)]
        for listener in closing:
            wanted += _anywhere(state, want.comment, str(listener.port), listener.proto)
    return wanted


def would_close(listeners: Iterable[Listener], rules: Collection[Rule]) -> list[Listener]:
    """Return the listeners that a default of deny closes and that no rule is about."""
    found: dict[tuple[str, int], Listener] = {}
    for listener in listeners:
        known = listener.is_local or (listener.proto, listener.port) in BUILT_IN or OWN_CGROUP in listener.cgroup
        # Docker's own rules pass what it publishes before any packet comes to ours.
        if known or is_of_root(listener, "docker-proxy"):
            continue
        if not any(_speaks_of(rule, listener) for rule in rules):
            found.setdefault((listener.proto, listener.port), listener)
    return sorted(found.values(), key=lambda x: (x.port, x.proto))


def _speaks_of(rule: Rule, listener: Listener) -> bool:
    if rule.direction != "in" or rule.route or not _fits(rule, listener.proto, listener.port):
        return False
    return rule.dport != "any" or (rule.from_anywhere and not rule.nic_in and rule.action in ("allow", "limit"))


def hiding(rule: Rule, before: Iterable[Rule]) -> Rule | None:
    """Return the first of the rules before ours that takes from it what it is for, or None.

    A peer must reach everything. A client's rule may have exceptions (a banned address), but not be void.
    """
    to_peer = rule.dport == "any"
    for other in before:
        if not _rules.rules_meet(other, rule):
            continue
        whole = _rules.net_within(rule.src, other.src) and _rules.net_within(rule.dst, other.dst)
        if (to_peer and other.action != "allow") or (whole and other.action in BLOCKING):
            return other
    return None


def wanted_rules(want: Want, state: State, ssh: Ssh, listeners: Iterable[Listener]) -> list[Rule]:
    """Return all rules that should be ours, each once; SSH first."""
    if not want.present:
        # What may be the only thing that lets SSH in stays while ufw is in force.
        found = [rule for rule in ssh_rules(want, state, ssh) if rule in state.rules] if state.enabled else []
    else:
        found = [*ssh_rules(want, state, ssh), *service_rules(want, state), *peer_rules(want, state)]
        found += kept_rules(want, state, ())
        if want.keep_all:
            found += kept_rules(want, state, would_close(listeners, [*foreign_rules(want, state), *found]))
    unique = {rule.key: rule for rule in found if rule.v6 in state.families}
    return list(unique.values())


def foreign_rules(want: Want, state: State) -> list[Rule]:
    return [rule for rule in state.rules if rule.comment != want.comment]


def ssh_is_safe(state: State, rules: Sequence[Rule], ssh: Ssh) -> bool:
    """Return whether the present connection could be made again with the planned rules in force."""
    if not ssh.client or not ssh.ports:
        return True
    if ipaddress.ip_address(ssh.client).version == 6 and not state.ipv6:
        return False
    return all(_gets_in(rules, ssh, port, state) for port in ssh.ports)
