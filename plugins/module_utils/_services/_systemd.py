# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of systemd's units, and the output of systemctl. PRIVATE to the collection."""

from __future__ import annotations

from ansible_collections.vllm_ray.cluster.plugins.module_utils._services._manager import Running

# The kinds of unit that a name may say.
KINDS = (".service", ".timer")


def unit_of(name: str) -> str:
    """Return the unit of a name: NAME.service, or NAME itself where it says another kind, such as NAME.timer."""
    return name if name.endswith(KINDS) else f"{name}.service"


def is_drop_in(path: str) -> bool:
    """Return whether a file is in a directory that adds to a unit of one of the kinds."""
    return path.rpartition("/")[0].endswith(tuple(f"{kind}.d" for kind in KINDS))


def parse_systemctl_show(text: str) -> dict[str, Running]:
    """Parse `systemctl show` of several units (blocks of KEY=value, parted by empty lines) to {unit: Running}."""
    result = {}
    for block in text.strip().split("\n\n"):
        values = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        state = values.get("ActiveState", "")
        if values.get("SubState") == "auto-restart":
            state = "failed"
        result[values.get("Id", "")] = Running(
            active=state in ("active", "activating", "reloading", "deactivating"),
            enabled=values.get("UnitFileState") == "enabled",
            exists=values.get("LoadState") == "loaded",
            reload_needed=values.get("NeedDaemonReload") == "yes",
            pid=int(values.get("MainPID") or 0),
            state=state or "inactive",
        )
    return result
