# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that come to a directory: all at once, after a run that broke off, damaged on the way."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases import _bring_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases._bring import STAGING, Item

CONTENTS = {"a.whl": b"aaa", "deep/b.whl": b"", "uv": b"program"}
ITEMS = [
    Item(path, len(data), hashlib.sha256(data).hexdigest(), 0o755 if path == "uv" else 0o644)
    for path, data in CONTENTS.items()
]


class Refused(Exception):
    pass


class Module:
    """What of AnsibleModule is needed."""

    def __init__(self, check_mode: bool = False, **params: Any) -> None:
        self.params, self.check_mode = params, check_mode

    def fail_json(self, msg: str) -> None:
        raise Refused(msg)


def call(place: Path, step: str, check_mode: bool = False) -> dict[str, Any]:
    rows = [vars(item) for item in ITEMS]
    module: Any = Module(check_mode, step=step, path=str(place), files=rows, account=os.getuid())
    return _bring_io.Bring(module)()


def send(place: Path, paths: list[str], **other: bytes) -> None:
    """Do what the controller does between the two steps; other: content that arrives in place of the right one."""
    for item in ITEMS:
        if item.path in paths:
            (place / STAGING / item.key).write_bytes(other.get(item.path.split(".")[0], CONTENTS[item.path]))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "not yet" / "wheels"


def test_all_of_it_arrives(place: Path) -> None:
    staged = call(place, "stage")
    assert (staged["changed"], sorted(staged["send"])) == (True, sorted(CONTENTS))
    assert staged["staging"] == str(place / STAGING)
    send(place, staged["send"])
    assert call(place, "install")["bad"] == []
    assert {path: (place / path).read_bytes() for path in CONTENTS} == CONTENTS
    assert [(place / name).stat().st_mode & 0o777 for name in ("a.whl", "uv")] == [0o644, 0o755]
    assert not (place / STAGING).exists()
    assert call(place, "stage")["changed"] is False


def test_others_may_go_through_whatever_the_umask_says(place: Path) -> None:
    """What holds the bundle's files also holds releases, which another account runs."""
    before = os.umask(0o077)
    try:
        send(place, call(place, "stage")["send"])
        assert (place / STAGING).stat().st_mode & 0o777 == 0o700
        call(place, "install")
    finally:
        os.umask(before)
    assert [path.stat().st_mode & 0o777 for path in (place.parent, place, place / "deep")] == [0o755] * 3


def test_what_is_staged_whole_is_not_asked_for_again(place: Path) -> None:
    send(place, call(place, "stage")["send"], uv=b"pro")
    assert call(place, "stage")["send"] == ["uv"]


def test_what_arrived_damaged_gets_no_name(place: Path) -> None:
    send(place, call(place, "stage")["send"], a=b"aab")
    assert call(place, "install")["bad"] == ["a.whl"]
    assert not (place / "a.whl").exists()
    assert (place / "uv").read_bytes() == b"program"
    assert call(place, "stage")["send"] == ["a.whl"]


def test_a_file_with_other_content_is_brought_again(place: Path) -> None:
    send(place, call(place, "stage")["send"])
    call(place, "install")
    (place / "a.whl").write_bytes(b"aab")
    assert call(place, "stage")["send"] == ["a.whl"]


def test_check_mode_leaves_the_host_as_it_is(place: Path) -> None:
    told = call(place, "stage", check_mode=True)
    assert (told["changed"], told["send"]) == (True, [])
    assert not place.exists()


def test_too_little_room_is_said_before_anything_is_sent(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_bring_io.Bring, "free", lambda self: 5)
    with pytest.raises(Refused, match=r"0\.0 GB free in .* vllm_ray_root"):
        call(place, "stage")
