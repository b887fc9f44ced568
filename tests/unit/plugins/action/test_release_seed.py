# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the record of trusted digests is read, and what of it is given to the hosts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail

from ansible_collections.vllm_ray.cluster.plugins.action.release_seed import ActionModule

GOOD, EVIL, TREE = "a" * 64, "e" * 64, "7" * 64
KNOWN = {"tree": TREE, "manifest": GOOD, "host": "h1"}


def look(manifest: str = "") -> dict[str, Any]:
    return {
        "complete": bool(manifest),
        "manifest": manifest,
        "damaged": [],
        "path": "/r/releases/x",
        "id": "../evil",
        "tree_bytes": 5,
    }


def run(
    monkeypatch: pytest.MonkeyPatch, looks: dict[str, Any], known: dict[str, Any], built: dict[str, Any], **more: Any
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return what the action returns, and with which arguments it read the record."""
    given = {"id": "x", "builder": "h1", "built": built, "trusted": "/etc/trusted.json", "hosts": [], **more}
    given["hosts"] = [{"name": name, "address": f"192.0.2.{number}"} for number, name in enumerate(("h1", *looks), 1)]
    task = SimpleNamespace(args=given, async_val=0, check_mode=False, diff=False)
    action = ActionModule(task, SimpleNamespace(_shell=SimpleNamespace(tmpdir="/nowhere")), None, None, None, None)
    read: list[dict[str, Any]] = []

    def execute(module_name: str, module_args: dict[str, Any], **_more: Any) -> dict[str, Any]:
        assert module_name == "vllm_ray.cluster.trusted_digest"
        read.append(module_args)
        return known

    monkeypatch.setattr(action, "_execute_module", execute)
    variables: Any = {
        "hostvars": {name: {"release_found": answer} for name, answer in looks.items()},
        "ansible_play_batch": list(looks),
        "ansible_forks": 5,
    }
    return action.run(task_vars=variables), read


def test_where_all_hosts_agree_nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    result, read = run(monkeypatch, {"h1": look(GOOD), "h2": look(GOOD)}, {}, look(GOOD))
    assert (read, result["lacking"], result["warnings"], result["digest"]) == ([], [], [], "")


def test_what_the_record_has_goes_to_all_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    result, read = run(monkeypatch, {"h1": look(), "h2": look(GOOD), "h3": look(EVIL)}, KNOWN, look())
    assert read == [{"path": "/etc/trusted.json", "name": "release x"}]
    assert (result["host"], result["wanted"], result["digest"]) == ("h2", GOOD, TREE)
    assert (result["lacking"], result["bytes"]) == (["h1", "h3"], 5)
    assert "h3 has another release x" in result["warnings"][0]


def test_a_digest_of_another_build_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """The record's build is nowhere any more: what the builder has is described there."""
    result, _read = run(monkeypatch, {"h1": look(EVIL), "h2": look()}, KNOWN, look(EVIL))
    assert (result["host"], result["wanted"], result["digest"]) == ("h1", EVIL, "")


def test_without_a_record_the_builder_builds(monkeypatch: pytest.MonkeyPatch) -> None:
    empty = dict.fromkeys(KNOWN, "")
    result, _read = run(monkeypatch, {"h1": look(), "h2": look(EVIL)}, empty, look())
    assert (result["host"], result["builds"], result["wanted"], result["digest"]) == ("h1", True, "", "")
    assert "h1 builds it" in result["warnings"][0]


def test_a_record_that_cannot_be_believed_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = {"failed": True, "msg": "a file that another account may write"}
    result, _read = run(monkeypatch, {"h1": look(), "h2": look(EVIL)}, failed, look())
    assert result == failed


def test_where_nobody_may_build_it_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AnsibleActionFail, match=r"Release x is on h2 \(manifest eeeeeeeeeeee\)"):
        run(monkeypatch, {"h1": look(), "h2": look(EVIL)}, dict.fromkeys(KNOWN, ""), {})
