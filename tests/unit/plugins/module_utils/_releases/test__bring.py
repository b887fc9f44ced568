# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files the controller brings."""

from __future__ import annotations

from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases import _bring
from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases._bring import Item

ITEMS = [Item("a.whl", 3, "aa"), Item("b.whl", 4, "bb"), Item("c.whl", 4, "bb", 0o755)]


def test_what_is_there_with_its_content_is_not_brought() -> None:
    assert _bring.missing(ITEMS, {"a.whl": "aa", "b.whl": "cc", "c.whl": ""}) == ITEMS[1:]


def test_what_is_staged_whole_is_not_sent_again() -> None:
    staged = {ITEMS[0].key: 3, ITEMS[1].key: 2}
    assert _bring.to_send(ITEMS, staged) == ITEMS[1:]


def test_equal_files_are_staged_apart() -> None:
    assert len({item.key for item in ITEMS}) == 3
    assert ITEMS[0].key != Item("a.whl", 3, "ab").key


def test_items_pass_through_a_module() -> None:
    rows: list[_bring.Row] = [
        {"path": item.path, "size": item.size, "sha256": item.sha256, "mode": item.mode} for item in ITEMS
    ]
    assert _bring.parse(rows) == ITEMS
