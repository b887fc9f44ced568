# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Laws over the confinement of units: what may be chosen is the same everywhere, and both units have all of it."""

from __future__ import annotations

import pytest

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _accounts, _confinement
from ansible_collections.vllm_ray.cluster.tests.contract import walk

ROLES = {"ray": "node", "vllm": "serve"}


def test_the_variable_offers_the_steps_and_has_all_of_them() -> None:
    spec = walk.user_variables()["vllm_ray_confine"]
    assert (spec["choices"], spec["default"]) == (list(_confinement.STEPS), list(_confinement.STEPS))


def test_the_account_of_the_default_cluster_is_that_of_the_roles() -> None:
    assert walk.user_variables()["vllm_ray_cluster"]["default"] == _accounts.DEFAULT_CLUSTER
    for role in ROLES:
        defaults = walk.load_mapping(walk.ROOT / "roles" / role / "defaults" / "main.yml")
        assert defaults[f"{role}_user"] == _accounts.account_of(defaults[f"{role}_cluster"])


@pytest.mark.parametrize("role", ROLES)
def test_roles_offer_the_same(role: str) -> None:
    folder = walk.ROOT / "roles" / role
    options = walk.load_mapping(folder / "meta" / "argument_specs.yml")["argument_specs"]["main"]["options"]
    assert options[f"{role}_confine"]["choices"] == list(_confinement.STEPS)
    assert set(options[f"{role}_accelerator"]["choices"]) <= set(_confinement.DEVICES)


@pytest.mark.parametrize(("role", "unit"), ROLES.items())
def test_units_have_no_confinement_of_their_own(role: str, unit: str) -> None:
    """Nor do they undo any, as the last line of a directive often wins."""
    text = (walk.ROOT / "roles" / role / "templates" / f"{unit}.service.j2").read_text(encoding="utf-8")
    assert text.count("vllm_ray.cluster.unit_confinement") == 1
    own = {line.partition("=")[0] for line in text.splitlines() if "=" in line and not line.startswith(("#", "{"))}
    known = {line.partition("=")[0] for line in _confinement.ALWAYS}
    assert own.isdisjoint({*known, "DevicePolicy", "DeviceAllow", "ReadWritePaths", "BindPaths"})
    assert {"User", "ExecStart"} < own
