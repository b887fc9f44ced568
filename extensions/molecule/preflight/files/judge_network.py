# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read {host: answer of network_check} and print {lines, problems} as JSON."""

from __future__ import annotations

import json
import sys

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks import _network_checks

answers = json.load(sys.stdin)
problems = _network_checks.network_problems(answers, managed="managed" in sys.argv)
lines = _network_checks.matrix_lines(answers)
print(json.dumps({"lines": lines, "problems": [problem.as_dict() for problem in problems]}))
