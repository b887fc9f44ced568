# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a support bundle consists of besides the parts of its hosts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _redact
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base import _secrets_io
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _settings
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._plans._types import Plan
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._screens import _support_bundle
from ansible_collections.vllm_ray.cluster.tests import canaries
from ansible_collections.vllm_ray.cluster.tests.unit import plans
from ansible_collections.vllm_ray.cluster.tests.unit.looks import look

SECRETS = ["planted-token-of-a-hub", "planted-key-of-a-store", "planted-api-key", "planted-proxy-password"]
VARIABLES = {
    "vllm_ray_model": "/srv/demo",
    "vllm_ray_hf_token": SECRETS[0],
    "vllm_ray_env": {"AWS_SECRET_ACCESS_KEY": SECRETS[1], "NCCL_DEBUG": "INFO"},
    "vllm_ray_serve_args": {"api-key": [SECRETS[2]]},
    "vllm_ray_proxy": f"http://me:{SECRETS[3]}@192.0.2.1:3128",
}


DETAILS: dict[str, Any] = {"services": {}, "kv_cache": {}, "firewall": {}, "model": {}, "nodes": {}}


def documents(**change: Any) -> dict[str, str]:
    settings = {"gpu01": _settings.check("gpu01", VARIABLES).values}
    given: dict[str, Any] = {
        "plan": plans.plan({"engine": {"endpoint": {}}, "hosts": {"gpu01": {"env": VARIABLES["vllm_ray_env"]}}}),
        "problems": [],
        "looks": {"gpu01": look(1), "gpu02": None},
        "settings": settings,
        "versions": {"ansible-core": "2.19.2"},
        "secrets": _redact.secrets_of(settings),
        "lacking": ["gpu02: look: unreachable: No route to host"],
    }
    return _support_bundle.documents(**{**given, **change})


def test_no_secret_of_the_inventory_is_in_it() -> None:
    # The error of a task may hold what the task was given.
    seen = look(1)
    seen["engine"]["why"] = f"HTTP 401 for {SECRETS[2]}"
    text = "\n".join(documents(looks={"gpu01": seen}).values())
    assert [secret for secret in SECRETS if secret in text] == []
    assert "NCCL_DEBUG" in text


def test_what_is_in_it() -> None:
    found = documents()
    assert json.loads(found["status.json"])["hosts"]["gpu02"] is None
    assert json.loads(found["looks.json"])["gpu01"]["host"]["hostname"] == "gpu01"
    assert json.loads(found["settings.json"])["gpu01"]["vllm_ray_model"] == "/srv/demo"
    assert "gpu02  -" in found["status.txt"]
    assert "no problem" in found["problems.txt"]
    assert found["MISSING"] == "gpu02: look: unreachable: No route to host\n"


def test_hosts_that_differ_are_problems() -> None:
    problem = {
        "host": "gpu01",
        "check": "disk",
        "severity": "error",
        "found": "full",
        "wanted": "room",
        "fix": "free it",
    }
    releases = [{"path": "/r", "python": {"version": version}, "versions": {}} for version in ("3.11.3", "3.11.2")]
    looks = {
        f"gpu0{n}": {**look(n), "details": {**DETAILS, "release": release}} for n, release in enumerate(releases, 1)
    }
    text = documents(problems=[problem], looks=looks)["problems.txt"]
    assert "2 errors" in text
    assert "fix: free it" in text
    assert "3.11.2*" in text


def test_no_canary_is_in_it() -> None:
    values = _settings.check("gpu01", {"vllm_ray_model": "/srv/demo", **canaries.variables()}).values
    texts = documents(settings={"gpu01": values}, secrets=_secrets_io.known(values))
    assert "SOMEBODYS_SETTING" in texts["settings.json"]
    assert canaries.PATTERN.findall(repr(texts).encode()) == []
    assert f'"store_password": "{_redact.MARK}"' in texts["settings.json"]


def test_what_is_missing_is_named_with_its_reason() -> None:
    unreachable = {"unreachable": True, "msg": "Failed to connect\nNo route to host"}
    failed = {"failed": True, "msg": "sudo: a password is required\nmore"}
    looks = {"a": look(1), "b": unreachable, "c": failed, "d": look(4)}
    parts: Any = {
        "a": {"path": "/tmp/a.tar.gz", "missing": ["gpu/nvidia-smi.txt: nvidia-smi is not installed"]},
        "b": {"skipped": True},
        "c": {"failed": False, "msg": "sudo: a password is required"},
        "d": None,
    }
    assert _support_bundle.missing(["a", "b", "c", "d"], looks, parts, {"plan": {}}) == [
        "a: gpu/nvidia-smi.txt: nvidia-smi is not installed",
        "b: look: unreachable: No route to host",
        "b: everything else: unreachable: No route to host",
        "c: look: sudo: a password is required",
        "c: everything else: sudo: a password is required",
        "d: everything else: left out by --limit, or a task before it failed",
    ]


def test_a_plan_that_could_not_be_made_is_named() -> None:
    failed = {"failed": True, "msg": "Task failed: division by zero"}
    assert _support_bundle.missing([], {}, {}, failed) == ["plan: Task failed: division by zero"]
    texts = _support_bundle.documents(Plan([]), [], {}, {}, {}, [], [])
    assert "no plan: preflight.yml shows why" in texts["status.txt"]


def test_its_name() -> None:
    assert _support_bundle.folder_name("default", "20261121T180501") == "vllm-ray-support-default-20261121T180501"


@pytest.mark.parametrize(
    "name", ["MISSING", "log/node.log", "units/vllm-ray-serve@demo-main.service", "ray/logs/worker-0a-01000000-77.out"]
)
def test_names_of_files_of_a_part(name: str) -> None:
    assert _support_bundle.is_member_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("", "/etc/passwd", "../x", "a/../../x", "a//b", "a/", ".", "a/.", ".bashrc", "a/.ssh/authorized_keys"),
        *("a\nb", "a\x1bb", "a b", "a\\..\\b", "a" * 201, "/".join("a" * 9), "C:\\x", "a\x00b"),
    ],
)
def test_other_names_lead_nowhere(name: str) -> None:
    assert not _support_bundle.is_member_name(name)
