# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drives systemd. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._services._manager import Running
from ansible_collections.vllm_ray.cluster.plugins.module_utils._services._systemd import (
    is_drop_in,
    parse_systemctl_show,
    unit_of,
)

if t.TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from ansible.module_utils.basic import AnsibleModule

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._services._manager import Service

SHOWN = "Id,LoadState,ActiveState,SubState,MainPID,UnitFileState,NeedDaemonReload"


class Systemd:
    """Drives the services of a host whose PID 1 is systemd."""

    can_disable = True

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module

    def run(self, *args: str) -> str:
        _rc, out, _err = self.module.run_command(["systemctl", *args], check_rc=True)
        return str(out)

    def look(self, names: Sequence[str]) -> dict[str, Running]:
        units = [unit_of(name) for name in names]
        shown = parse_systemctl_show(self.run("show", f"--property={SHOWN}", *units))
        return {name: shown.get(unit_of(name), Running()) for name in names}

    def needs_reload(self, running: Mapping[str, Running], changed: Collection[str]) -> bool:
        # systemd applies what drop-ins say of the network to units that run.
        return any(map(is_drop_in, changed)) or any(service.reload_needed for service in running.values())

    def reload(self) -> None:
        self.run("daemon-reload")

    def start(self, service: Service) -> None:
        self.run("reset-failed", unit_of(service.name))
        self.run("restart", unit_of(service.name))

    def stop(self, service: Service) -> None:
        self.run("stop", unit_of(service.name))
        # One that ended badly would stay in systemd's list, also without its unit. For one that is gone this fails.
        self.module.run_command(["systemctl", "reset-failed", unit_of(service.name)])

    def enable(self, service: Service, enabled: bool) -> None:
        self.run("enable" if enabled else "disable", unit_of(service.name))
