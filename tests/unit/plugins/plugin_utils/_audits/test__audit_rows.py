# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.vllm_ray.cluster.plugins.module_utils._audits import _audit, _audit_io
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._audits import _audit_rows
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._audits._audit_rows import ROWS
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _confinement


def test_each_row_says_everything() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS) > 25
    assert [row.name for row in ROWS if len(row.expected) < 25 or len(row.fix) < 20] == []
    assert {row.severity for row in ROWS} == {"error", "warning"}


def test_each_row_that_is_asked_inside_has_its_probe() -> None:
    assert {row.name for row in ROWS if row.asked == _audit_rows.INSIDE} == set(_audit_io.ROWS)
    assert sorted(row.asked for row in ROWS if row.asked != _audit_rows.INSIDE) == [
        "outside",
        "peers",
        "rules",
        "settings",
    ]


def test_what_an_audit_expects_of_units_is_always_in_them() -> None:
    assert [f"{key}={value}" for key, value in _audit.UNIT.items() if f"{key}={value}" not in _confinement.ALWAYS] == []


def test_rows_by_what_a_host_is() -> None:
    def names(is_head: bool, serves: bool, *off: str) -> set[str]:
        return {row.name for row in _audit_rows.rows_of(is_head, serves, off)}

    worker = names(False, False)
    assert names(True, False) - worker == {"dashboard"}
    assert names(False, True) - worker == {"api", "tls"}
    assert worker - names(False, False, "audit_kernel", "audit_firewall", "mtu") == {"kernel", "firewall"}
    # Names of checks, which are off there alone.
    assert worker == names(False, False, "account", "firewall", "release")
