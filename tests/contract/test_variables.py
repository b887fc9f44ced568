# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Laws over the variables that users set."""

from __future__ import annotations

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _settings, _value_types


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
