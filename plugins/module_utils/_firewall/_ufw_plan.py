# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of ufw that one cluster needs on a host, and the changes to reach them. Pure. PRIVATE to the collection.

Note that this module util is PRIVATE to the collection.
"""

from __future__ import annotations

import ipaddress
import json
import re
import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall import _ufw
from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall._ufw import ANY, BLOCKING, Rule, State

if t.TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._net._listeners import Listener

# What ufw's own before.rules let in on every host: DHCP, multicast DNS and UPnP discovery.
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
        return _ufw.comment_of(self.cluster)

    @property
    def keep_all(self) -> bool:
        return "all" in self.keep


@dataclass(frozen=True)
class Problem:
    """A finding in the collection's words; the host is added by whoever knows its name."""

    severity: str
    found: str
    wanted: str
    fix: str
    check: str = "firewall"

    def as_dict(self) -> dict[str, str]:
        return {key: getattr(self, key) for key in ("check", "severity", "found", "wanted", "fix")}


@dataclass(frozen=True)
class Step:
    """One call of ufw and what it does to the list of rules."""

    argv: tuple[str, ...]
    add: tuple[Rule, ...] = ()
    remove: tuple[Rule, ...] = ()
    first: bool = False


@dataclass(frozen=True)
class Plan:
    """The steps from what is to what is wanted, in the order that is safe to stop at any of them."""

    steps: tuple[Step, ...] = ()
    added: tuple[Rule, ...] = ()
    removed: tuple[Rule, ...] = ()
    hidden: dict[tuple[object, ...], Rule] = field(default_factory=dict)
    after: tuple[Rule, ...] = ()
    problems: tuple[Problem, ...] = ()


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
    """Return what is wrong with the wish itself."""
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
    found = _ufw.verdict(rules, ssh.client, port, ssh.nic)
    return found in ("allow", "limit") or (not found and state.input_policy == "ACCEPT")


def _fits(rule: Rule, proto: str, port: int) -> bool:
    return rule.proto in ("any", proto) and _ufw.ports_cover(rule.dport, port)


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
        if state.output_policy != "ACCEPT" or any(_ufw.rules_meet(rule, back) for rule in outgoing):
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
        # Docker's own rules pass what it publishes before any packet comes to ufw.
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
        if not _ufw.rules_meet(other, rule):
            continue
        whole = _ufw.net_within(rule.src, other.src) and _ufw.net_within(rule.dst, other.dst)
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


def _merge(rules: Sequence[tuple[Rule, bool]]) -> list[Step]:
    """Return the steps that add rules; a rule for anywhere in both families is one call of ufw."""
    steps = []
    left = dict.fromkeys(rules)
    for rule, first in rules:
        if (rule, first) not in left:
            continue
        del left[(rule, first)]
        twin = replace(rule, v6=not rule.v6, src="", dst="") if rule.src == rule.dst == ANY[rule.v6] else None
        if twin and (twin, first) in left:
            del left[(twin, first)]
            steps.append(Step(tuple(_ufw.add_argv(rule, first, either_family=True)), (rule, twin), (), first))
        else:
            steps.append(Step(tuple(_ufw.add_argv(rule, first)), (rule,), (), first))
    return steps


def apply_step(rules: Sequence[Rule], step: Step) -> list[Rule]:
    """Return the rules after a step; each family is in its own order."""
    replaced = {rule.key: rule for rule in step.add if any(rule.key == old.key for old in step.remove)}
    left = [replaced.get(rule.key, rule) for rule in rules if rule.key in replaced or rule not in step.remove]
    new = [rule for rule in step.add if rule.key not in replaced]
    return [*new, *left] if step.first else [*left, *new]


def make_plan(want: Want, state: State, ssh: Ssh, listeners: Sequence[Listener]) -> Plan:
    """Return what has to change."""
    problems: list[Problem] = list(_unmanageable(want, state))
    wanted = wanted_rules(want, state, ssh, listeners)
    foreign = foreign_rules(want, state)
    theirs = {rule.key: rule for rule in foreign}
    ours = {rule.key: rule for rule in state.own(want.comment)}
    missing: list[tuple[Rule, bool]] = []
    moved: list[Rule] = []
    hidden: dict[tuple[object, ...], Rule] = {}
    for rule in wanted:
        peer = rule.dport == "any"
        if rule.key in theirs:
            problems += _conflict(rule, theirs[rule.key], state, want)
            continue
        present = ours.get(rule.key) == rule
        before = state.rules[: state.rules.index(rule)] if present else state.rules
        blocker = hiding(rule, [other for other in before if other.comment != want.comment])
        if present and blocker:
            moved.append(rule)
            hidden[rule.key] = blocker
        elif not present:
            missing.append((rule, peer or blocker is not None))
    keys = {rule.key: rule for rule in wanted}
    stale = [rule for rule in state.own(want.comment) if keys.get(rule.key) != rule]
    # ufw holds one rule of a key: adding behind the others changes it where it is, adding before them does nothing.
    in_the_way = {rule.key: rule for rule in stale}
    moved += [rule for rule, first in missing if first and rule.key in in_the_way]
    steps = _merge([(rule, first) for rule, first in missing if rule.key not in in_the_way])
    for rule, first in missing:
        if not first and rule.key in in_the_way:
            steps.append(Step(tuple(_ufw.add_argv(rule, first)), (rule,), (in_the_way[rule.key],)))
    for rule in moved:
        old = in_the_way.get(rule.key, rule)
        steps.append(Step(tuple(_ufw.delete_argv(old)), (), (old,)))
        steps.append(Step(tuple(_ufw.add_argv(rule, first=True)), (rule,), (), True))
    gone = {rule for step in steps for rule in step.remove}
    steps += [Step(tuple(_ufw.delete_argv(rule)), (), (rule,)) for rule in stale if rule not in gone]
    after: list[Rule] = list(state.rules)
    for step in steps:
        after = apply_step(after, step)
    return Plan(
        steps=tuple(steps),
        added=tuple(rule for rule, _first in missing),
        removed=tuple(stale),
        hidden=hidden,
        after=tuple(after),
        problems=tuple(problems),
    )


