# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab as an Ansible inventory, of the shape that a user writes: groups, addresses, and how to log in."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

from .commands import run
from .settings import LabError

if TYPE_CHECKING:
    from pathlib import Path

    from .settings import Settings

FORMATS = ("json", "ini")


def groups(words: list[str], hosts: list[str]) -> dict[str, list[str]]:
    """Read NAME=HOST,HOST words; a group may be empty."""
    found: dict[str, list[str]] = {}
    for word in words:
        name, equals, members = word.partition("=")
        if not equals or not name.isidentifier():
            raise LabError(f"{word!r}: give --groups NAME=HOST,HOST")
        found.setdefault(name, []).extend(host for host in members.split(",") if host)
    for name, inside in found.items():
        for host in inside:
            if host not in hosts:
                raise LabError(f"group {name} names {host!r}, which the lab has not; there are: {' '.join(hosts)}")
    return found


def login(settings: Settings) -> dict[str, str]:
    """What all hosts share. No become: roles ask for it on their tasks, and deploy needs no password for sudo."""
    return {
        "ansible_user": "deploy",
        "ansible_ssh_private_key_file": str(settings.key),
        "ansible_ssh_common_args": shlex.join(
            [
                *("-o", f"UserKnownHostsFile={settings.known_hosts}", "-o", "GlobalKnownHostsFile=/dev/null"),
                *("-o", "StrictHostKeyChecking=yes", "-o", "IdentitiesOnly=yes"),
            ]
        ),
        # Open connections die with the lab instead of outliving it under the same addresses.
        "ansible_control_path_dir": str(settings.sockets),
    }


def structure(settings: Settings, hosts: list[str], members: dict[str, list[str]]) -> dict[str, Any]:
    """Build the inventory as the yaml plugin reads it. A host in no group is a stranger: there, and in `all` only."""
    content: dict[str, Any] = {
        "all": {
            "hosts": {
                host: {"ansible_host": settings.address(host), "lab_ip6": settings.address6(host)} for host in hosts
            },
            "vars": login(settings),
        }
    }
    if members:
        content["all"]["children"] = {
            name: {"hosts": {host: {} for host in inside}} for name, inside in members.items()
        }
    return content


def script_output(settings: Settings, hosts: list[str], members: dict[str, list[str]]) -> dict[str, Any]:
    """Build the inventory as a script's output."""
    content = structure(settings, hosts, members)["all"]
    return {
        "_meta": {"hostvars": content["hosts"]},
        "all": {"hosts": list(content["hosts"]), "vars": content["vars"], "children": list(members)},
        **{name: {"hosts": inside} for name, inside in members.items()},
    }


def ini(settings: Settings, hosts: list[str], members: dict[str, list[str]]) -> str:
    """Write the inventory as an INI file, the shape of the collection's own examples."""
    content = structure(settings, hosts, members)["all"]
    lines = [
        " ".join([host, *(f"{name}={value}" for name, value in variables.items())])
        for host, variables in content["hosts"].items()
    ]
    for name, inside in members.items():
        lines += ["", f"[{name}]", *inside]
    lines += ["", "[all:vars]", *(f"{name}={value}" for name, value in content["vars"].items())]
    return "\n".join(lines) + "\n"


def text(settings: Settings, hosts: list[str], members: dict[str, list[str]], form: str) -> str:
    if form == "ini":
        return ini(settings, hosts, members)
    return json.dumps(structure(settings, hosts, members), indent=2) + "\n"


def known_hosts(settings: Settings, keys: dict[str, str]) -> str:
    """Write known_hosts from the hosts' public keys: each is known by both addresses and its name."""
    return "".join(
        f"{settings.address(host)},{settings.address6(host)},{host} {' '.join(key.split()[:2])}\n"
        for host, key in keys.items()
    )


def write_known_hosts(settings: Settings, hosts: list[str]) -> None:
    key = "root/etc/ssh/ssh_host_ed25519_key.pub"
    settings.known_hosts.write_text(
        known_hosts(settings, {host: (settings.folder(host) / key).read_text() for host in hosts})
    )


def close_connections(sockets: Path) -> None:
    """End the SSH connections that Ansible keeps open."""
    for control in sockets.glob("*") if sockets.is_dir() else ():
        run("ssh", "-o", f"ControlPath={control}", "-O", "exit", "lab", check=False)
