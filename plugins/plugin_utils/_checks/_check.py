# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a check is declared: by @check at its function. PRIVATE to the collection."""

from __future__ import annotations

import enum
import typing as t
from dataclasses import dataclass, field

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._host import look_of

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._problem import Problem
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _look
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._host import Host

P = t.ParamSpec("P")
# Stages of preflight, in their order.
STAGES = ("host", "network", "release")


class Need(enum.Enum):
    """What a check needs, and the stage of preflight in which it exists."""

    CONNECTION = "host", "an SSH connection to a host"
    INVENTORY = "host", "the inventory"
    # The registry runs the checks of these three. Their parameter is a Target, a Target and a Cluster.
    SETTINGS = "host", "the settings of a host"
    PROBE = "host", "the probe of a host"
    PROBES = "host", "the probes of all hosts"
    PLAN = "host", "the plan"
    MATRIX = "host", "the table of what hosts have"
    GOOD_RUN = "host", "the record of the last good run"
    NETWORK = "network", "the test of the network between hosts"
    RELEASE = "release", "the release"
    PARSER = "release", "the parser of the release"
    COLLECTIVE = "release", "the all-reduce over all ranks"

    @property
    def stage(self) -> str:
        return self.value[0]


@dataclass(frozen=True)
class Target:
    """A host to check, and what the plan does with it.

    serves: whether it is the serve host. starts: whether the engine is to be started on it, so that it does not matter
    what runs there now. writes: {path: bytes} that will be written below its probed paths.
    """

    host: Host
    serves: bool = False
    starts: bool = False
    writes: Mapping[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.host.name

    @property
    def settings(self) -> dict[str, t.Any]:
        return self.host.settings

    @property
    def look(self) -> _look.Look:
        return look_of(self.host)


@dataclass(frozen=True, eq=False)
class Check(t.Generic[P]):
    """A function that checks something. names: of the checks that its problems belong to."""

    names: tuple[str, ...]
    needs: Need
    function: Callable[P, list[Problem]]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> list[Problem]:
        return self.function(*args, **kwargs)


def check(*names: str, needs: Need) -> Callable[[Callable[P, list[Problem]]], Check[P]]:
    """Declare a function as a check: _registry lists it, and runs it where it runs all checks with such a need."""

    def declare(function: Callable[P, list[Problem]]) -> Check[P]:
        return Check(names, needs, function)

    return declare
