# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All checks, in the order in which they run and are listed. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks import (
    _agreement_checks,
    _collective_checks,
    _danger,
    _host_checks,
    _inventory_checks,
    _lint,
    _model_checks,
    _network_checks,
    _parity,
    _settings_checks,
    _tls_checks,
)
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks._check import Check, Need

if t.TYPE_CHECKING:
    from types import ModuleType

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._problem import Problem
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks._check import Target
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._cluster import Cluster

# Files of this package that declare checks.
MODULES = (
    _inventory_checks,
    _settings_checks,
    _host_checks,
    _agreement_checks,
    _model_checks,
    _lint,
    _danger,
    _tls_checks,
    _parity,
    _network_checks,
    _collective_checks,
)
# Checks that other packages make: {name: what it needs}.
ELSEWHERE = {
    # _contact
    "ssh": Need.CONNECTION,
    "sudo": Need.CONNECTION,
    "python": Need.CONNECTION,
    "machine": Need.CONNECTION,
    # _cluster/_settings.py
    "variable": Need.INVENTORY,
    # _bundles
    "bundle": Need.INVENTORY,
    # _planner/_engine.py
    "layout": Need.PLAN,
    # _plans/_plan.py
    "record": Need.PLAN,
    # _plans/_rotation.py
    "rotation": Need.PLAN,
    # The module release_info
    "release": Need.RELEASE,
    "package": Need.RELEASE,
}


def declared(module: ModuleType) -> list[Check[...]]:
    """Return the checks that a file declares, in its order."""
    found = [value for value in vars(module).values() if isinstance(value, Check)]
    return [check for check in found if check.function.__module__ == module.__name__]


CHECKS = [check for module in MODULES for check in declared(module)]


def names() -> dict[str, Need]:
    """Return the names of all checks, and what each needs."""
    found = dict(ELSEWHERE)
    for check in CHECKS:
        for name in check.names:
            found.setdefault(name, check.needs)
    return found


def host_problems(target: Target) -> list[Problem]:
    """Run the checks of one host: of its probe, if it was probed, and of its settings."""
    needs = [Need.PROBE, Need.SETTINGS] if target.host.look else [Need.SETTINGS]
    return [problem for need in needs for check in CHECKS if check.needs is need for problem in check(target)]


def cluster_problems(cluster: Cluster) -> list[Problem]:
    """Run the checks of all probes together."""
    return [problem for check in CHECKS if check.needs is Need.PROBES for problem in check(cluster)]
