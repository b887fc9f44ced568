# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order in which layers go to ranks (the scenario `cluster` sees vLLM take it)."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "roles" / "vllm" / "files" / "layer_partition.py"
LAYERS = {"192.0.2.11": [10, 10], "192.0.2.12": [8], "192.0.2.13": [4]}


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("layer_partition", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("ids", "driver", "wanted"),
    [
        (("c", "b", "a"), "c", "10,10,4,8"),
        (("a", "b", "c"), "a", "10,10,8,4"),
        (("b", "a", "c"), "a", "8,10,10,4"),
    ],
    ids=["driver-first-though-last-by-id", "by-id", "the-driver-is-another-host"],
)
def test_the_drivers_node_first_then_by_id(script: ModuleType, ids: tuple[str, ...], driver: str, wanted: str) -> None:
    assert script.partition(LAYERS, dict(zip(LAYERS, ids)), driver) == wanted


def test_only_nodes_that_are_alive_count(script: ModuleType) -> None:
    nodes = [
        {"NodeManagerAddress": "192.0.2.11", "NodeID": "old", "Alive": False},
        {"NodeManagerAddress": "192.0.2.11", "NodeID": "new", "Alive": True},
        {"NodeManagerAddress": "192.0.2.12", "NodeID": "gone", "Alive": False},
    ]
    assert script.nodes_by_address(nodes) == {"192.0.2.11": "new"}
