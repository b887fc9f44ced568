# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drives supervisor. PRIVATE to the collection."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine._runtime import SYSTEM_PATH
from ansible_collections.vllm_ray.cluster.plugins.module_utils._services._manager import Running
from ansible_collections.vllm_ray.cluster.plugins.module_utils._services._supervisor import parse_supervisorctl_status

if t.TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from ansible.module_utils.basic import AnsibleModule

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._services._manager import Service


class Supervisor:
    """Drives the services of a host without systemd, by a supervisord of our own."""

    can_disable = False

    def __init__(self, module: AnsibleModule, directory: str, bin_directory: str) -> None:
        self.module = module
        self.config = f"{directory}/supervisord.conf"
        self.bin = bin_directory
        self.fresh = False

    def ctl(self, *args: str, check: bool = True) -> str:
        # supervisorctl's exit status also reports programs that do not run, so its text decides.
        rc, out, err = self.module.run_command([f"{self.bin}/supervisorctl", "-c", self.config, *args])
        if check and (rc not in (0, 3) or "ERROR" in out):
            self.module.fail_json(msg=f"supervisorctl {' '.join(args)} failed: {out or err}".strip())
        return str(out)

    def is_up(self) -> bool:
        if not os.path.exists(self.config):
            return False
        rc, out, _err = self.module.run_command([f"{self.bin}/supervisorctl", "-c", self.config, "pid"])
        return bool(rc == 0 and out.strip().isdigit())

    def look(self, names: Sequence[str]) -> dict[str, Running]:
        shown = parse_supervisorctl_status(self.ctl("status", check=False)) if self.is_up() else {}
        return {name: shown.get(name, Running(enabled=True)) for name in names}

    def needs_reload(self, running: Mapping[str, Running], changed: Collection[str]) -> bool:
        return bool(running) and not self.is_up()

    def reload(self) -> None:
        if self.is_up():
            # Only makes supervisord read the files; programs whose sections changed are restarted by start().
            self.ctl("reread")
        elif os.path.exists(self.config):
            # Services must not depend on the environment of the caller, or pass it on.
            clean = ["env", "-i", f"PATH={SYSTEM_PATH}"]
            self.module.run_command([*clean, f"{self.bin}/supervisord", "-c", self.config], check_rc=True)
            self.fresh = True

    def start(self, service: Service) -> None:
        if self.fresh:  # it has just started all programs, from the files that are wanted
            return
        self.ctl("stop", service.name, check=False)
        self.ctl("remove", service.name, check=False)
        self.ctl("add", service.name)

    def stop(self, service: Service) -> None:
        self.ctl("stop", service.name)
        self.ctl("remove", service.name)

    def enable(self, service: Service, enabled: bool) -> None:
        """Supervisor starts what it has a section of; there is nothing to enable."""
