# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files for others: what they may hold, and in which order."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base import _report, _report_io
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _settings
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner import _hosts_file
from ansible_collections.vllm_ray.cluster.tests.unit.looks import look


def test_a_plan_holds_no_secret(tmp_path: Path) -> None:
    settings = {"vllm_ray_env": {"AWS_SECRET_ACCESS_KEY": "planted-1"}, "vllm_ray_serve_args": {"api-key": "planted-2"}}
    _report_io.write_json(
        str(tmp_path / "new" / "plan.json"), {"hosts": {"h1": {"settings": settings}}, "proxy": "http://me:planted-3@p"}
    )
    text = (tmp_path / "new" / "plan.json").read_text()
    assert "planted" not in text
    assert "AWS_SECRET_ACCESS_KEY" in text


def test_what_a_pipeline_shows_holds_no_secret_either(tmp_path: Path) -> None:
    """What a command said may stand in a problem, whether it stops the run or not."""
    path = tmp_path / "preflight.xml"
    said = {
        "driver": 'failed: {"api_key": "planted-1", "next": 1}',
        "collective": "Authorization: Bearer planted-2 was refused by http://me:planted-3@192.0.2.1",
    }
    problems = [
        {"host": "h1", "check": check, "severity": severity, "found": found, "wanted": "", "fix": "TOKEN='planted 4'"}
        for (check, found), severity in zip(said.items(), ("error", "info"))
    ]
    checks = [_report.Check(check, "host") for check in said]
    _report_io.write_junit(str(path), problems, checks, strict=False)
    text = path.read_text()
    assert "planted" not in text
    assert "@192.0.2.1" in text
    assert len(ET.fromstring(text).findall(".//failure")) == 1


def test_a_report_keeps_the_head_first(tmp_path: Path) -> None:
    """The first host of a report is the serve host of a plan that is made from it."""
    path = tmp_path / "preflight.json"
    _report_io.write_json(str(path), {"hosts": {"head": look(1, 2), "a": look(2, 2)}})
    settings = _settings.check("-", {"vllm_ray_model": "/m"}).values
    assert [host.name for host in _hosts_file.parse(json.loads(path.read_text()), settings).hosts] == ["head", "a"]
