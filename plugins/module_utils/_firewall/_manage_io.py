# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One call of ufw_peers: brings the firewall of a host to what a cluster needs. PRIVATE to the collection."""

from __future__ import annotations

import ipaddress
import os
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._plain import plain
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._probe_io import ssh_connection
from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall import _backend, _backends_io, _rules, _wanted
from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall._backend import problem
from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall._wanted import Ssh
from ansible_collections.vllm_ray.cluster.plugins.module_utils._net import _port_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._net._netlink_io import Network

if t.TYPE_CHECKING:
    from collections.abc import Sequence

    from ansible.module_utils.basic import AnsibleModule

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._problem import Problem
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall._backend import Plan, Step
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall._rules import State
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._net._listeners import Listener

    # What the module returns.
    Result = dict[str, object]


class Run:
    """One call of ufw_peers."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.params = module.params
        self.backend = _backends_io.backend(module)
        self.tool = self.backend.tool
        self.problems: list[Problem] = []
        self.installed = False
        self.want = _wanted.Want(
            cluster=self.params["cluster"],
            peers=tuple(self.params["peers"]),
            nic=self.params["interface"],
            services=tuple(
                _wanted.Service(x["name"], tuple(x["ports"]), tuple(x["clients"])) for x in self.params["services"]
            ),
            keep=tuple(self.params["keep"]),
            present=self.params["state"] == "present",
        )

    def note(self, severity: str, found: str, wanted: str, fix: str) -> None:
        self.problems.append(problem(severity, found, wanted, fix))

    def result(self, **values: object) -> Result:
        base: Result = {
            "changed": False,
            "active": False,
            "installed": self.installed,
            "install": False,
            "packages": self.tool.packages,
            "mode": self.params["mode"],
            "rules": [],
            "added": [],
            "removed": [],
            "would_close": [],
            "problems": [found.as_dict() for found in self.problems],
            "commands": self.backend.commands,
        }
        return {**base, **values}

    def fail(self, msg: str, **values: object) -> t.NoReturn:
        self.module.fail_json(msg=plain(msg), **self.result(**values))
        raise AssertionError("fail_json returned")

    def check_input(self) -> None:
        faults = _wanted.bad_input(self.want)
        nics = sorted(os.listdir("/sys/class/net"))
        if self.want.nic and self.want.nic not in nics:
            faults.append(f"interface {self.want.nic!r} is not on this host; there are {', '.join(nics)}")
        if faults:
            self.fail("; ".join(faults))

    def __call__(self) -> Result:
        result = self.decide()
        for found in self.problems:
            self.module.warn(plain(f"{found.found}. Expected: {found.wanted}. To fix: {found.fix}"))
        return result

    def decide(self) -> Result:
        if self.params["mode"] == "off":
            return self.result()
        self.check_input()
        state = self.backend.state()
        self.installed = state.installed
        if state.other:
            self.note(
                "warning",
                f"{state.other} filters incoming packets, but this collection manages only {self.tool.name}",
                f"peers reach all ports by {self.want.nic or 'any interface'}",
                f"allow {', '.join(self.want.peers) or 'the peers'} in {state.other} yourself; set firewall_mode=off "
                "(vllm_ray_firewall=off) to confirm it",
            )
            return self.result()
        if not state.installed and (not self.manages or not self.module.get_bin_path("apt-get")):
            self.note(
                "warning",
                "no firewall tool is installed: every port is open to everybody",
                self.tool.name,
                f"install {self.tool.name} and use firewall_mode=manage (vllm_ray_firewall=manage)",
            )
            return self.result()
        return self.reconcile(state)

    @property
    def manages(self) -> bool:
        return bool(self.params["mode"] == "manage") and self.want.present

    def reconcile(self, state: State) -> Result:
        listeners = self.listeners()
        ssh = self.ssh(state, listeners)
        plan = self.backend.plan(self.want, state, ssh, listeners)
        enable = self.manages and not state.in_force
        self.warn_of_open_ports(state, enable)
        closing = self.closing(state, plan, listeners)
        self.problems += plan.problems
        if enable:
            self.problems += self.backend.before_enabling(state, listeners)
        if state.fault and not self.manages:
            name = self.tool.name
            self.note(
                "warning",
                f"{name} is enabled, but {state.fault.text}",
                f"the kernel enforces the rules of {name}",
                " ".join(self.tool.reload.argv),
            )
        self.refuse(enable, state, plan, ssh, closing)
        values: Result = {
            "active": self.manages or state.is_active,
            "rules": _rules.show_rules([rule for rule in plan.after if rule.comment == self.want.comment]),
            "added": _rules.show_rules(plan.added),
            "removed": _rules.show_rules(plan.removed),
            "would_close": [listener.as_dict() for listener in closing],
        }
        if not state.installed and not self.module.check_mode:
            return self.result(**{**values, "rules": [], "added": [], "active": False}, install=True)
        self.act(state, plan, enable)
        values["changed"] = bool(self.backend.commands) or not state.installed
        values["diff"] = self.diff(state, plan)
        return self.result(**values)

    def warn_of_open_ports(self, state: State, enable: bool) -> None:
        """Warn where this call leaves all ports open. Before ufw is enabled, before_enabling() warns of its policy."""
        why = "" if enable or not self.want.present else _backend.why_open(self.tool, state)
        if why:
            fix = "use firewall_mode=manage (vllm_ray_firewall=manage)"
            if state.enabled:
                fix = self.tool.close
            self.note("warning", f"{why}: every port is open to everybody", "ports that no rule allows are closed", fix)

    def closing(self, state: State, plan: Plan, listeners: Sequence[Listener]) -> list[Listener]:
        """Return what enabling ufw would close, or nothing where it is in force or lets everything in."""
        if state.in_force or state.input_policy == "ACCEPT":
            return []
        return _wanted.would_close(listeners, plan.after)

    def refuse(self, enable: bool, state: State, plan: Plan, ssh: Ssh, closing: Sequence[Listener]) -> None:
        """Stop, before anything is changed, where the change would do harm or could not work."""
        errors = [problem for problem in self.problems if problem.severity == "error"]
        if errors:
            self.fail("; ".join(f"{x.found} (expected: {x.wanted}; fix: {x.fix})" for x in errors))
        if not enable:
            return
        name = self.tool.name
        if not state.readable:
            self.fail(
                f"The kernel's packet filter cannot be read (iptables -S fails), so {name} cannot be enabled here. In "
                "a container that may not filter packets, set firewall_mode=off (vllm_ray_firewall=off)."
            )
        if not _wanted.ssh_is_safe(state, plan.after, ssh):
            v6 = ipaddress.ip_address(ssh.client).version == 6 and not state.ipv6
            why = self.tool.drops_ipv6 if v6 else "a rule that this collection did not make denies it"
            self.fail(
                f"Enabling {name} would lock out the SSH connection from {ssh.client} to port "
                f"{', '.join(map(str, ssh.ports))}: {why}. Fix that, or set firewall_mode=rules."
            )
        if closing and not self.params["confirm"]:
            ports = "; ".join(f"{x.port}/{x.proto} ({x.process or 'kernel'}, pid {x.pid})" for x in closing)
            self.fail(
                f"Enabling {name} would close ports that processes listen on: {ports}. Keep them with firewall_keep "
                f"(vllm_ray_firewall_keep), for example ['{closing[0].port}/{closing[0].proto}'] or ['all'], "
                "or close them with firewall_confirm=true.",
                would_close=[listener.as_dict() for listener in closing],
            )

    def act(self, state: State, plan: Plan, enable: bool) -> None:
        """Add, remove, then enable: the host is safe if this is interrupted anywhere."""
        self.backend.apply(plan.steps, self.remaining)
        reload = [self.tool.reload] if state.fault and self.manages else []
        for command in state.enabling if enable else reload:
            self.backend.change(command)
        if self.backend.commands and not self.module.check_mode:
            self.verify(plan)

    def remaining(self) -> Sequence[Step]:
        """Return the steps that are left when the host is probed again."""
        state, listeners = self.backend.state(), self.listeners()
        return self.backend.plan(self.want, state, self.ssh(state, listeners), listeners).steps

    def verify(self, plan: Plan) -> None:
        """Fail where the tool took the commands and did something else."""
        state = self.backend.state()
        missing = [rule for rule in plan.after if rule not in state.rules]
        left = [rule for rule in state.own(self.want.comment) if rule not in plan.after]
        found, name = state.fault, self.tool.name
        if missing or left or (self.manages and not state.is_active):
            self.fail(
                f"{name} took {len(self.backend.commands)} commands, but the rules are not as planned. Missing: "
                f"{_rules.show_rules(missing)}. Still there: {_rules.show_rules(left)}. "
                f"{_backend.status_line(state)}{f' ({found.text})' if found else ''}. Another process may have "
                f"changed {name} at the same time: run again.",
                changed=True,
            )

    def diff(self, state: State, plan: Plan) -> dict[str, str]:
        comment = self.want.comment
        hidden = [(rule, plan.hidden[rule.key]) for rule in state.rules if rule.key in plan.hidden]
        after = "Status: active" if self.manages else _backend.status_line(state)
        return {
            "before_header": f"{self.tool.name}, {comment}",
            "after_header": f"{self.tool.name}, {comment}",
            "before": _backend.picture(_backend.status_line(state), state.rules, comment, hidden),
            "after": _backend.picture(after, plan.after, comment),
        }

    def listeners(self) -> list[Listener]:
        """Return what listens on this host."""
        try:
            return _port_io.listeners(("tcp", "udp"))
        except OSError as error:
            self.module.fail_json(
                msg=f"Cannot see what listens here, so nothing was changed: {error.filename}: {error.strerror}. "
                "Allow reading it, or set firewall_mode=off (vllm_ray_firewall=off)."
            )
            raise AssertionError("unreachable") from error

    def ssh(self, state: State, listeners: Sequence[Listener]) -> Ssh:
        """Return how SSH comes in."""
        found = _wanted.parse_ssh_connection(ssh_connection())
        client, server, port = found or ("", "", 0)
        ports = _wanted.ssh_ports(port or None, self.params["ssh_ports"], listeners)
        by_nic = server and any(rule.nic_in for rule in _wanted.foreign_rules(self.want, state))
        return Ssh(ports, client, nic_of(server) if by_nic else "")


def nic_of(address: str) -> str:
    """Return the name of the interface that has an address."""
    try:
        return next((entry.nic for entry in Network().addresses() if entry.address == address), "")
    except OSError:
        return ""
