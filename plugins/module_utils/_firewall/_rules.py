# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of a firewall in the collection's words, whatever tool keeps them. Pure. PRIVATE to the collection."""

from __future__ import annotations

import ipaddress
import typing as t
from dataclasses import dataclass

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ANY = {False: "0.0.0.0/0", True: "::/0"}
BLOCKING = ("deny", "reject")


@dataclass(frozen=True)
class Rule:
    """One rule of one family. dport and sport: any, 80, 80,443 or 6000:6010. dapp, sapp: names of ufw for ports."""

    v6: bool
    action: str = "allow"
    proto: str = "any"
    dport: str = "any"
    dst: str = ""
    sport: str = "any"
    src: str = ""
    direction: str = "in"
    nic_in: str = ""
    nic_out: str = ""
    route: bool = False
    comment: str = ""
    log: str = ""
    dapp: str = ""
    sapp: str = ""

    def __post_init__(self) -> None:
        for name in ("src", "dst"):
            object.__setattr__(self, name, normal_address(getattr(self, name) or ANY[self.v6]))

    @property
    def key(self) -> tuple[object, ...]:
        """What makes two rules the same rule, whatever they do and whoever they belong to."""
        return (
            *(self.v6, self.proto, self.dport, self.dst, self.sport, self.src, self.direction),
            *(self.nic_in, self.nic_out, self.route, self.dapp, self.sapp),
        )

    @property
    def from_anywhere(self) -> bool:
        return self.src == ANY[self.v6]

    @property
    def names_port(self) -> bool:
        """Return whether the rule is about ports of this host."""
        return self.direction == "in" and not self.route and self.dport != "any"


@dataclass(frozen=True)
class Fault:
    """How the kernel differs from the configuration. in_force: packets still go through the firewall's rules."""

    text: str
    in_force: bool = False


@dataclass(frozen=True)
class Command:
    """A command that changes the firewall. data: what it reads."""

    argv: tuple[str, ...]
    data: str | None = None


@dataclass(frozen=True)
class State:
    """What a firewall is configured to do, and what the kernel does.

    readable: whether the kernel's packet filter could be read; without it, the next four are empty. fault: how the
    kernel differs from the configuration; past: what it admits that no rule allows. other: name of another firewall
    that is in force. enabling: the commands that put this one in force.
    """

    installed: bool = False
    enabled: bool = False
    ipv6: bool = True
    input_policy: str = "DROP"
    output_policy: str = "ACCEPT"
    forward_policy: str = "DROP"
    rules: tuple[Rule, ...] = ()
    readable: bool = False
    fault: Fault | None = None
    past: tuple[str, ...] = ()
    other: str = ""
    enabling: tuple[Command, ...] = ()

    def own(self, comment: str) -> list[Rule]:
        """Return the rules that carry exactly this comment."""
        return [rule for rule in self.rules if rule.comment == comment]

    @property
    def families(self) -> tuple[bool, ...]:
        return (False, True) if self.ipv6 else (False,)

    @property
    def is_active(self) -> bool:
        """Whether it is enabled and does what it is configured to do."""
        return self.enabled and self.fault is None

    @property
    def in_force(self) -> bool:
        """Whether it decides now what comes in, so that enabling it closes nothing more."""
        return self.enabled and (self.fault is None or self.fault.in_force)


def normal_address(text: str) -> str:
    """Return an address or network without host bits, and without a prefix length on a single address."""
    network = ipaddress.ip_network(text, strict=False)
    if network.prefixlen == network.max_prefixlen:
        return str(network.network_address)
    return str(network)


def comment_of(cluster: str) -> str:
    """Return the comment that marks the rules of one cluster."""
    return f"vllm-ray {cluster}"


def ports_cover(ports: str, port: int) -> bool:
    """Return whether a rule's ports contain a port."""
    if ports == "any":
        return True
    for part in ports.split(","):
        low, _mark, high = part.partition(":")
        if int(low) <= port <= int(high or low):
            return True
    return False


def ports_meet(one: str, two: str) -> bool:
    """Return whether two rules' ports have a port in common."""
    if "any" in (one, two):
        return True
    ends = [int(end) for part in two.split(",") for end in part.split(":")]
    other = [int(end) for part in one.split(",") for end in part.split(":")]
    return any(ports_cover(one, end) for end in ends) or any(ports_cover(two, end) for end in other)


def nets_meet(one: str, two: str) -> bool:
    first, second = ipaddress.ip_network(one), ipaddress.ip_network(two)
    return first.version == second.version and first.overlaps(second)


def net_within(inner: str, outer: str) -> bool:
    first, second = ipaddress.ip_network(inner), ipaddress.ip_network(outer)
    if isinstance(first, ipaddress.IPv4Network) and isinstance(second, ipaddress.IPv4Network):
        return first.subnet_of(second)
    if isinstance(first, ipaddress.IPv6Network) and isinstance(second, ipaddress.IPv6Network):
        return first.subnet_of(second)
    return False


def rules_meet(one: Rule, two: Rule) -> bool:
    """Return whether some packet fits both rules."""
    return (
        (one.v6, one.direction, one.route) == (two.v6, two.direction, two.route)
        and (one.proto == two.proto or "any" in (one.proto, two.proto))
        and all(not a or not b or a == b for a, b in ((one.nic_in, two.nic_in), (one.nic_out, two.nic_out)))
        and nets_meet(one.src, two.src)
        and nets_meet(one.dst, two.dst)
        and ports_meet(one.dport, two.dport)
        and ports_meet(one.sport, two.sport)
    )


def verdict(rules: Iterable[Rule], client: str, port: int, nic: str = "") -> str:
    """Return what the first rule does that fits a new TCP connection, or an empty text where none fits.

    Rules for interfaces count only where the interface is known.
    """
    v6 = ipaddress.ip_address(client).version == 6
    for rule in rules:
        if (
            (rule.v6, rule.direction, rule.route, rule.sport) == (v6, "in", False, "any")
            and rule.proto in ("any", "tcp")
            and rule.nic_in in ("", nic)
            and ports_cover(rule.dport, port)
            and net_within(client, rule.src)
        ):
            return rule.action
    return ""


def endpoint(address: str, port: str, proto: str, app: str, v6: bool, nic: str) -> str:
    """Return one side of a rule as `ufw status` shows it."""
    place = "" if address == ANY[v6] else address
    ports = "" if port == "any" else (port if proto == "any" else f"{port}/{proto}")
    if app:
        ports += f" ({app} (v6))" if v6 else f" ({app})"
    words = [" ".join(filter(None, (place, ports))) or "Anywhere"]
    if v6 and not place and not app:
        words.append("(v6)")
    if nic:
        words.append(f"on {nic}")
    return " ".join(words)


def show(rule: Rule) -> str:
    """Return a rule as a line of `ufw status verbose`."""
    nic_to, nic_from = (rule.nic_out, rule.nic_in) if rule.route else (rule.nic_in, rule.nic_out)
    to = endpoint(rule.dst, rule.dport, rule.proto, rule.dapp, rule.v6, nic_to)
    way = "FWD" if rule.route else rule.direction.upper()
    source = endpoint(rule.src, rule.sport, rule.proto, rule.sapp, rule.v6, nic_from)
    notes = [f"({rule.log})"] * bool(rule.log) + [f"# {rule.comment}"] * bool(rule.comment)
    return f"{to:<26} {rule.action.upper() + ' ' + way:<11} {source:<26} {', '.join(notes)}".rstrip()


def show_rules(rules: Sequence[Rule]) -> list[str]:
    return [show(rule) for rule in rules]
