# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which settings may hold a secret, and what of a host's settings results may show. PRIVATE to the collection.

Ansible prints what a task returns at -v, and writes it to its log and to what callbacks write. So the plan, which is
returned, has the public settings only. What may hold a secret is read where it is used, by the lookup `private`.
"""

from __future__ import annotations

import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine import _collective
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._confinement import paths_in
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._host import serve_args
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._specification_io import specification

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._accelerator import Accelerator


def is_private(name: str) -> bool:
    """Return whether a variable may hold a secret: its specification says so by no_log."""
    return bool(specification()[name].get("no_log"))


def public(settings: Mapping[str, t.Any]) -> dict[str, object]:
    """Return the settings of a host that hold no secret."""
    return {name: value for name, value in settings.items() if not is_private(name)}


def environment(settings: Mapping[str, t.Any], accelerator: Accelerator) -> dict[str, str]:
    """Return the environment that a user gives to Ray, its workers and the engine on a host."""
    result = {**accelerator.environment, **settings["vllm_ray_env"]}
    if settings.get("vllm_ray_nccl_debug"):
        result["NCCL_DEBUG"] = settings["vllm_ray_nccl_debug"]
    return {name: str(value) for name, value in result.items()}


def public_environment(settings: Mapping[str, t.Any], accelerator: Accelerator) -> dict[str, str]:
    """Return the part of environment() that steers NCCL, Gloo, CUDA and torch, and so holds no secret."""
    return _collective.environment(environment(settings, accelerator))


def private(settings: Mapping[str, t.Any], accelerator: Accelerator) -> dict[str, object]:
    """Return the settings of a host that may hold a secret, and what follows from them: `env`, `args`, and `paths` that
    the options name.
    """
    args = {**accelerator.serve_args, **serve_args(settings)}
    held = {name: value for name, value in settings.items() if is_private(name)}
    return {**held, "env": environment(settings, accelerator), "args": args, "paths": paths_in(args)}
