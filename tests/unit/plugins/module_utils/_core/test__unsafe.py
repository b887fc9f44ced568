# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How what may not be used is named, and what an account may do by a mode."""

from __future__ import annotations

import os
import stat

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _unsafe
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._unsafe import Account, Unsafe


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a b", "a b"),
        ("\udcff", r"\udcff"),
        ("a\n\x1b[2J", r"a\n\x1b[2J"),
        ("x" * 401, "x" * 400 + "..."),
    ],
)
def test_a_terminal_obeys_no_name(text: str, shown: str) -> None:
    assert _unsafe.shown(text) == shown


@pytest.mark.parametrize(
    ("path", "fix"),
    [
        ("/srv/a", "move it away: mv -T /srv/a /srv/a.aside"),
        ("/srv/a b", "move it away: mv -T '/srv/a b' '/srv/a b.aside'"),
        ("/dev/a", "set another path"),
    ],
)
def test_a_refusal_says_how_to_go_on(path: str, fix: str) -> None:
    assert str(Unsafe(path, "a FIFO", "a file")) == f"{path} is a FIFO; expected a file. To fix it, {fix}"
    assert str(Unsafe(path, "a FIFO", "a file", "wait")).endswith("To fix it, wait")


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        (stat.S_IFREG | 0o644, "a file"),
        (stat.S_IFDIR | 0o755, "a directory"),
        (stat.S_IFLNK | 0o777, "a symbolic link"),
        (stat.S_IFIFO, "a FIFO"),
        (stat.S_IFSOCK, "a socket"),
        (stat.S_IFBLK, "a device"),
    ],
)
def test_kinds(mode: int, kind: str) -> None:
    assert _unsafe.kind_of(mode) == kind


@pytest.mark.parametrize(
    ("account", "may"),
    [
        pytest.param(Account(0), True, id="root"),
        pytest.param(Account(1), True, id="the owner"),
        pytest.param(Account(2, frozenset({5})), True, id="of the group"),
        pytest.param(Account(2), False, id="another one"),
        pytest.param(Account(), False, id="one that does not exist yet"),
    ],
)
def test_what_an_account_may_read(account: Account, may: bool) -> None:
    status = os.stat_result((stat.S_IFREG | 0o640, 1, 1, 1, 1, 5, 0, 0, 0, 0))
    assert account.may(status, 4) is may
    assert not account.may(status, 1) or account.uid == 0


def test_the_owner_gets_the_rights_of_the_owner_alone() -> None:
    status = os.stat_result((stat.S_IFREG | 0o044, 1, 1, 1, 1, 5, 0, 0, 0, 0))
    assert not Account(1, frozenset({5})).may(status, 4)
    assert Account().may(status, 4)
