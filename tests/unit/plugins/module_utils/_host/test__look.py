# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import types
import typing
from typing import Any

import pytest
import yaml

from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _look
from ansible_collections.vllm_ray.cluster.plugins.module_utils._net import _nic
from ansible_collections.vllm_ray.cluster.plugins.modules import host_info, nic_info
from ansible_collections.vllm_ray.cluster.tests.unit import looks

DOCUMENTED = yaml.safe_load(host_info.RETURN)
PARTS = {
    "host": _look.Machine,
    "usage": _look.Usage,
    "engine": _look.Engine,
    "model": _look.Model,
    "details": _look.Details,
}


def differences(value: Any, kind: Any, place: str = "look") -> list[str]:
    """Return where a value is not of a type of the schema."""
    if typing.is_typeddict(kind) and isinstance(value, dict):
        hints = typing.get_type_hints(kind)
        unknown = [f"{place}.{name} is not in the schema" for name in value if name not in hints]
        missing = [f"{place}.{name} is missing" for name in kind.__required_keys__ if name not in value]
        inner = [differences(one, hints[name], f"{place}.{name}") for name, one in value.items() if name in hints]
        return [*unknown, *missing, *(text for texts in inner for text in texts)]
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        found = [differences(value, one, place) for one in arguments]
        return min(found, key=len)
    if origin is list and isinstance(value, list):
        return [text for one in value for text in differences(one, arguments[0], f"{place}[]")]
    if origin is dict and isinstance(value, dict):
        return [text for name, one in value.items() for text in differences(one, arguments[1], f"{place}.{name}")]
    expected = (int, float) if kind is float else dict if typing.is_typeddict(kind) else origin or kind
    return [] if isinstance(value, expected) else [f"{place} is {value!r}, not {kind}"]


@pytest.mark.parametrize("part", PARTS)
def test_the_schema_has_what_the_documentation_has(part: str) -> None:
    documented, names = DOCUMENTED[part]["contains"].keys(), set(typing.get_type_hints(PARTS[part]))
    options = set(typing.get_type_hints(_look.EngineOptions)) - {"url"}
    assert set(documented) == names - (options if part == "engine" else set())


def test_the_network_is_what_nic_info_returns() -> None:
    assert set(yaml.safe_load(nic_info.RETURN)) == set(typing.get_type_hints(_look.Network))


def test_what_tests_take_for_a_look_is_one() -> None:
    assert differences(looks.look(1, 2), _look.Look) == []


def test_a_difference_is_found() -> None:
    look = looks.look(1, host_memory="2 TiB", usage_other=1)
    del look["network"]["error"]
    assert sorted(differences(look, _look.Look)) == [
        "look.host.memory is '2 TiB', not <class 'int'>",
        "look.network.error is missing",
        "look.usage.other is not in the schema",
    ]


def test_nics_and_rdma_ports_are_of_the_schema() -> None:
    chosen = _nic.ClusterNic("eno1", "192.0.2.11", 1500, "set by vllm_ray_nic")
    port = _nic.RdmaPort(
        "mlx5_0", 1, "ACTIVE", "LinkUp", "Ethernet", 400.0, ("eno1",), (_nic.Gid(3, "fe80::1", "v2", ""),)
    )
    nic = _nic.Nic("eno1", "physical", True, 1500, None, "mlx5_core", ("mlx5_0",))
    assert differences(chosen.as_dict(), _look.ClusterNic) == []
    assert differences(port.as_dict(), _look.RdmaPort) == []
    assert differences(nic.as_dict(), _look.Nic) == []
