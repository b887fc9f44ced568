# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The forms in which the plan is returned and recorded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._problem import Problem
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._layout import Layout
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._plans._types import (
    Endpoint,
    EnginePlan,
    Outline,
    Plan,
    RayPlan,
    TlsPlan,
)

ENDPOINT = Endpoint("0.0.0.0", 8000, "http://192.0.2.11:8000", "demo")
LAYOUT = Layout(1, 2, {"gpu01": 1, "gpu02": 1})
ENGINE = EnginePlan("gpu01", LAYOUT, ENDPOINT, True, {}, {"192.0.2.11": 1, "192.0.2.12": 1}, {})


def test_an_endpoint_has_a_name_only_where_clients_need_it() -> None:
    """A record without it is as one of earlier versions."""
    assert "name" not in ENDPOINT.as_dict()
    assert replace(ENDPOINT, name="llm.example.org").as_dict()["name"] == "llm.example.org"


def test_without_a_head_there_are_problems_alone() -> None:
    problem = Problem("-", "inventory", "error", "no head", "one", "name one")
    assert Plan([problem]).as_dict() == {"problems": [problem.as_dict()]}


def test_without_a_layout_there_is_no_engine() -> None:
    ray = RayPlan(6379, "http://127.0.0.1:8265", "/etc/vllm-ray/default", "/etc/vllm-ray/default/ray.token")
    told: Any = Plan([], Outline("default", "gpu01", "cuda", None, ray)).as_dict()
    assert (told["serving"], told["ray"]["gcs_port"], "engine" in told) == (None, 6379, False)


def test_tls_has_no_keys_for_what_is_not_known() -> None:
    assert TlsPlan("off", []).as_dict() == {"mode": "off", "names": []}
