# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of ufw_peers that touch files and processes. PRIVATE to the collection."""

from __future__ import annotations

import ipaddress
import os
import shlex
import typing as t
from dataclasses import replace

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _safe_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._plain import plain
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._probe_io import ssh_connection
from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall import _ufw, _ufw_batch_io, _ufw_plan
from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall._ufw_plan import Problem, Ssh
from ansible_collections.vllm_ray.cluster.plugins.module_utils._net import _port_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._net._netlink_io import Network

if t.TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ansible.module_utils.basic import AnsibleModule

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._net._listeners import Listener

# More commands than these are worth a process of their own for all of them.
BATCH_FROM = 4


def read_text(path: str) -> str | None:
    """Return the text of a file, or None where there is none or it may not be read."""
    if path.startswith("/proc/"):
        return _safe_io.read_kernel(path)
    try:
        return _safe_io.read_text(path)
    except OSError:
        return None


class Host:
    """The firewall of this host."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.commands: list[str] = []

    def run(self, *argv: str) -> tuple[int, str, str]:
        path = self.module.get_bin_path(argv[0])
        if not path:
            return 127, "", f"{argv[0]} is not installed"
        rc, out, err = self.module.run_command([path, *argv[1:]], environ_update={"LC_ALL": "C"})
        return int(rc), str(out), str(err)

    def change(self, *argv: str, data: str | None = None) -> None:
        """Run a command that changes something; in check mode only note it."""
        self.commands.append(shlex.join(argv))
        if self.module.check_mode:
            return
        path = self.module.get_bin_path(argv[0], required=True)
        rc, out, err = self.module.run_command([path, *argv[1:]], environ_update={"LC_ALL": "C"}, data=data)
        if rc != 0:
            self.module.fail_json(
                msg=f"{' '.join(argv)} failed: {(err or out).strip().splitlines()[:3]}. Earlier changes are kept, "
                "and the next run continues. In a container that may not filter packets, set "
                "firewall_mode=off (vllm_ray_firewall=off).",
                commands=self.commands,
            )

    def change_rules(
        self, commands: Sequence[tuple[str, ...]], remaining: Callable[[], Sequence[tuple[str, ...]]]
    ) -> None:
        """Run commands of ufw; many of them in one process as far as that goes."""
        if len(commands) > BATCH_FROM and not self.module.check_mode:
            why = _ufw_batch_io.run(self.module.get_bin_path("ufw", required=True), commands)
            left = remaining()
            self.commands += [shlex.join(["ufw", *argv]) for argv in commands if argv not in left]
            if why or left:
                self.module.warn(
                    plain(f"{len(left)} rules are set one by one, which is slower: {why or 'ufw took no note'}")
                )
            if why and self.state().enabled:
                # What ufw's file has by now may not be in the kernel.
                self.change("ufw", "reload")
            commands = left
        for argv in commands:
            self.change("ufw", *argv)

    def state(self) -> _ufw.State:
        filters = {}
        for v6, program in ((False, "iptables"), (True, "ip6tables")):
            rc, out, _err = self.run(program, "-S")
            if rc == 0:
                filters[v6] = out
        state = _ufw.read_state(read_text, filters)
        return state if self.module.get_bin_path("ufw") else replace(state, installed=False, enabled=False)

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

    def ssh(self, given: Sequence[int], listeners: Sequence[Listener], rules: Sequence[_ufw.Rule]) -> Ssh:
        """Return how SSH comes in."""
        found = _ufw_plan.parse_ssh_connection(ssh_connection())
        client, server, port = found or ("", "", 0)
        ports = _ufw_plan.ssh_ports(port or None, given, listeners)
        return Ssh(ports, client, self.nic_of(server) if server and any(rule.nic_in for rule in rules) else "")

    def nic_of(self, address: str) -> str:
        try:
            return next((entry.nic for entry in Network().addresses() if entry.address == address), "")
        except OSError:
            return ""

    def other_firewall(self, state: _ufw.State) -> str:
        """Return the name of a firewall that is in force besides ufw, or an empty text."""
        if self.module.get_bin_path("firewalld") and self.run("systemctl", "is-active", "firewalld")[0] == 0:
            return "firewalld"
        if _ufw.in_force(state):
            return ""
        if any((x.drops_all or x.policy == "DROP") and not x.chains for x in (state.filters or {}).values()):
            return "iptables"
        rc, out, _err = self.run("nft", "-j", "list", "ruleset")
        return "nftables" if rc == 0 and _ufw_plan.nft_filters_input(out) else ""

    def drop_dead_chains(self, state: _ufw.State) -> None:
        """Remove ufw's chains that no packet enters, all or none, so that ufw creates them again with their way in."""
        for v6, chains in _ufw.severed(state).items():
            lines = [f"-F {chain}" for chain in chains] + [f"-X {chain}" for chain in chains]
            program = "ip6tables-restore" if v6 else "iptables-restore"
            self.change(program, "--noflush", data="\n".join(["*filter", *lines, "COMMIT", ""]))


