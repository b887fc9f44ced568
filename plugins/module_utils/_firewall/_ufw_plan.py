# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of ufw that reach the rules of a cluster. Pure. PRIVATE to the collection."""

from __future__ import annotations

import ipaddress
import typing as t
from dataclasses import replace

from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall import _rules, _ufw, _wanted
from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall._backend import Plan, Step, problem
from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall._rules import ANY, BLOCKING, Rule

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._problem import Problem
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall._rules import State
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall._wanted import Ssh, Want
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._net._listeners import Listener


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
    wanted = _wanted.wanted_rules(want, state, ssh, listeners)
    foreign = _wanted.foreign_rules(want, state)
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
        blocker = _wanted.hiding(rule, [other for other in before if other.comment != want.comment])
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
        yield problem(
            "error",
            f"IPV6=no in {_ufw.DEFAULTS}, so ufw accepts no rule for {', '.join(v6)}",
            "IPV6=yes, or IPv4 addresses only",
            f"set IPV6=yes in {_ufw.DEFAULTS} and run again, or give IPv4 addresses",
        )


def _conflict(rule: Rule, other: Rule, state: State, want: Want) -> list[Problem]:
    """Judge a rule of somebody else that has the very form of ours, of which ufw can hold only one."""
    before = [x for x in state.rules[: state.rules.index(other)] if x.comment != want.comment]
    blocker = other if other.action in BLOCKING else _wanted.hiding(rule, before)
    if rule.dport == "any" and other.action == "limit":
        blocker = other
    if not blocker:
        return []
    return [
        problem(
            "error",
            f"a rule that this collection did not make conflicts: {' '.join(_rules.show(blocker).split())}",
            " ".join(_rules.show(rule).split()),
            f"ufw {' '.join(_ufw.delete_argv(other))}",
        )
    ]


def before_enabling(state: State, listeners: Iterable[Listener], ip_forward: str | None) -> Iterable[Problem]:
    """Return what to know before ufw is enabled and that is no reason not to."""
    published = sorted({x.port for x in listeners if _wanted.is_of_root(x, "docker-proxy") and not x.is_local})
    if published:
        yield problem(
            "warning",
            f"Docker publishes {', '.join(map(str, published))}; its own rules admit everybody before ufw decides",
            "ports that only permitted clients reach",
            "publish them on a loopback or cluster address",
        )
    if (ip_forward or "").strip() == "1" and state.forward_policy != "ACCEPT":
        yield problem(
            "warning",
            f"this host forwards packets, and ufw's DEFAULT_FORWARD_POLICY is {state.forward_policy}",
            "forwarded connections of containers or virtual machines continue",
            f"set DEFAULT_FORWARD_POLICY in {_ufw.DEFAULTS}, or add 'ufw route allow' rules",
        )
    if state.input_policy == "ACCEPT":
        yield problem(
            "warning",
            _ufw.TOOL.admits_all,
            "ports that are not listed are closed",
            _ufw.TOOL.close,
        )
    if not state.ipv6:
        yield problem(
            "warning",
            f"IPV6=no in {_ufw.DEFAULTS}: ufw drops all IPv6",
            "IPv6 is filtered like IPv4",
            f"set IPV6=yes in {_ufw.DEFAULTS}",
        )
