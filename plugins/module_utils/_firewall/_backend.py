# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the collection needs of a firewall, and what a tool that keeps its rules answers. Pure. PRIVATE."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._problem import Problem
from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall import _rules
from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall._rules import Command, Rule, State

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall._wanted import Ssh, Want
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._net._listeners import Listener


@dataclass(frozen=True)
class Tool:
    """What is known of a tool without asking a host.

    packages: of Debian, that it needs. show: the command that shows its rules. reload: the one that loads them into the
    kernel again. in_force: beginnings of all commands that put it in force. Texts for people: admits_all (it admits
    what no rule covers) and close (the command against that), drops_ipv6 (why it drops all of it), restore (what to do
    where the kernel differs), forget (what to do about a rule too many).
    """

    name: str
    packages: tuple[str, ...]
    show: tuple[str, ...]
    reload: Command
    in_force: tuple[str, ...]
    admits_all: str
    close: str
    drops_ipv6: str
    restore: str
    forget: str


@dataclass(frozen=True)
class Step:
    """One call of the tool, by its arguments, and what it does to the list of rules."""

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


class Backend(t.Protocol):
    """A tool that keeps the rules of this host's firewall. commands: those that changed the host, or would."""

    tool: Tool
    commands: list[str]

    def configured(self) -> State:
        """Return what the tool is configured to do; for that nobody needs to be root."""

    def state(self) -> State:
        """Return that and what the kernel does."""

    def plan(self, want: Want, state: State, ssh: Ssh, listeners: Sequence[Listener]) -> Plan:
        """Return what has to change."""

    def before_enabling(self, state: State, listeners: Sequence[Listener]) -> Iterable[Problem]:
        """Return what to know before the firewall is enabled and that is no reason not to."""

    def apply(self, steps: Sequence[Step], remaining: Callable[[], Sequence[Step]]) -> None:
        """Take the steps of a plan. remaining: plans again, by what the host has by then."""

    def change(self, command: Command) -> None:
        """Run a command that changes something; in check mode only note it."""


def problem(severity: str, found: str, wanted: str, fix: str) -> Problem:
    """Return a problem of this host's firewall."""
    return Problem("", "firewall", severity, found, wanted, fix)


def why_open(tool: Tool, state: State) -> str:
    """Return why the firewall closes no port, whatever its rules are; empty where it does."""
    if not state.installed:
        return f"{tool.name} is not installed"
    if not state.enabled:
        return f"{tool.name} is off"
    return tool.admits_all if state.input_policy == "ACCEPT" else ""


def by_hand(tool: Tool, state: State) -> str:
    """Return what somebody who does not let us manage the firewall does where every port is open."""
    return tool.close if state.installed else f"install {tool.name}"


def status_line(state: State) -> str:
    """Return the status as the first line of `ufw status` says it, with what the kernel does otherwise."""
    if not state.installed:
        return "Status: not installed"
    found = state.fault
    return ("Status: active" if state.enabled else "Status: inactive") + (f", but {found.text}" if found else "")


def picture(status: str, rules: Iterable[Rule], comment: str, hidden: Iterable[tuple[Rule, Rule]] = ()) -> str:
    """Return status and our rules as text for a diff."""
    behind = {rule: " ".join(_rules.show(other).split()) for rule, other in hidden}
    lines = [status]
    for rule in rules:
        if rule.comment == comment:
            lines.append(_rules.show(rule) + (f"  <- behind: {behind[rule]}" if rule in behind else ""))
    return "\n".join(lines) + "\n"
