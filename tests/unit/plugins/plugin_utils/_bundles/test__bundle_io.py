# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bundles that are written, opened, cut short, changed and made by others, as files."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._bundles import _bundle, _bundle_io
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._bundles._bundle import BundleError, Manifest

UV = "0.13.9"
CONTENTS = {
    "tools/uv": b"program",
    "wheels/a.whl": b"a" * 200_000,
    "wheels/b.whl": b"",
    "model/m/\u00e4 b.bin": b"\0\1",
}
MADE = Manifest("vllm_ray.cluster 1.0.0", "cpu", "3.11", "manylinux_2_36_x86_64", UV)


def write(folder: Path, name: str = "b.tar") -> Path:
    sources = {}
    for number, (inside, content) in enumerate(CONTENTS.items()):
        place = folder / "sources" / str(number)
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(content)
        sources[inside] = str(place)
    _bundle_io.write(str(folder / name), MADE, sources, print)
    return folder / name


def unpack(bundle: Path, uv: str = UV) -> tuple[Path, Manifest, bool]:
    directory, manifest, fresh = _bundle_io.unpack(str(bundle), uv, str(bundle.parent / "home"), print)
    return Path(directory), manifest, fresh


def test_what_is_written_comes_out(tmp_path: Path) -> None:
    directory, manifest, fresh = unpack(write(tmp_path))
    assert fresh
    assert {file.path: (directory / file.path).read_bytes() for file in manifest.files} == CONTENTS
    assert os.access(directory / "tools" / "uv", os.X_OK)
    assert not os.access(directory / "wheels" / "a.whl", os.X_OK)
    assert (manifest.uv, manifest.accelerator) == (UV, "cpu")
    assert _bundle_io.read_manifest(str(directory)) == manifest


def test_the_same_contents_give_the_same_bytes(tmp_path: Path) -> None:
    first = write(tmp_path).read_bytes()
    for place in (tmp_path / "sources").iterdir():
        place.chmod(0o600)
        os.utime(place, (1, 1))
    assert write(tmp_path, "again.tar").read_bytes() == first
    assert not (tmp_path / "again.tar.partial").exists()


def test_it_is_unpacked_once(tmp_path: Path) -> None:
    bundle = write(tmp_path)
    directory, _manifest, _fresh = unpack(bundle)
    os.utime(directory / "wheels" / "a.whl", (1, 1))
    assert unpack(bundle)[2] is False
    assert (directory / "wheels" / "a.whl").stat().st_mtime == 1


def test_what_somebody_removed_of_it_is_unpacked_again(tmp_path: Path) -> None:
    bundle = write(tmp_path)
    directory, _manifest, _fresh = unpack(bundle)
    (directory / "wheels" / "a.whl").unlink()
    assert unpack(bundle)[2] is True
    assert (directory / "wheels" / "a.whl").read_bytes() == CONTENTS["wheels/a.whl"]


def test_what_a_killed_run_left_is_no_harm(tmp_path: Path) -> None:
    bundle = write(tmp_path)
    digest = _bundle.digest(_bundle_io.members(str(bundle))[1])[:16]
    (tmp_path / "home" / f"{digest}.partial" / "wheels").mkdir(parents=True)
    (tmp_path / "home" / f"{digest}.partial" / "wheels" / "other.whl").touch()
    directory, _manifest, _fresh = unpack(bundle)
    assert sorted(path.name for path in (directory / "wheels").iterdir()) == ["a.whl", "b.whl"]
    assert sorted(path.name for path in (tmp_path / "home").iterdir()) == [".lock", digest]


def cut(bundle: Path, size: int) -> None:
    with bundle.open("r+b") as stream:
        stream.truncate(size)


@pytest.mark.parametrize("size", [0, 100, 512, 1024, 5000, 150_000, 202_752, 203_000])
def test_a_bundle_that_is_cut_short_is_refused(tmp_path: Path, size: int) -> None:
    bundle = write(tmp_path)
    assert bundle.stat().st_size > size
    cut(bundle, size)
    with pytest.raises(BundleError, match=r"b\.tar: found .* Expected: .* To fix: copy the bundle again"):
        unpack(bundle)
    assert not (tmp_path / "home").exists()


