# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.vllm_ray.cluster.plugins.filter.unit_confinement import FilterModule

FACTS = {
    "steps": ["files"],
    "accelerator": "cpu",
    "config_dir": "/etc/vllm-ray/c",
    "state_dir": "/var/lib/vllm-ray/c",
    "read_paths": ["/srv/a b"],
    "write_paths": [],
    "env": {},
}
unit_confinement: Any = FilterModule().filters()["unit_confinement"]


def test_it_returns_directives() -> None:
    lines = unit_confinement(FACTS)
    assert {"NoNewPrivileges=yes", "BindPaths=/var/lib/vllm-ray/c"} < set(lines)


def test_a_path_that_does_not_fit_is_an_error_of_the_filter() -> None:
    with pytest.raises(AnsibleFilterError, match="can't be used in a systemd unit"):
        unit_confinement({**FACTS, "read_paths": ["/tmp/a b"]})
