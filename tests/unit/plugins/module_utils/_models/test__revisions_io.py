# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Revisions of a model on a host, here a folder, and what uses them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._models import _revisions_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees import _tree, _tree_io


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """Five revisions, the fifth of which somebody else made, and a download that goes on."""
    for number in range(1, 6):
        path = tmp_path / "models" / f"c{number}"
        path.mkdir(parents=True)
        (path / "config.json").write_text("{}")
        os.utime(path, (number, number))
        if number < 5:
            _tree_io.write_record(str(tmp_path / "records"), _tree.Record(str(path), made=True))
    (tmp_path / "models" / ".c6.part").mkdir()
    return tmp_path


def prune(host: Path, dry: bool = False, **given: Any) -> list[str]:
    options = _revisions_io.Options(str(host / "models" / "c4"), "default", [], [], 0, str(host / "records"))
    result = _revisions_io.prune(options._replace(**given), dry)
    assert result.changed == bool(result.removed)
    return [Path(path).name for path in result.removed]


def left(host: Path) -> list[str]:
    return sorted(path.name for path in (host / "models").iterdir())


def test_a_dry_run_says_what_goes(host: Path) -> None:
    assert prune(host, dry=True) == ["c3", "c2", "c1"]
    assert left(host) == [".c6.part", "c1", "c2", "c3", "c4", "c5"]
    assert not (host / "records" / "used-by-default.json").exists()


def test_old_ones_go_with_their_records(host: Path) -> None:
    assert prune(host, keep=1) == ["c2", "c1"]
    assert left(host) == [".c6.part", "c3", "c4", "c5"]
    kept = [_tree.record_name(str(host / "models" / name)) for name in ("c3", "c4")]
    assert sorted(path.name for path in (host / "records").iterdir()) == sorted([*kept, "used-by-default.json"])
    assert prune(host, keep=1) == []


def test_what_is_used_stays(host: Path) -> None:
    (host / "etc" / "other").mkdir(parents=True)
    config = host / "etc" / "other" / "serve-main.yaml"
    config.write_text(json.dumps({"model": str(host / "models" / "c1")}))
    # Another cluster that runs here, and whose engine is served elsewhere.
    prune(host, cluster="second", path=str(host / "models" / "c2"), keep=-1)
    found = prune(host, in_use=[str(host / "models" / "c3")], configs=[str(host / "etc" / "*" / "serve-*.yaml")])
    assert found == []
    assert prune(host, configs=[str(host / "etc" / "*" / "serve-*.yaml")]) == ["c3"]
    assert prune(host) == ["c1"]
    # A run on some hosts only adds to what is noted: it does not know what the others use.
    prune(host, cluster="second", path=str(host / "models" / "c4"), keep=-1)
    assert prune(host) == []
    prune(host, cluster="second", path=str(host / "models" / "c4"), keep=9)
    assert prune(host) == ["c2"]
    assert left(host) == [".c6.part", "c4", "c5"]
