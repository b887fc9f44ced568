# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Ansible reads as text offers the hubs that there are."""

from __future__ import annotations

from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs._hub import DEFAULT, HUBS
from ansible_collections.vllm_ray.cluster.tests.contract import walk
from ansible_collections.vllm_ray.cluster.tests.contract.test_plugins import documented

# Where a model may come from besides a hub.
PLACES = ("auto", "controller", "host")


def test_modules_offer_the_hubs() -> None:
    modules = {name: entry["doc"].get("options") or {} for name, entry in documented()["module"].items()}
    modules["host_info.model"] = modules["vllm_ray.cluster.host_info"]["model"]["suboptions"]
    offered = {
        name: (options["hub"]["choices"], options["hub"]["default"])
        for name, options in modules.items()
        if "hub" in options
    }
    assert len(offered) == 3
    assert {name: value for name, value in offered.items() if value != (sorted(HUBS), DEFAULT)} == {}


def test_the_variable_and_the_role_offer_the_hubs() -> None:
    specification = walk.load_mapping(walk.ROOT / "roles" / "model" / "meta" / "argument_specs.yml")
    option = specification["argument_specs"]["main"]["options"]["model_source_kind"]
    for spec in (walk.user_variables()["vllm_ray_model_source"], option):
        assert spec["choices"] == sorted([*PLACES, *HUBS])