def _unmanageable(want: Want, state: State) -> Iterable[Problem]:
    addresses = [*want.peers, *(client for service in want.services for client in service.clients)]
    v6 = [x for x in addresses if x != "any" and ipaddress.ip_network(x, strict=False).version == 6]
    if v6 and not state.ipv6:
        yield Problem(
            "error",
            f"IPV6=no in {_ufw.DEFAULTS}, so ufw accepts no rule for {', '.join(v6)}",
            "IPV6=yes, or IPv4 addresses only",
            f"set IPV6=yes in {_ufw.DEFAULTS} and run again, or give IPv4 addresses",
        )


def _conflict(rule: Rule, other: Rule, state: State, want: Want) -> list[Problem]:
    """Judge a rule of somebody else that has the very form of ours, of which ufw can hold only one."""
    before = [x for x in state.rules[: state.rules.index(other)] if x.comment != want.comment]
    blocker = other if other.action in BLOCKING else hiding(rule, before)
    if rule.dport == "any" and other.action == "limit":
        blocker = other
    if not blocker:
        return []
    return [
        Problem(
            "error",
            f"a rule that this collection did not make conflicts: {' '.join(_ufw.show(blocker).split())}",
            " ".join(_ufw.show(rule).split()),
            f"ufw {' '.join(_ufw.delete_argv(other))}",
        )
    ]


def ssh_is_safe(want: Want, state: State, plan: Plan, ssh: Ssh) -> bool:
    """Return whether the present connection could be made again with the planned rules in force."""
    if not ssh.client or not ssh.ports:
        return True
    if ipaddress.ip_address(ssh.client).version == 6 and not state.ipv6:
        return False
    return all(_gets_in(plan.after, ssh, port, state) for port in ssh.ports)


def status_line(state: State) -> str:
    """Return ufw's status as its first line says it, with what the kernel does otherwise."""
    if not state.installed:
        return "Status: not installed"
    found = _ufw.fault(state)
    return ("Status: active" if state.enabled else "Status: inactive") + (f", but {found.text}" if found else "")


def picture(status: str, rules: Iterable[Rule], comment: str, hidden: Iterable[tuple[Rule, Rule]] = ()) -> str:
    """Return status and our rules as text for a diff."""
    behind = {rule: " ".join(_ufw.show(other).split()) for rule, other in hidden}
    lines = [status]
    for rule in rules:
        if rule.comment == comment:
            lines.append(_ufw.show(rule) + (f"  <- behind: {behind[rule]}" if rule in behind else ""))
    return "\n".join(lines) + "\n"


def before_enabling(state: State, listeners: Iterable[Listener], ip_forward: str | None) -> Iterable[Problem]:
    """Return what to know before ufw is enabled and that is no reason not to."""
    published = sorted({x.port for x in listeners if is_of_root(x, "docker-proxy") and not x.is_local})
    if published:
        yield Problem(
            "warning",
            f"Docker publishes {', '.join(map(str, published))}; its own rules admit everybody before ufw decides",
            "ports that only permitted clients reach",
            "publish them on a loopback or cluster address",
        )
    if (ip_forward or "").strip() == "1" and state.forward_policy != "ACCEPT":
        yield Problem(
            "warning",
            f"this host forwards packets, and ufw's DEFAULT_FORWARD_POLICY is {state.forward_policy}",
            "forwarded connections of containers or virtual machines continue",
            f"set DEFAULT_FORWARD_POLICY in {_ufw.DEFAULTS}, or add 'ufw route allow' rules",
        )
    if state.input_policy == "ACCEPT":
        yield Problem(
            "warning",
            "ufw admits packets that no rule covers (DEFAULT_INPUT_POLICY=ACCEPT)",
            "ports that are not listed are closed",
            "ufw default deny incoming",
        )
    if not state.ipv6:
        yield Problem(
            "warning",
            f"IPV6=no in {_ufw.DEFAULTS}: ufw drops all IPv6",
            "IPv6 is filtered like IPv4",
            f"set IPV6=yes in {_ufw.DEFAULTS}",
        )


def nft_filters_input(text: str) -> bool:
    """Tell from nft -j list ruleset whether a table that is not iptables' drops what it does not know."""
    try:
        entries = json.loads(text).get("nftables", [])
    except ValueError:
        return False
    hooks = set()
    for entry in entries:
        chain = entry.get("chain", {})
        if chain.get("hook") == "input" and (chain.get("table"), chain.get("name")) != ("filter", "INPUT"):
            place = (chain.get("family"), chain.get("table"), chain.get("name"))
            if chain.get("policy") == "drop":
                return True
            hooks.add(place)
    for entry in entries:
        rule = entry.get("rule", {})
        place = (rule.get("family"), rule.get("table"), rule.get("chain"))
        words = {key for expression in rule.get("expr", []) for key in expression}
        # A rule that drops without a condition; others (a ban list) are no firewall.
        if place in hooks and words & {"drop", "reject"} and words <= {"drop", "reject", "counter", "log"}:
            return True
    return False
