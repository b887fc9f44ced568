# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads and runs ufw. PRIVATE to the collection."""

from __future__ import annotations

import shlex
import typing as t
from dataclasses import replace

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._plain import plain
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._safe_io import read_kernel, readable
from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall import _ufw, _ufw_batch_io, _ufw_plan
from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall._rules import Command

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ansible.module_utils.basic import AnsibleModule

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._problem import Problem
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall._backend import Plan, Step
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall._rules import State
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall._wanted import Ssh, Want
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._net._listeners import Listener

# More commands than these are worth a process of their own for all of them.
BATCH_FROM = 4


class Ufw:
    """ufw on this host: a Backend."""

    tool = _ufw.TOOL

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.commands: list[str] = []

    def run(self, *argv: str) -> tuple[int, str, str]:
        path = self.module.get_bin_path(argv[0])
        if not path:
            return 127, "", f"{argv[0]} is not installed"
        rc, out, err = self.module.run_command([path, *argv[1:]], environ_update={"LC_ALL": "C"})
        return int(rc), str(out), str(err)

    def change(self, command: Command) -> None:
        """Run a command that changes something; in check mode only note it."""
        argv = command.argv
        self.commands.append(shlex.join(argv))
        if self.module.check_mode:
            return
        path = self.module.get_bin_path(argv[0], required=True)
        rc, out, err = self.module.run_command([path, *argv[1:]], environ_update={"LC_ALL": "C"}, data=command.data)
        if rc != 0:
            self.module.fail_json(
                msg=f"{' '.join(argv)} failed: {'; '.join((err or out).strip().splitlines()[:3])}. Changes made before "
                "this command are kept. Fix the error and run again. In a container that may not filter packets, set "
                "firewall_mode=off (vllm_ray_firewall=off).",
                commands=self.commands,
            )

    def configured(self) -> State:
        return _ufw.read_state(readable, program=self.is_here)

    def state(self) -> State:
        filters = {}
        for v6, program in ((False, "iptables"), (True, "ip6tables")):
            rc, out, _err = self.run(program, "-S")
            if rc == 0:
                filters[v6] = _ufw.parse_filter(out, v6)
        state = _ufw.read_state(readable, filters, self.is_here)
        return replace(state, other=self.other_firewall(state, filters))

    @property
    def is_here(self) -> bool:
        return bool(self.module.get_bin_path("ufw"))

    def other_firewall(self, state: State, filters: Mapping[bool, _ufw.Filter]) -> str:
        """Return the name of a firewall that is in force besides ufw, or an empty text."""
        if self.module.get_bin_path("firewalld") and self.run("systemctl", "is-active", "firewalld")[0] == 0:
            return "firewalld"
        if state.in_force:
            return ""
        if any((x.drops_all or x.policy == "DROP") and not x.chains for x in filters.values()):
            return "iptables"
        rc, out, _err = self.run("nft", "-j", "list", "ruleset")
        return "nftables" if rc == 0 and _ufw.nft_filters_input(out) else ""

    def plan(self, want: Want, state: State, ssh: Ssh, listeners: Sequence[Listener]) -> Plan:
        return _ufw_plan.make_plan(want, state, ssh, listeners)

    def before_enabling(self, state: State, listeners: Sequence[Listener]) -> Iterable[Problem]:
        return _ufw_plan.before_enabling(state, listeners, read_kernel("/proc/sys/net/ipv4/ip_forward"))

    def apply(self, steps: Sequence[Step], remaining: Callable[[], Sequence[Step]]) -> None:
        """Run commands of ufw; many of them in one process as far as that goes."""
        commands = [step.argv for step in steps]
        if len(commands) > BATCH_FROM and not self.module.check_mode:
            why = _ufw_batch_io.run(self.module.get_bin_path("ufw", required=True), commands)
            left = [step.argv for step in remaining()]
            self.commands += [shlex.join(["ufw", *argv]) for argv in commands if argv not in left]
            if why or left:
                self.module.warn(
                    plain(f"{len(left)} rules are set one by one, which is slower: {why or 'ufw took no note'}")
                )
            if why and self.configured().enabled:
                # What ufw's file has by now may not be in the kernel.
                self.change(_ufw.RELOAD)
            commands = left
        for argv in commands:
            self.change(Command(("ufw", *argv)))
