# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the one specification of the users' variables. PRIVATE to the collection."""

from __future__ import annotations

import functools
import pathlib
import typing as t

from ansible.module_utils.common.yaml import yaml_load

SPEC_FILE = pathlib.Path(__file__).parents[3] / "meta" / "argument_specs.yml"


@functools.cache
def specification() -> dict[str, dict[str, t.Any]]:
    """Return {variable: option} as in an argument_specs.yml.

    Every task that needs it reads the file again, in a process of its own: Ansible's loader uses libyaml if available.
    """
    with SPEC_FILE.open(encoding="utf-8") as stream:
        options: dict[str, dict[str, t.Any]] = yaml_load(stream)["argument_specs"]["main"]["options"]
    return options
