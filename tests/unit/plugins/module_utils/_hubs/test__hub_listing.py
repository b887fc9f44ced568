# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs import _hub_listing
from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs._hub_listing import File


@pytest.mark.parametrize(
    ("patterns", "left"),
    [
        pytest.param([], ["Model.PTH", "a.pth", "original/x.json"], id="nothing"),
        pytest.param(["*.pth"], ["Model.PTH", "original/x.json"], id="by its end"),
        pytest.param(["*x.json"], ["Model.PTH", "a.pth"], id="through slashes"),
    ],
)
def test_hidden_files_and_those_left_out_do_not_come(patterns: list[str], left: list[str]) -> None:
    files = [File(name, 1) for name in (".gitattributes", "Model.PTH", "a.pth", "original/.x", "original/x.json")]
    assert [file.path for file in _hub_listing.chosen(files, patterns)] == left


@pytest.mark.parametrize("path", ["", "/a", "a//b", "a/../b", "./a", "a\0"])
def test_a_name_that_leads_out_of_the_directory(path: str) -> None:
    with pytest.raises(ValueError, match="is not a file name"):
        _hub_listing.check_path(path)


def test_hashes_are_those_of_git_and_of_the_content() -> None:
    # git hash-object of a file with "hello\n" (git 2.39).
    for file in (
        File("a", 6, "", "ce013625030ba8dba906f756967f9e9ca394464a"),
        File("a", 6, "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"),
    ):
        total, wanted = _hub_listing.hasher(file)
        total.update(b"hello\n")
        assert total.hexdigest() == wanted
    assert _hub_listing.hasher(File("a", 6))[1] == ""
