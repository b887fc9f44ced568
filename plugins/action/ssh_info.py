# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import shlex
import time
import typing as t

from ansible import constants as C
from ansible import context
from ansible.errors import AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import become_loader, connection_loader

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _members, _settings
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._contact import _ssh, _ssh_io, _ssh_problems

if t.TYPE_CHECKING:
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import TaskVariables, Variables

ARGUMENTS = {
    "hosts": {"type": "list", "elements": "str"},
    "timeout": {"type": "int", "default": 10},
}


def last(name: object) -> str:
    """Return a plugin's name without its collection."""
    return str(name).rpartition(".")[2]


def pythons(variables: Variables) -> tuple[str, ...]:
    """Return the names or paths of Python that Ansible would try on a host, in its order."""
    wish = str(C.config.get_config_value("INTERPRETER_PYTHON", variables=variables))
    if wish.startswith("auto"):
        return tuple(C.config.get_config_value("INTERPRETER_PYTHON_FALLBACK", variables=variables))
    # It may be a command, such as `/usr/bin/env python3`.
    return (wish.split()[-1],)


class ActionModule(ActionBase):
    """Contacts all hosts at once, with the options that Ansible would use for each."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: TaskVariables | None = None) -> dict[str, object]:
        result = super().run(tmp, task_vars)
        variables = task_vars or {}
        hostvars, groups = variables["hostvars"], variables["groups"]
        _validated, arguments = self.validate_argument_spec(ARGUMENTS)
        hosts = arguments["hosts"]
        if hosts is None:
            hosts = list(_members.members(hostvars, groups))
        start = time.monotonic()
        ways, states = [], {}
        typed = _ssh_io.Secrets(
            self.typed("password", self.options("connection", "ssh", variables)["password"]),
            self.typed("become_pass", self.options("become", "sudo", variables)["become_pass"]),
        )
        for host in hosts:
            try:
                connection = self.connection_of(hostvars[host])
                if connection == "ssh":
                    ways.append(self.way(host, hostvars[host], typed))
                states[host] = _ssh.State(host, "passed_over", said=f"its connection is {connection}")
            except (AnsibleError, TypeError, ValueError) as error:
                states[host] = _ssh.State(host, "bad_variables", said=str(error))
        states.update((state.host, state) for state in _ssh_io.contact_all(ways, arguments["timeout"]))
        return {
            **result,
            "changed": False,
            "hosts": {host: states[host].as_dict() for host in hosts},
            "problems": [problem.as_dict() for problem in _ssh_problems.problems(states[host] for host in hosts)],
            "seconds": round(time.monotonic() - start, 1),
        }

    def connection_of(self, variables: Variables) -> str:
        """Return the name of a host's connection plugin. That of this task's own host says nothing of the others."""
        name = last(variables.get("ansible_connection") or context.CLIARGS.get("connection") or C.DEFAULT_TRANSPORT)
        return "ssh" if name == "smart" else name

    def options(self, kind: str, name: str, variables: Variables) -> dict[str, t.Any]:
        """Return the options of a plugin for a host: from its variables, the play, the command line and ansible.cfg."""
        loader = {"connection": connection_loader, "become": become_loader}[kind]
        # Reading the plugin shows Ansible its options.
        loader.get(name, class_only=True)
        keys = {key: value for key, value in self._task.dump_attrs().items() if key in ("remote_user", "port")}
        found: dict[str, t.Any] = C.config.get_plugin_options(kind, name, keys=keys, variables=variables)
        return found

    def typed(self, attribute: str, own: str | None) -> str:
        """Return the password that was typed for -k or -K.

        own: that of the host of this task, which would stand in its place in the play's context.
        """
        return "" if own else str(getattr(self._play_context, attribute) or "")

    def way(self, host: str, variables: Variables, typed: _ssh_io.Secrets) -> tuple[_ssh.Way, _ssh_io.Secrets]:
        """Return how Ansible reaches a host, and the passwords for it."""
        given = self.options("connection", "ssh", variables)
        scope = _settings.check(host, variables).values["vllm_ray_scope"]
        method = last(variables.get("ansible_become_method") or self._task.become_method)
        becomes = boolean(variables.get("ansible_become", scope == "system"))
        become, become_password = None, ""
        if becomes and method == "sudo":
            become, become_password = self.become(variables, given["remote_user"], typed.become)
        way = _ssh.Way(
            host=host,
            address=str(given["host"] or host),
            port=given["port"],
            user=given["remote_user"],
            key_file=os.path.expanduser(given["private_key_file"]) if given["private_key_file"] else None,
            arguments=(
                tuple(shlex.split(given["ssh_args"] or "")),
                (*shlex.split(given["ssh_common_args"] or ""), *shlex.split(given["ssh_extra_args"] or "")),
            ),
            executable=given["ssh_executable"],
            checks_keys=given["host_key_checking"],
            python=pythons(variables),
            become=become,
            not_told=(f"whether {method} works",) if becomes and method != "sudo" else (),
        )
        return way, _ssh_io.Secrets(given["password"] or typed.login, become_password)

    def become(self, variables: Variables, user: str | None, typed: str) -> tuple[_ssh.Become | None, str]:
        """Return how tasks become root, and the password for it. Who logs in as root needs no sudo."""
        given = self.options("become", "sudo", variables)
        if given["become_user"] == user:
            return None, ""
        password = given["become_pass"] or typed
        flags = given["become_flags"] or ""
        return _ssh.Become(given["become_user"], given["become_exe"], flags, bool(password)), password
