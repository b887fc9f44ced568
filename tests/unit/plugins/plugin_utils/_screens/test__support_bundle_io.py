# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One file of the parts of all hosts."""

from __future__ import annotations

import base64
import gzip
import io
import tarfile
import tracemalloc
from collections.abc import Iterable
from pathlib import Path

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._redact import Redactor
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._screens import _support_bundle_io


def test_what_a_host_must_not_know_is_taken_out_here(tmp_path: Path) -> None:
    part, bundle = tmp_path / "h1.tar.gz", tmp_path / "bundle.tar.gz"
    with tarfile.open(part, "w:gz") as archive:
        data = "a header with planted-token, \N{EM DASH}\n".encode()
        entry = tarfile.TarInfo("log/node.log")
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
    redactor = Redactor(["planted-token"])
    _support_bundle_io.join(str(bundle), "name", {"MISSING": "nothing\n"}, {"h1": str(part)}, redactor)
    assert bundle.stat().st_mode & 0o777 == 0o600
    with tarfile.open(bundle) as archive:
        texts = {member.name: (archive.extractfile(member) or io.BytesIO()).read().decode() for member in archive}
        assert {member.mode for member in archive} == {0o600}
    assert texts == {
        "name/MISSING": "nothing\n",
        "name/hosts/h1/log/node.log": "a header with [redacted], \N{EM DASH}\n",
    }


def member(name: str, data: bytes = b"x", **change: object) -> tuple[tarfile.TarInfo, bytes]:
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    for key, value in change.items():
        setattr(entry, key, value)
    return entry, data


def part_of(path: Path, members: Iterable[tuple[tarfile.TarInfo, bytes]]) -> str:
    with tarfile.open(path, "w:gz") as archive:
        for entry, data in members:
            archive.addfile(entry, io.BytesIO(data))
    return str(path)


def joined(tmp_path: Path, archive: str, host: str = "h1") -> tuple[list[str], list[str]]:
    """Return the names in a bundle, and what was refused."""
    bundle = tmp_path / "bundle.tar.gz"
    refused = _support_bundle_io.join(str(bundle), "name", {}, {host: archive}, Redactor([]))
    with tarfile.open(bundle) as opened:
        assert all(entry.type == tarfile.REGTYPE for entry in opened)
        return opened.getnames(), refused


@pytest.mark.parametrize(
    "bad",
    [
        member("../../../../home/ann/.ssh/authorized_keys"),
        member("/etc/cron.d/x"),
        member("log/../../x"),
        member("link", b"", type=tarfile.SYMTYPE, linkname="/etc/shadow"),
        member("hard", b"", type=tarfile.LNKTYPE, linkname="good.txt"),
        member("fifo", b"", type=tarfile.FIFOTYPE),
        member("device", b"", type=tarfile.CHRTYPE),
        member("directory", b"", type=tarfile.DIRTYPE),
        member("log/\x1b]0;x\x07"),
        member("good.txt", b"twice"),
        member("large", b"0" * (_support_bundle_io.FILE_BYTES + 1)),
    ],
    ids=lambda bad: bad[0].name[:20],
)
def test_what_no_part_holds_is_left_out_and_said(tmp_path: Path, bad: tuple[tarfile.TarInfo, bytes]) -> None:
    archive = part_of(tmp_path / "h1.tar.gz", [member("good.txt"), bad, member("after.txt")])
    names, refused = joined(tmp_path, archive)
    assert names == ["name/hosts/h1/good.txt", "name/hosts/h1/after.txt", "name/REFUSED"]
    assert len(refused) == 1 and refused[0].startswith("h1: ") and refused[0].isprintable()


@pytest.mark.parametrize("host", ["../h1", "/h1", ".h1", "a/b"])
def test_a_host_has_a_folder_of_its_own(tmp_path: Path, host: str) -> None:
    names, refused = joined(tmp_path, part_of(tmp_path / "h.tar.gz", [member("good.txt")]), host)
    assert refused == [] and len(names) == 1
    assert names[0].startswith("name/hosts/") and names[0].count("/") == 3 and "/." not in names[0]


def zeros(path: Path, gib: int) -> str:
    """Write an archive that claims a file of so many GiB, and has them; it is small on the wire."""
    entry, _data = member("log/zeros", size=gib << 30)
    with gzip.open(path, "wb", compresslevel=1) as stream:
        stream.write(entry.tobuf())
        for _block in range(128):
            stream.write(bytes(1 << 20))
    return str(path)


def test_a_small_archive_stays_small(tmp_path: Path) -> None:
    archive = zeros(tmp_path / "h1.tar.gz", 1)
    tracemalloc.start()
    names, refused = joined(tmp_path, archive)
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert names == ["name/REFUSED"] and refused[-1] == "h1: it unpacks to more than 64 MiB"
    assert peak < 100 * _support_bundle_io.MIB


def test_a_name_of_many_bytes_is_not_read_without_a_limit(tmp_path: Path) -> None:
    entry, data = member("a", b"9" * (100 << 20), type=tarfile.XHDTYPE)
    names, refused = joined(tmp_path, part_of(tmp_path / "h1.tar.gz", [(entry, data)]))
    assert names == ["name/REFUSED"] and refused == ["h1: it unpacks to more than 64 MiB"]


@pytest.mark.parametrize("data", [b"", b"no archive", gzip.compress(b"no tar"), gzip.compress(b"x" * 5000)[:-20]])
def test_what_is_no_archive_ends_no_bundle(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "h1.tar.gz").write_bytes(data)
    names, refused = joined(tmp_path, str(tmp_path / "h1.tar.gz"))
    assert names == ["name/REFUSED"] and "not a readable archive" in refused[0]


def test_many_files_are_too_many(tmp_path: Path) -> None:
    archive = part_of(tmp_path / "h1.tar.gz", (member(f"log/{number}") for number in range(5010)))
    names, refused = joined(tmp_path, archive)
    assert len(names) == 5001 and refused == ["h1: it has more than 5000 files"]


def test_an_archive_is_kept_by_the_name_of_its_host(tmp_path: Path) -> None:
    path = Path(_support_bundle_io.keep(str(tmp_path / "new"), "../h1", base64.b64encode(b"data").decode()))
    assert path.parent == tmp_path / "new" and path.read_bytes() == b"data"
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("archive", [None, 5, ["x"], "no base 64!", "größe"])
def test_what_is_no_text_of_an_archive_is_not_kept(tmp_path: Path, archive: object) -> None:
    with pytest.raises(_support_bundle_io.PartError):
        _support_bundle_io.keep(str(tmp_path), "h1", archive)
