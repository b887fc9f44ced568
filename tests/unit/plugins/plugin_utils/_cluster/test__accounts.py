# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._problem import Problem
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import (
    _accounts,
    _settings,
    _value_types,
)
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._host import Host, unit_names
from ansible_collections.vllm_ray.cluster.tests.unit.looks import look


def problems(found: dict[str, Any], **given: Any) -> list[Problem]:
    """Return the problems of a host. found: what its look says of accounts. given: vllm_ray_* without the prefix."""
    variables = {f"vllm_ray_{name}": value for name, value in given.items()}
    settings = _settings.check("a", {"vllm_ray_model": "/srv/demo", **variables})
    assert settings.problems == []
    changes: dict[str, Any] = {f"host_{name}": value for name, value in found.items()}
    host = Host("a", ("head",), settings.values, look(1, **changes))
    return _accounts.account_problems(host, unit_names(settings.values["vllm_ray_cluster"]))


@pytest.mark.parametrize(
    ("cluster", "account"),
    [
        ("default", "vllm-ray"),
        ("b", "vllm-ray-b"),
        ("a.b_C-d", "vllm-ray-a.b_C-d"),
        ("x" * 22, f"vllm-ray-{'x' * 22}"),
        ("x" * 23, f"vllm-ray-{'x' * 13}-564b146b"),
        ("x" * 22 + "y", f"vllm-ray-{'x' * 13}-721dc0c1"),
    ],
)
def test_each_cluster_has_an_account(cluster: str, account: str) -> None:
    assert _accounts.account_of(cluster) == account
    assert _value_types.is_account(account)
    assert _settings.check("a", {"vllm_ray_cluster": cluster}).values["vllm_ray_user"] == account
    own = _settings.check("a", {"vllm_ray_cluster": cluster, "vllm_ray_user": "ai"})
    assert own.values["vllm_ray_user"] == "ai"


@pytest.mark.parametrize(
    ("accounts", "given", "others", "fix"),
    [
        ({}, {}, "", ""),
        ({"default": "vllm-ray"}, {}, "", ""),
        ({"default": "vllm-ray", "b": "vllm-ray-b"}, {}, "", ""),
        ({"default": "vllm-ray", "b": "vllm-ray", "c": "vllm-ray"}, {}, "b, c", "=vllm-ray-b for the cluster b"),
        ({"b": "vllm-ray"}, {}, "b", "vllm_ray_user=vllm-ray-b for the cluster b"),
        ({"b": "ai"}, {"user": "ai"}, "b", "vllm_ray_user=vllm-ray for the cluster default"),
        ({"default": "vllm-ray", "b": "vllm-ray"}, {"cluster": "b"}, "", ""),
        ({"default": "vllm-ray"}, {"scope": "user"}, "", ""),
    ],
)  # fmt: skip
def test_clusters_that_share_an_account_are_reported(
    accounts: dict[str, str], given: dict[str, str], others: str, fix: str
) -> None:
    found = problems({"accounts": accounts}, **given)
    assert [(problem.check, problem.severity) for problem in found] == ([("account", "warning")] if others else [])
    if others:
        assert f"the cluster {others} runs as" in found[0].found
        assert fix in found[0].fix


@pytest.mark.parametrize(
    ("owner", "given", "refused"),
    [
        ("", {}, False),
        ("root", {}, False),
        ("vllm-ray", {}, False),
        ("vllm-ray-b", {"cluster": "b"}, False),
        ("vllm-ray", {"cluster": "b", "user": "vllm-ray"}, False),
        ("vllm-ray", {"cluster": "b"}, True),
        ("999", {}, True),
        ("ann", {"scope": "user"}, False),
    ],
)
def test_a_state_directory_of_another_account_is_refused(owner: str, given: dict[str, str], refused: bool) -> None:
    found = problems({"state_owner": owner}, **given)
    assert [(problem.check, problem.severity) for problem in found] == ([("account", "error")] if refused else [])


def test_the_refusal_says_what_to_do() -> None:
    (problem,) = problems({"state_owner": "vllm-ray"}, cluster="b")
    assert problem.found == (
        "/var/lib/vllm-ray/b belongs to vllm-ray, and the services of this cluster are to run as vllm-ray-b"
    )
    assert problem.fix.startswith("keep the account by vllm_ray_user=vllm-ray; or, ")
    assert "systemctl stop vllm-ray-serve@b-main vllm-ray-node@b && mv /var/lib/vllm-ray/b " in problem.fix
