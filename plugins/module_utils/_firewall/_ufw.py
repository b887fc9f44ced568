# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ufw's files and the kernel's rules say. Pure. PRIVATE to the collection.

Note that this module util is PRIVATE to the collection.
"""

from __future__ import annotations

import json
import re
import typing as t
from dataclasses import dataclass, replace

from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall._backend import Tool
from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall._rules import ANY, Command, Fault, Rule, State

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

CONF = "/etc/ufw/ufw.conf"
DEFAULTS = "/etc/default/ufw"
RULES = {False: "/etc/ufw/user.rules", True: "/etc/ufw/user6.rules"}
CHAIN = {False: "ufw-user-input", True: "ufw6-user-input"}
GATE = {False: "ufw-before-input", True: "ufw6-before-input"}
RESTORE = {False: "iptables-restore", True: "ip6tables-restore"}
RELOAD = Command(("ufw", "reload"))
ENABLE = Command(("ufw", "--force", "enable"))
TOOL = Tool(
    name="ufw",
    packages=("ufw",),
    show=("ufw", "status", "verbose"),
    reload=RELOAD,
    in_force=("ufw reload", "ufw --force enable", *(f"{program} --noflush" for program in RESTORE.values())),
    admits_all="ufw admits packets that no rule covers (DEFAULT_INPUT_POLICY=ACCEPT)",
    close="ufw default deny incoming",
    drops_ipv6=f"IPV6=no in {DEFAULTS} drops all IPv6",
    restore="ufw reload where the kernel differs; iptables --delete INPUT a rule that is not ufw's",
    forget="ufw delete the rule",
)
TUPLE = "### tuple ###"
ACCEPTS = re.compile(r"-A INPUT (?:.* )?-j ACCEPT$")
# Loopback, packets of connections that were let in before, other protocols than TCP.
HARMLESS = re.compile(
    r"(?<!!) (?:-i lo|--(?:ct)?state (?:RELATED|ESTABLISHED)(?:,RELATED|,ESTABLISHED)?|-p (?!tcp|all)\S+) "
)


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


DROPS = Filter(policy="DROP")


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


def nft_filters_input(text: str) -> bool:
    """Return from nft -j list ruleset whether a table other than iptables' drops packets that no rule accepts."""
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


def read_state(
    read: Callable[[str], str | None], filters: Mapping[bool, Filter] | None = None, program: bool = True
) -> State:
    """Return what ufw is configured to do, by a reader of files, and what the kernel does.

    filters: by family, without one that can't be read; None where nobody looked. program: whether ufw's is there.
    """
    found = filters or {}
    kernel = State(
        readable=bool(found),
        past=tuple(
            f"{family_name(v6)}: '{line}' admits packets that no rule of ufw allows"
            for v6, one in found.items()
            for line in one.accepts
        ),
        enabling=(*drop_severed(found), ENABLE),
    )
    conf = read(CONF)
    if conf is None:
        return kernel
    defaults = parse_settings(read(DEFAULTS) or "")
    texts = {v6: read(path) or "" for v6, path in RULES.items()}
    ipv6 = defaults.get("IPV6", "no").lower() == "yes"
    families = (False, True) if ipv6 else (False,)
    state = replace(
        kernel,
        installed=program,
        enabled=program and parse_settings(conf).get("ENABLED", "no").lower() == "yes",
        ipv6=ipv6,
        input_policy=defaults.get("DEFAULT_INPUT_POLICY", "DROP").upper(),
        output_policy=defaults.get("DEFAULT_OUTPUT_POLICY", "ACCEPT").upper(),
        forward_policy=defaults.get("DEFAULT_FORWARD_POLICY", "DROP").upper(),
        rules=tuple(rule for v6 in families for rule in parse_rules(texts[v6], v6)),
    )
    if not state.enabled or filters is None:
        return state
    expected = {v6: sum(line.startswith(f"-A {CHAIN[v6]} ") for line in texts[v6].splitlines()) for v6 in families}
    differs = fault(state, filters, expected)
    if differs or state.input_policy == "ACCEPT" or ipv6 or found.get(True, DROPS).policy == "DROP":
        return replace(state, fault=differs)
    return replace(state, past=(f"IPv6 is not filtered (IPV6=no in {DEFAULTS})", *state.past))


def family_name(v6: bool) -> str:
    return "IPv6" if v6 else "IPv4"


def severed(filters: Mapping[bool, Filter]) -> dict[bool, tuple[str, ...]]:
    """Return ufw's chains, by family, that are in the kernel but that no packet enters.

    Somebody flushed INPUT. Starting ufw on top of them sets the policy to drop and enters no chain: nobody gets in.
    """
    return {v6: found.chains for v6, found in filters.items() if found.chains and not found.gate}


def drop_severed(filters: Mapping[bool, Filter]) -> Iterable[Command]:
    """Yield what removes such chains, all or none, so that ufw creates them again with their way in."""
    for v6, chains in severed(filters).items():
        lines = [f"-F {chain}" for chain in chains] + [f"-X {chain}" for chain in chains]
        yield Command((RESTORE[v6], "--noflush"), "\n".join(["*filter", *lines, "COMMIT", ""]))


def fault(state: State, filters: Mapping[bool, Filter], expected: Mapping[bool, int]) -> Fault | None:
    """Return how the kernel differs from what an enabled ufw is configured to do, or None.

    expected: how many rules ufw's file has, by family.
    """
    if not filters:
        return Fault("the kernel's packet filter cannot be read")
    differs = None
    for v6 in state.families:
        found, family = filters.get(v6), family_name(v6)
        if found is None:
            continue
        if v6 in severed(filters):
            return Fault(f"{family}: no packet enters ufw's chains")
        if found.user_rules is None:
            return Fault(f"{family}: ufw's chains are not loaded")
        if state.input_policy == "DROP" and found.policy != "DROP":
            return Fault(f"{family}: the kernel's policy for incoming packets is {found.policy}")
        if found.user_rules != expected.get(v6, 0):
            text = f"{family}: the kernel has {found.user_rules} rules, ufw's file has {expected.get(v6, 0)}"
            differs = differs or Fault(text, in_force=True)
    return differs


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