def test_it_may_end_with_zeros_or_without(tmp_path: Path) -> None:
    bundle = write(tmp_path)
    cut(bundle, bundle.stat().st_size - 1024)
    assert unpack(bundle)[2] is True


def test_every_single_changed_byte_of_contents_is_found(tmp_path: Path) -> None:
    bundle = write(tmp_path)
    data = bytearray(bundle.read_bytes())
    at = data.index(b"a" * 100) + 50
    data[at] ^= 1
    bundle.write_bytes(data)
    with pytest.raises(BundleError, match=r"found wheels/a\.whl with 200000 bytes, SHA-256 .* To fix: copy the bundle"):
        unpack(bundle)
    assert [path.name for path in (tmp_path / "home").iterdir() if path.name.count(".") == 0] == []


def test_a_file_that_is_no_tar(tmp_path: Path) -> None:
    (tmp_path / "b.tar").write_text("hello\n" * 1000, encoding="utf-8")
    with pytest.raises(BundleError, match="not a complete tar file"):
        unpack(tmp_path / "b.tar")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no such file"):
        unpack(tmp_path / "b.tar")
    with pytest.raises(BundleError, match="vllm_ray_bundle"):
        unpack(tmp_path)


def other_tar(path: Path, *members: tuple[str, bytes, bytes]) -> None:
    """Write a tar file by hand: name, type and content of its members."""
    with tarfile.open(path, "w") as archive:
        for name, kind, content in members:
            entry = tarfile.TarInfo(name)
            entry.type, entry.size, entry.linkname = kind, len(content), "/etc/passwd"
            archive.addfile(entry, io.BytesIO(content))


def test_a_tar_file_of_something_else(tmp_path: Path) -> None:
    other_tar(tmp_path / "b.tar", ("README", tarfile.REGTYPE, b"x"))
    with pytest.raises(BundleError, match="a tar file that ends with README"):
        unpack(tmp_path / "b.tar")


def test_a_link_is_no_file(tmp_path: Path) -> None:
    empty = _bundle.File("wheels/a.whl", 0, hashlib.sha256(b"").hexdigest())
    manifest = _bundle.dump_manifest(replace(MADE, files=(empty,)))
    other_tar(tmp_path / "b.tar", ("wheels/a.whl", tarfile.SYMTYPE, b""), ("manifest.json", tarfile.REGTYPE, manifest))
    with pytest.raises(BundleError, match=r"found wheels/a\.whl, which is not a file"):
        unpack(tmp_path / "b.tar")


def test_another_uv_is_refused_before_anything_is_unpacked(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="install the collection that is in the bundle"):
        unpack(write(tmp_path), "0.14.0")
    assert not (tmp_path / "home").exists()


def test_another_bundle_than_the_wanted_one_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    bundle = write(tmp_path)
    sha256 = hashlib.sha256(_bundle_io.members(str(bundle))[1]).hexdigest()
    home = tmp_path / "home"
    with pytest.raises(BundleError, match=f"found the SHA-256 {sha256}. Expected: {'0' * 64}"):
        _bundle_io.unpack(str(bundle), UV, str(home), print, "0" * 64)
    assert not home.exists()
    directory, _manifest, _fresh = _bundle_io.unpack(str(bundle), UV, str(home), print, f" {sha256.upper()}\n")
    # Also where another run has unpacked it already.
    with pytest.raises(BundleError, match="SHA-256"):
        _bundle_io.unpack(str(bundle), UV, str(home), print, sha256[:16])
    assert Path(directory).is_dir()


def test_a_changed_file_changes_the_sha256(tmp_path: Path) -> None:
    before = _bundle.digest(_bundle_io.members(str(write(tmp_path)))[1])
    (tmp_path / "sources" / "0").write_bytes(b"another program")
    sources = {name: str(tmp_path / "sources" / str(number)) for number, name in enumerate(CONTENTS)}
    _bundle_io.write(str(tmp_path / "b.tar"), MADE, sources, print)
    assert _bundle.digest(_bundle_io.members(str(tmp_path / "b.tar"))[1]) != before
