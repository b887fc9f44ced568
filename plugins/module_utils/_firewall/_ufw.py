# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ufw's files and the kernel's rules say. Pure. PRIVATE to the collection.

Note that this module util is PRIVATE to the collection.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t
from dataclasses import dataclass, field

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

CONF = "/etc/ufw/ufw.conf"
DEFAULTS = "/etc/default/ufw"
RULES = {False: "/etc/ufw/user.rules", True: "/etc/ufw/user6.rules"}
CHAIN = {False: "ufw-user-input", True: "ufw6-user-input"}
GATE = {False: "ufw-before-input", True: "ufw6-before-input"}
ANY = {False: "0.0.0.0/0", True: "::/0"}
TUPLE = "### tuple ###"
ACCEPTS = re.compile(r"-A INPUT (?:.* )?-j ACCEPT$")
# Loopback, packets of connections that were let in before, other protocols than TCP.
HARMLESS = re.compile(
    r"(?<!!) (?:-i lo|--(?:ct)?state (?:RELATED|ESTABLISHED)(?:,RELATED|,ESTABLISHED)?|-p (?!tcp|all)\S+) "
)
BLOCKING = ("deny", "reject")


@dataclass(frozen=True)
class Rule:
    """One rule of one family. dport and sport are as ufw writes them: any, 80, 80,443 or 6000:6010."""

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
        """What makes two rules the same rule for ufw, whatever they do and whoever they belong to."""
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
class Filter:
    """What the kernel runs for one family: the parts that show whether ufw is in force.

    accepts: lines of INPUT itself that let TCP in from elsewhere.
    """

    policy: str = ""
    gate: bool = False
    chains: tuple[str, ...] = ()
    user_rules: int | None = None
    drops_all: bool = False
    accepts: tuple[str, ...] = ()


@dataclass(frozen=True)
class State:
    """What ufw is configured to do, and what the kernel does.

    filters has no entry for a family whose rules cannot be read, and is None where nobody looked.
    """

    installed: bool = False
    enabled: bool = False
    ipv6: bool = True
    input_policy: str = "DROP"
    output_policy: str = "ACCEPT"
    forward_policy: str = "DROP"
    rules: tuple[Rule, ...] = ()
    filters: Mapping[bool, Filter] | None = None
    expected: Mapping[bool, int] = field(default_factory=dict)

    def own(self, comment: str) -> list[Rule]:
        """Return the rules that carry exactly this comment."""
        return [rule for rule in self.rules if rule.comment == comment]

    @property
    def families(self) -> tuple[bool, ...]:
        return (False, True) if self.ipv6 else (False,)


def normal_address(text: str) -> str:
    """Return an address or network as ufw writes it: no host bits, no prefix length on a single address."""
    network = ipaddress.ip_network(text, strict=False)
    if network.prefixlen == network.max_prefixlen:
        return str(network.network_address)
    return str(network)


def comment_of(cluster: str) -> str:
    """Return the comment that marks the rules of one cluster."""
    return f"vllm-ray {cluster}"


def parse_settings(text: str) -> dict[str, str]:
    """Return the values of a file of NAME=value lines."""
    found: list[tuple[str, str]] = re.findall(r'^\s*(\w+)="?([^"#\s]*)"?', text, re.MULTILINE)
    return dict(found)


def parse_nics(token: str) -> tuple[str, str, str]:
    """Return direction, incoming and outgoing interface of a tuple's last word, like in_eth0!out_eth1."""
    nics = {"in": "", "out": ""}
    direction = token.split("_", 1)[0]
    for part in token.split("!"):
        way, _line, nic = part.partition("_")
        if way in nics:
            nics[way] = nic
    return direction, nics["in"], nics["out"]