class Run:
    """One call of ufw_peers."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.params = module.params
        self.host = Host(module)
        self.problems: list[Problem] = []
        self.installed = False
        self.want = _ufw_plan.Want(
            cluster=self.params["cluster"],
            peers=tuple(self.params["peers"]),
            nic=self.params["interface"],
            services=tuple(
                _ufw_plan.Service(x["name"], tuple(x["ports"]), tuple(x["clients"])) for x in self.params["services"]
            ),
            keep=tuple(self.params["keep"]),
            present=self.params["state"] == "present",
        )

    def note(self, severity: str, found: str, wanted: str, fix: str) -> None:
        self.problems.append(Problem(severity, found, wanted, fix))

    def result(self, **values: object) -> dict[str, t.Any]:
        base: dict[str, t.Any] = {
            "changed": False,
            "active": False,
            "installed": self.installed,
            "install": False,
            "mode": self.params["mode"],
            "rules": [],
            "added": [],
            "removed": [],
            "would_close": [],
            "problems": [problem.as_dict() for problem in self.problems],
            "commands": self.host.commands,
        }
        return {**base, **values}

    def fail(self, msg: str, **values: object) -> t.NoReturn:
        self.module.fail_json(msg=plain(msg), **self.result(**values))
        raise AssertionError("fail_json returned")

    def check_input(self) -> None:
        faults = _ufw_plan.bad_input(self.want)
        nics = sorted(os.listdir("/sys/class/net"))
        if self.want.nic and self.want.nic not in nics:
            faults.append(f"interface {self.want.nic!r} is not on this host; there are {', '.join(nics)}")
        if faults:
            self.fail("; ".join(faults))

    def __call__(self) -> dict[str, t.Any]:
        result = self.decide()
        for problem in self.problems:
            self.module.warn(plain(f"{problem.found}. Expected: {problem.wanted}. To fix: {problem.fix}"))
        return result

    def decide(self) -> dict[str, t.Any]:
        if self.params["mode"] == "off":
            return self.result()
        self.check_input()
        state = self.host.state()
        self.installed = state.installed
        other = self.host.other_firewall(state)
        if other:
            self.note(
                "warning",
                f"{other} filters incoming packets, but this collection manages only ufw",
                f"peers reach all ports by {self.want.nic or 'any interface'}",
                f"allow {', '.join(self.want.peers) or 'the peers'} in {other} yourself; set firewall_mode=off "
                "(vllm_ray_firewall=off) to confirm it",
            )
            return self.result()
        if not state.installed and (not self.manages or not self.module.get_bin_path("apt-get")):
            self.note(
                "warning",
                "no firewall tool is installed: every port is open to everybody",
                "ufw",
                "install ufw and use firewall_mode=manage (vllm_ray_firewall=manage)",
            )
            return self.result()
        return self.reconcile(state)

    @property
    def manages(self) -> bool:
        return bool(self.params["mode"] == "manage") and self.want.present

    def reconcile(self, state: _ufw.State) -> dict[str, t.Any]:
        listeners = self.host.listeners()
        ssh = self.host.ssh(self.params["ssh_ports"], listeners, _ufw_plan.foreign_rules(self.want, state))
        plan = _ufw_plan.make_plan(self.want, state, ssh, listeners)
        enable = self.manages and not _ufw.in_force(state)
        self.warn_of_open_ports(state, enable)
        closing = self.closing(state, plan, listeners)
        self.problems += plan.problems
        if enable:
            self.problems += _ufw_plan.before_enabling(state, listeners, read_text("/proc/sys/net/ipv4/ip_forward"))
        found = _ufw.fault(state)
        if found and not self.manages:
            self.note(
                "warning", f"ufw is enabled, but {found.text}", "the kernel enforces the rules of ufw", "ufw reload"
            )
        self.refuse(enable, state, plan, ssh, closing)
        values = {
            "active": self.manages or _ufw.is_active(state),
            "rules": _ufw.show_rules([rule for rule in plan.after if rule.comment == self.want.comment]),
            "added": _ufw.show_rules(plan.added),
            "removed": _ufw.show_rules(plan.removed),
            "would_close": closing,
        }
        if not state.installed and not self.module.check_mode:
            return self.result(**{**values, "rules": [], "added": [], "active": False}, install=True)
        self.act(state, plan, enable, found)
        values["changed"] = bool(self.host.commands) or not state.installed
        values["diff"] = self.diff(state, plan)
        return self.result(**values)

    def warn_of_open_ports(self, state: _ufw.State, enable: bool) -> None:
        """Warn where this call leaves all ports open. Before ufw is enabled, before_enabling() warns of its policy."""
        why = "" if enable or not self.want.present else _ufw.why_open(state)
        if why:
            fix = "use firewall_mode=manage (vllm_ray_firewall=manage)"
            if state.enabled:
                fix = "ufw default deny incoming"
            self.note("warning", f"{why}: every port is open to everybody", "ports that no rule allows are closed", fix)

    def closing(
        self, state: _ufw.State, plan: _ufw_plan.Plan, listeners: Sequence[Listener]
    ) -> list[dict[str, object]]:
        """Return what enabling ufw would close, or nothing where it is in force or lets everything in."""
        if _ufw.in_force(state) or state.input_policy == "ACCEPT":
            return []
        return [listener.as_dict() for listener in _ufw_plan.would_close(listeners, plan.after)]

    def refuse(
        self,
        enable: bool,
        state: _ufw.State,
        plan: _ufw_plan.Plan,
        ssh: Ssh,
        closing: Sequence[dict[str, object]],
    ) -> None:
        """Stop, before anything is changed, where the change would do harm or could not work."""
        errors = [problem for problem in self.problems if problem.severity == "error"]
        if errors:
            self.fail("; ".join(f"{x.found} (expected: {x.wanted}; fix: {x.fix})" for x in errors))
        if not enable:
            return
        if not state.filters:
            self.fail(
                "The kernel's packet filter cannot be read (iptables -S fails), so ufw cannot be enabled here. In a "
                "container that may not filter packets, set firewall_mode=off (vllm_ray_firewall=off)."
            )
        if not _ufw_plan.ssh_is_safe(self.want, state, plan, ssh):
            v6 = ipaddress.ip_address(ssh.client).version == 6 and not state.ipv6
            why = (
                f"IPV6=no in {_ufw.DEFAULTS} drops all IPv6"
                if v6
                else "a rule that this collection did not make denies it"
            )
            self.fail(
                f"Enabling ufw would lock out the SSH connection from {ssh.client} to port "
                f"{', '.join(map(str, ssh.ports))}: {why}. Fix that, or set firewall_mode=rules."
            )
        if closing and not self.params["confirm"]:
            ports = "; ".join(f"{x['port']}/{x['proto']} ({x['process'] or 'kernel'}, pid {x['pid']})" for x in closing)
            self.fail(
                f"Enabling ufw would close ports that processes listen on: {ports}. Keep them with firewall_keep "
                f"(vllm_ray_firewall_keep), for example ['{closing[0]['port']}/{closing[0]['proto']}'] or ['all'], "
                "or close them with firewall_confirm=true.",
                would_close=list(closing),
            )

    def act(self, state: _ufw.State, plan: _ufw_plan.Plan, enable: bool, found: _ufw.Fault | None) -> None:
        """Add, remove, then enable: the host is safe if this is interrupted anywhere."""
        self.host.change_rules([step.argv for step in plan.steps], self.remaining)
        if enable:
            self.host.drop_dead_chains(state)
            self.host.change("ufw", "--force", "enable")
        elif found and self.manages:
            self.host.change("ufw", "reload")
        if self.host.commands and not self.module.check_mode:
            self.verify(plan)

    def remaining(self) -> list[tuple[str, ...]]:
        """Return the commands that are left when the host is probed again."""
        state, listeners = self.host.state(), self.host.listeners()
        ssh = self.host.ssh(self.params["ssh_ports"], listeners, _ufw_plan.foreign_rules(self.want, state))
        return [step.argv for step in _ufw_plan.make_plan(self.want, state, ssh, listeners).steps]

    def verify(self, plan: _ufw_plan.Plan) -> None:
        """Fail where ufw took the commands and did something else."""
        state = self.host.state()
        missing = [rule for rule in plan.after if rule not in state.rules]
        left = [rule for rule in state.own(self.want.comment) if rule not in plan.after]
        found = _ufw.fault(state)
        if missing or left or (self.manages and not _ufw.is_active(state)):
            self.fail(
                f"ufw took {len(self.host.commands)} commands, but the rules are not as planned. Missing: "
                f"{_ufw.show_rules(missing)}. Still there: {_ufw.show_rules(left)}. "
                f"{_ufw_plan.status_line(state)}{f' ({found.text})' if found else ''}. Another process may have "
                "changed ufw at the same time: run again.",
                changed=True,
            )

    def diff(self, state: _ufw.State, plan: _ufw_plan.Plan) -> dict[str, str]:
        comment = self.want.comment
        hidden = [(rule, plan.hidden[rule.key]) for rule in state.rules if rule.key in plan.hidden]
        after = "Status: active" if self.manages else _ufw_plan.status_line(state)
        return {
            "before_header": f"ufw, {comment}",
            "after_header": f"ufw, {comment}",
            "before": _ufw_plan.picture(_ufw_plan.status_line(state), state.rules, comment, hidden),
            "after": _ufw_plan.picture(after, plan.after, comment),
        }
