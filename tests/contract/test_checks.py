# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Laws over the checks of preflight."""

from __future__ import annotations

import re

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks import _registry
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks._check import STAGES
from ansible_collections.vllm_ray.cluster.tests.contract import walk


def test_troubleshooting_lists_all_checks_in_their_order() -> None:
    text = (walk.ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    section = re.split(r"(?m)^## ", text.partition("\n## All checks\n")[2])[0]
    listed = re.findall(r"(?m)^\| `(\w+)` \| (\w+) \| \S.* \|$", section)
    needs = _registry.names()
    assert listed == [(name, stage) for stage in STAGES for name in needs if needs[name].stage == stage]