def parse_rule(line: str, v6: bool) -> Rule | None:
    """Return the rule of a tuple line, or None where it has another form."""
    body, _mark, comment = line[len(TUPLE) :].strip().partition(" comment=")
    words = body.split()
    if len(words) not in (6, 7, 8, 9):
        return None
    action, proto, dport, dst, sport, src = words[:6]
    apps = words[6:8] if len(words) > 7 else ["-", "-"]
    direction, nic_in, nic_out = parse_nics(words[-1]) if len(words) in (7, 9) else ("in", "", "")
    action, _mark, log = action.partition("_")
    try:
        return Rule(
            v6=v6,
            action=action.rpartition(":")[2],
            proto=proto,
            dport=dport,
            dst=dst,
            sport=sport,
            src=src,
            direction=direction,
            nic_in=nic_in,
            nic_out=nic_out,
            route=action.startswith("route:"),
            comment=bytes.fromhex(comment).decode("utf-8", "replace"),
            log=log,
            dapp=apps[0].strip("-").replace("%20", " "),
            sapp=apps[1].strip("-").replace("%20", " "),
        )
    except ValueError:
        return None


def parse_rules(text: str, v6: bool) -> list[Rule]:
    """Return the rules of user.rules or user6.rules, in their order."""
    rules = (parse_rule(line, v6) for line in text.splitlines() if line.startswith(TUPLE))
    return [rule for rule in rules if rule]


def parse_filter(text: str, v6: bool) -> Filter:
    """Parse the output of iptables -S or ip6tables -S."""
    lines = text.splitlines()
    own = [line.split()[1] for line in lines if line.startswith("-N ufw")]
    chains = tuple(chain for chain in own if chain.startswith("ufw6-") == v6)
    return Filter(
        policy=next((line.split()[2] for line in lines if line.startswith("-P INPUT ")), ""),
        gate=f"-A INPUT -j {GATE[v6]}" in lines,
        chains=chains,
        user_rules=sum(line.startswith(f"-A {CHAIN[v6]} ") for line in lines) if CHAIN[v6] in chains else None,
        drops_all=any(re.fullmatch(r"-A INPUT -j (DROP|REJECT)( --reject-with \S+)?", line) for line in lines),
        accepts=tuple(line for line in lines if ACCEPTS.match(line) and not HARMLESS.search(line)),
    )


def read_state(read: Callable[[str], str | None], filters: Mapping[bool, str] | None = None) -> State:
    """Return the configuration of ufw, by a reader of files, and what the outputs of iptables -S say, by family."""
    conf = read(CONF)
    found = None if filters is None else {v6: parse_filter(text, v6) for v6, text in filters.items()}
    if conf is None:
        return State(filters=found)
    defaults = parse_settings(read(DEFAULTS) or "")
    texts = {v6: read(path) or "" for v6, path in RULES.items()}
    ipv6 = defaults.get("IPV6", "no").lower() == "yes"
    families = (False, True) if ipv6 else (False,)
    return State(
        installed=True,
        enabled=parse_settings(conf).get("ENABLED", "no").lower() == "yes",
        ipv6=ipv6,
        input_policy=defaults.get("DEFAULT_INPUT_POLICY", "DROP").upper(),
        output_policy=defaults.get("DEFAULT_OUTPUT_POLICY", "ACCEPT").upper(),
        forward_policy=defaults.get("DEFAULT_FORWARD_POLICY", "DROP").upper(),
        rules=tuple(rule for v6 in families for rule in parse_rules(texts[v6], v6)),
        filters=found,
        expected={v6: sum(line.startswith(f"-A {CHAIN[v6]} ") for line in texts[v6].splitlines()) for v6 in families},
    )


def why_open(state: State) -> str:
    """Return why ufw closes no port, whatever its rules are; empty where it does."""
    if not state.installed:
        return "ufw is not installed"
    if not state.enabled:
        return "ufw is off"
    return (
        "ufw admits packets that no rule covers (DEFAULT_INPUT_POLICY=ACCEPT)" if state.input_policy == "ACCEPT" else ""
    )


