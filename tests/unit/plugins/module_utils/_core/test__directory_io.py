# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done with the entries of an open directory."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _directory_io, _safe_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._unsafe import Unsafe


def test_a_link_is_put_in_place(tmp_path: Path) -> None:
    with _safe_io.open_directory(str(tmp_path)) as folder:
        folder.link("current", "one")
        folder.link("current", "two")
        assert folder.readlink("current") == "two"
        assert folder.names() == ["current"]
        assert folder.readlink("none") is None
        assert folder.lstat("none") is None


def test_removing_goes_into_no_link(shared: Path, tmp_path: Path) -> None:
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "a").write_text("text")
    (shared / "tree" / "b" / "c").mkdir(parents=True)
    (shared / "tree" / "b" / "link").symlink_to(tmp_path / "victim")
    (shared / "tree" / "file").write_text("text")
    with _safe_io.open_directory(str(shared)) as folder:
        assert folder.remove("tree")
        assert not folder.remove("tree")
    assert (tmp_path / "victim" / "a").exists()
    assert not (shared / "tree").exists()
    with pytest.raises(Unsafe, match="expected a file or a link"), _safe_io.open_directory(str(tmp_path)) as folder:
        folder.unlink("victim")


def test_depth_does_not_stop_removing(tmp_path: Path) -> None:
    (tmp_path / "top").mkdir()
    fd = os.open(tmp_path / "top", os.O_RDONLY)
    for _level in range(3000):
        os.mkdir("d", dir_fd=fd)
        deeper = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = deeper
    os.close(fd)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
    try:
        with _safe_io.open_directory(str(tmp_path)) as folder:
            assert folder.remove("top")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert not (tmp_path / "top").exists()


def test_a_sticky_directory_keeps_what_is_ours(tmp_path: Path) -> None:
    open_to_all = tmp_path / "tmp"
    open_to_all.mkdir()
    open_to_all.chmod(0o1777)
    (open_to_all / "ours").mkdir(mode=0o700)
    (open_to_all / "ours" / "real").mkdir()
    (open_to_all / "ours" / "link").symlink_to("real")
    (open_to_all / "link").symlink_to("ours")
    with _safe_io.open_directory(str(open_to_all)) as folder:
        assert folder.exposed
        with folder.enter("ours") as inside:
            assert not inside.exposed
    _safe_io.open_directory(str(open_to_all / "ours" / "link")).close()
    with pytest.raises(Unsafe):
        _safe_io.open_directory(str(open_to_all / "link"))


def test_a_directory_with_too_many_entries_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        (tmp_path / str(number)).touch()
    monkeypatch.setattr(_directory_io, "NAMES_MAXIMUM", 4)
    with _safe_io.open_directory(str(tmp_path)) as folder:
        with pytest.raises(Unsafe, match="more than 4 entries"):
            folder.names()
        folder.clear()
    assert list(tmp_path.iterdir()) == []


def test_errors_have_the_whole_path(tmp_path: Path) -> None:
    with _safe_io.open_directory(str(tmp_path)) as folder:
        with pytest.raises(FileNotFoundError) as error:
            folder.read("none")
        assert error.value.filename == str(tmp_path / "none")
        with pytest.raises(OSError, match="name too long") as long:
            folder.enter("x" * 300, make=0o755)
        assert long.value.filename == str(tmp_path / ("x" * 300))
