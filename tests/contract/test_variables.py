# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Laws over the variables that users set."""

from __future__ import annotations

import yaml

from ansible_collections.vllm_ray.cluster.plugins.lookup import private
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._accelerator import ACCELERATORS
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _settings, _value_types
from ansible_collections.vllm_ray.cluster.tests.contract import walk


def test_every_variable_has_a_type() -> None:
    """What is neither a boolean nor one of fixed choices says what its values look like."""
    free = {
        name for name, spec in _settings.specification().items() if spec["type"] != "bool" and "choices" not in spec
    }
    assert set(_value_types.VARIABLES) == free
    assert len(free) > 50


def test_every_type_is_used_and_known() -> None:
    assert set(_value_types.VARIABLES.values()) == set(_value_types.TYPES)


def test_defaults_are_of_their_types() -> None:
    wrong = {
        name: spec["default"]
        for name, spec in _settings.specification().items()
        if "default" in spec and _value_types.wrong_values(name, spec["default"])
    }
    assert wrong == {}


def test_the_choices_of_accelerators_are_those_that_there_are() -> None:
    """An accelerator has a lock of its name, too."""
    names = list(ACCELERATORS)
    assert _settings.specification()["vllm_ray_accelerator"]["choices"] == ["auto", *names]
    assert yaml.safe_load(private.DOCUMENTATION)["options"]["accelerator"]["choices"] == names
    for role, option in (("ray", "ray_accelerator"), ("vllm", "vllm_accelerator"), ("release", "release_lock")):
        specs = walk.load_mapping(walk.ROOT / "roles" / role / "meta" / "argument_specs.yml")["argument_specs"]
        assert {tuple(spec["options"][option]["choices"]) for spec in specs.values() if option in spec["options"]} == {
            tuple(names)
        }
    locks = walk.ROOT / "roles" / "release" / "files" / "locks"
    assert [name for name in names if not (locks / f"{name}.lock").is_file()] == []