def severed(state: State) -> dict[bool, tuple[str, ...]]:
    """Return ufw's chains, by family, that are in the kernel but that no packet enters.

    Somebody flushed INPUT. Starting ufw on top of them sets the policy to drop and enters no chain: nobody gets in.
    """
    return {v6: found.chains for v6, found in (state.filters or {}).items() if found.chains and not found.gate}


@dataclass(frozen=True)
class Fault:
    """How the kernel differs from the configuration of ufw. in_force: packets still go through ufw's chains."""

    text: str
    in_force: bool = False


def fault(state: State) -> Fault | None:
    """Return how the kernel differs from what an enabled ufw is configured to do, or None."""
    if not state.enabled or state.filters is None:
        return None
    if not state.filters:
        return Fault("the kernel's packet filter cannot be read")
    differs = None
    for v6 in state.families:
        found, family = state.filters.get(v6), "IPv6" if v6 else "IPv4"
        if found is None:
            continue
        if v6 in severed(state):
            return Fault(f"{family}: no packet enters ufw's chains")
        if found.user_rules is None:
            return Fault(f"{family}: ufw's chains are not loaded")
        if state.input_policy == "DROP" and found.policy != "DROP":
            return Fault(f"{family}: the kernel's policy for incoming packets is {found.policy}")
        if found.user_rules != state.expected.get(v6, 0):
            text = f"{family}: the kernel has {found.user_rules} rules, ufw's file has {state.expected.get(v6, 0)}"
            differs = differs or Fault(text, in_force=True)
    return differs


def is_active(state: State) -> bool:
    """Return whether ufw is enabled and does what it is configured to do."""
    return state.enabled and fault(state) is None


def in_force(state: State) -> bool:
    """Return whether ufw decides now what comes in, so that enabling it closes nothing more."""
    found = fault(state)
    return state.enabled and (found is None or found.in_force)


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
    """Return one side of a rule as ufw shows it."""
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
    """Return a rule as a line of ufw status verbose."""
    nic_to, nic_from = (rule.nic_out, rule.nic_in) if rule.route else (rule.nic_in, rule.nic_out)
    to = endpoint(rule.dst, rule.dport, rule.proto, rule.dapp, rule.v6, nic_to)
    way = "FWD" if rule.route else rule.direction.upper()
    source = endpoint(rule.src, rule.sport, rule.proto, rule.sapp, rule.v6, nic_from)
    notes = [f"({rule.log})"] * bool(rule.log) + [f"# {rule.comment}"] * bool(rule.comment)
    return f"{to:<26} {rule.action.upper() + ' ' + way:<11} {source:<26} {', '.join(notes)}".rstrip()


def show_rules(rules: Sequence[Rule]) -> list[str]:
    return [show(rule) for rule in rules]


def words_of(rule: Rule, either_family: bool = False) -> list[str]:
    """Return a rule as words of ufw's command line; either_family leaves out addresses that are anywhere."""
    words = [rule.action]
    for way, nic in (("in", rule.nic_in), ("out", rule.nic_out)):
        if nic:
            words += [way, "on", nic]
    if not rule.nic_in and not rule.nic_out and not rule.route:
        words.append(rule.direction)
    words += [rule.log] if rule.log else []
    words += ["proto", rule.proto] if rule.proto != "any" and not rule.dapp and not rule.sapp else []
    for way, address, port, app in (("from", rule.src, rule.sport, rule.sapp), ("to", rule.dst, rule.dport, rule.dapp)):
        words += [way, "any" if either_family and address == ANY[rule.v6] else address]
        if app:
            words += ["app", app]
        elif port != "any":
            words += ["port", port]
    return [*words, "comment", rule.comment] if rule.comment else words


def add_argv(rule: Rule, first: bool, either_family: bool = False) -> list[str]:
    """Return the arguments of ufw that add a rule, before all others or after them."""
    return [*(["prepend"] if first else []), *words_of(rule, either_family)]


def delete_argv(rule: Rule) -> list[str]:
    """Return the arguments of ufw that delete this very rule; the comment keeps others' rules out of it."""
    return [*(["route"] if rule.route else []), "delete", *words_of(rule)]
