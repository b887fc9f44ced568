# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service, and what a service manager must be able to do with it. PRIVATE to the collection."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

if t.TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence


@dataclass(frozen=True)
class Service:
    """A service as it should be. `depends` are the files whose content it must have been started with."""

    name: str
    unit_path: str
    unit: str
    record: str
    depends: tuple[str, ...]
    state: str = "started"


@dataclass(frozen=True)
class Running:
    """A service as it is. `active` also holds while it starts or stops, not between two restarts by itself."""

    active: bool = False
    enabled: bool = False
    exists: bool = False
    reload_needed: bool = False
    pid: int = 0
    state: str = "inactive"


class Manager(t.Protocol):
    """Drives the services of a host by their names."""

    # Whether a service is enabled or disabled apart from being there.
    can_disable: bool

    def look(self, names: Sequence[str]) -> dict[str, Running]:
        """Return how services run, by name. A service that the manager does not know is in the result, too."""

    def needs_reload(self, running: Mapping[str, Running], changed: Collection[str]) -> bool:
        """Return whether the manager must read its files again, although no unit was written.

        running: the services as they were found. changed: paths of files that were written.
        """

    def reload(self) -> None:
        """Let the manager read its files again. What runs keeps running."""

    def start(self, service: Service) -> None:
        """Start a service, or restart it."""

    def stop(self, service: Service) -> None:
        """Stop a service."""

    def enable(self, service: Service, enabled: bool) -> None:
        """Set whether a service starts with the host."""
