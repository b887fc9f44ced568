# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""tree_sync as several processes, each a host with a loopback address and a disk of its own: what goes well, and what
doesn't. Rates are limited, so that there is a middle in which to break something."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import http.client
import itertools
import json
import os
import random
import shutil
import stat
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _folders_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._net import _network
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees import (
    _store_io,
    _tree,
    _tree_io,
    _tree_sync,
    _tree_sync_io,
    _tree_sync_line_io,
    _tree_sync_server_io,
)

ROOT = Path(__file__).resolve().parents[2]
MODULE = "ansible_collections.vllm_ray.cluster.plugins.modules.tree_sync"
MIB = 1024**2
LONGEST = 60
# Each test has addresses of its own.
NETS = itertools.count(os.getpid() % 200 * 250)


class Cluster:
    """Some hosts: folders with a tree and records in each. hosts: what the module gets."""

    def __init__(self, folder: Path, count: int) -> None:
        net = next(NETS)
        self.folder = folder
        self.names = [f"h{number}" for number in range(1, count + 1)]
        self.hosts = [
            {"name": name, "address": f"127.{1 + net // 250 % 250}.{net % 250}.{number}"}
            for number, name in enumerate(self.names, 1)
        ]
        self.running: dict[str, subprocess.Popen[str]] = {}
        self.runs = itertools.count()
        for name in self.names:
            (folder / name).mkdir()

    def tree(self, name: str) -> Path:
        return self.folder / name / "tree"

    def records(self, name: str) -> Path:
        return self.folder / name / "records"

    def start(self, name: str, /, **options: Any) -> subprocess.Popen[str]:
        """Start the module on a host."""
        options = {"path": str(self.tree(name)), "record_directory": str(self.records(name)), **options}
        process = subprocess.Popen(
            [sys.executable, "-m", MODULE],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdin
        process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": options}))
        process.stdin.close()
        process.stdin = None
        self.running[name] = process
        return process

    def end(self, name: str) -> dict[str, Any]:
        """Wait for the module on a host and return what it says."""
        output, errors = self.running.pop(name).communicate(timeout=LONGEST)
        assert output, errors
        return json.loads(output)

    def describe(self, name: str = "h1") -> str:
        """Return the digest of a host's tree."""
        self.start(name, state="described")
        return self.end(name)["digest"]

    def begin(self, digest: str, names: list[str] | None = None, **options: Any) -> None:
        """Start a run on some hosts, or on all."""
        token = options.pop("token", f"{os.getpid()} {next(self.runs)} {time.time()}")
        for name in names or self.names:
            common = {"hosts": self.hosts, "name": name, "token": token, "digest": digest, "reserve_gib": 0}
            self.start(name, **{**common, **options})

    def sync(self, digest: str, **options: Any) -> dict[str, dict[str, Any]]:
        """Make a whole run that goes well, and return what each host says."""
        self.begin(digest, **options)
        results = {name: self.end(name) for name in list(self.running)}
        failed = {name: result["msg"] for name, result in results.items() if result.get("failed")}
        assert not failed, failed
        return results

    def host(self, name: str, digest: str, **options: Any) -> _tree_sync_io.Host:
        """Return one of the first two hosts, to run in this process."""
        common = {"hosts": self.hosts[:2], "name": name, "token": str(self.folder), "digest": digest}
        times = {"window": 10, "grace": 30, "patience": 2, "limit_mbit": 0, "reserve_gib": 0}
        places = {"path": str(self.tree(name)), "record_directory": str(self.records(name))}
        return _tree_sync_io.Host({**common, **times, **places, "depth": "quick", "replace": False, **options})

    def describe_here(self) -> str:
        """Return the digest of the first host's tree, by this process."""
        return _tree.digest(_tree.dump(_tree_io.look(str(self.tree("h1")), _tree.Record("")).manifest()))

    def until(self, name: str, size: int) -> None:
        """Wait until some bytes of the wanted tree are in a host's staging directory."""
        staging = self.folder / name / f".tree{_folders_io.STAGING}"
        wait(lambda: sum(path.stat().st_blocks * 512 for path in staging.rglob("*") if path.is_file()) > size)

    def assert_equal(self, *names: str) -> None:
        """Look that the trees of hosts are equal, and that nothing but trees and records is left."""
        for name in names or self.names:
            assert contents(self.tree(name)) == contents(self.tree("h1"))
            assert sorted(path.name for path in (self.folder / name).iterdir()) == ["records", "tree"]


def wait(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + LONGEST
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            if condition():
                return
        time.sleep(0.02)
    raise AssertionError("it did not come to that")


def contents(tree: Path) -> dict[bytes, tuple[int, bytes]]:
    """Return all names of a tree with type, mode and content. It shares no code with what it tests."""
    found = {}
    for folder, folders, files in os.walk(os.fsencode(tree)):
        for name in [*folders, *files]:
            path = os.path.join(folder, name)
            status = os.lstat(path)
            content = b""
            if stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            elif stat.S_ISREG(status.st_mode):
                content = Path(os.fsdecode(path)).read_bytes()
            found[os.path.relpath(path, os.fsencode(tree))] = (status.st_mode, content)
    return found


def grow(tree: Path, seed: int = 1, size: int = 4 * MIB) -> None:
    """Make a tree of a large file, a smaller one and some small ones."""
    chance = random.Random(seed)
    (tree / "parts").mkdir(parents=True)
    (tree / "large").write_bytes(chance.randbytes(size))
    (tree / "medium").write_bytes(chance.randbytes(size // 4 + 1))
    for number in range(20):
        (tree / "parts" / str(number)).write_bytes(chance.randbytes(chance.randint(1, 3000)))


def spoil(path: Path, at: int) -> None:
    """Change one byte of a file, and put its times back."""
    status = path.stat()
    with path.open("r+b") as stream:
        stream.seek(at)
        byte = stream.read(1)
        stream.seek(at)
        stream.write(bytes([byte[0] ^ 1]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@contextlib.contextmanager
def dropped(*kinds: str) -> Iterator[None]:
    """Lose packets of this machine."""
    table = f"ip cut{os.getpid()}"
    rules = f"add table {table}; add chain {table} c {{ type filter hook output priority 0; }}; " + "; ".join(
        f"add rule {table} c {kind} drop" for kind in kinds
    )
    subprocess.run(["nft", rules], check=True)
    try:
        yield
    finally:
        subprocess.run(["nft", "delete", "table", *table.split()], check=True)


class Disk:
    """A file system of its own, of some MiB, whose power can be cut: what was not written to it by then is lost."""

    # Of linux/ext4.h: EXT4_IOC_SHUTDOWN, and its flag that not even the journal is written any more.
    SHUTDOWN, NO_LOG_FLUSH = 0x8004587D, 2
    # CLONE_NEWNS of linux/sched.h.
    NEW_MOUNTS = 0x00020000

    def __init__(self, place: Path, mib: int) -> None:
        self.place, self.image, self.mib = place, place.with_name(f"{place.name}.ext4"), mib

    def __enter__(self) -> Disk:
        # Namespaces that others make meanwhile would keep copies of a mount, and the next mount would get the file
        # system without power that they still hold.
        if ctypes.CDLL(None, use_errno=True).unshare(self.NEW_MOUNTS):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        with self.image.open("wb") as stream:
            stream.truncate(self.mib * MIB)
        subprocess.run(["mkfs.ext4", "-q", self.image], check=True)
        # One device for all mounts: what an old one still holds would be written over what a new one wrote.
        losetup = ["losetup", "--find", "--show", str(self.image)]
        self.device = subprocess.run(losetup, check=True, capture_output=True, text=True).stdout.strip()
        self.mount()
        return self

    def mount(self) -> None:
        if os.path.ismount(self.place):
            subprocess.run(["umount", self.place], check=True)
        subprocess.run(["mount", "-o", "commit=1", self.device, self.place], check=True)

    def cut_power(self) -> None:
        at = os.open(self.place, os.O_RDONLY)
        try:
            fcntl.ioctl(at, self.SHUTDOWN, struct.pack("I", self.NO_LOG_FLUSH))
        finally:
            os.close(at)

    def __exit__(self, *_error: object) -> None:
        subprocess.run(["umount", "--lazy", self.place], check=True)
        subprocess.run(["losetup", "--detach", self.device], check=True)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path, 3)
    grow(made.tree("h1"))
    yield made
    for process in made.running.values():
        process.kill()
        process.communicate()


def test_a_tree_is_the_same_everywhere_whatever_is_in_it(tmp_path: Path) -> None:
    cluster, chance = Cluster(tmp_path, 4), random.Random(2)
    tree = cluster.tree("h1")
    grow(tree, size=MIB)
    for name in (b"with space", "ümläut".encode(), b"line\nend", b"no\xe4utf8", b"-dash", b"quo'te\"s"):
        Path(os.fsdecode(os.path.join(os.fsencode(tree), name))).write_bytes(chance.randbytes(100))
    for number in range(2000):
        (tree / "parts" / f"small {number}").write_bytes(chance.randbytes(number % 50))
    deep = tree.joinpath(*("d" * 200))
    deep.mkdir(parents=True)
    (deep / "deepest").write_bytes(b"there")
    (tree / "void").mkdir()
    (tree / "empty").touch()
    (tree / "program").write_bytes(b"#!/bin/sh\n")
    (tree / "program").chmod(0o755)
    (tree / "closed").mkdir()
    (tree / "closed" / "inside").write_bytes(b"inside")
    (tree / "closed").chmod(0o555)
    (tree / "link").symlink_to("large")
    (tree / "dangling").symlink_to("no where")
    (tree / "folder").symlink_to("parts")
    (tree / "bin").mkdir()
    (tree / "bin" / "python").symlink_to("/usr/bin/python3.11")
    (tree / "bin" / "python3").symlink_to("python")
    digest = cluster.describe()
    results = cluster.sync(digest)
    cluster.assert_equal()
    assert {name: result["changed"] for name, result in results.items()} == {
        "h1": False,
        "h2": True,
        "h3": True,
        "h4": True,
    }
    assert {cluster.describe(name) for name in cluster.names} == {digest}
    again = cluster.sync(digest)
    assert not any(result["changed"] or result["received_bytes"] or result["hashed_bytes"] for result in again.values())


def test_a_sparse_file_takes_no_room(cluster: Cluster) -> None:
    sparse = cluster.tree("h1") / "sparse"
    with sparse.open("wb") as stream:
        stream.write(b"begin")
        stream.truncate(200 * MIB)
    results = cluster.sync(cluster.describe())
    cluster.assert_equal()
    assert (cluster.tree("h2") / "sparse").stat().st_blocks * 512 < MIB
    # Requests that were under way when the first piece of zeros came bring some more.
    assert results["h2"]["received_bytes"] < 10 * MIB < 200 * MIB < results["h2"]["bytes"]


def test_what_was_staged_of_a_longer_file_is_cut_off(cluster: Cluster) -> None:
    """As a disk that became full leaves it: as long as it was to become, and without content."""
    digest = cluster.describe()
    staged = cluster.folder / "h2" / f".tree{_folders_io.STAGING}" / "tree" / "large"
    staged.parent.mkdir(parents=True)
    with staged.open("wb") as stream:
        stream.truncate(9 * MIB)
    cluster.sync(digest)
    cluster.assert_equal()


def test_only_what_changed_is_sent(cluster: Cluster) -> None:
    # What is made in a directory that was empty, such as a mount, is the module's own, too.
    cluster.tree("h3").mkdir()
    cluster.sync(cluster.describe())
    tree = cluster.tree("h1")
    spoil(tree / "large", MIB)
    shutil.move(tree / "medium", tree / "parts" / "moved")
    (tree / "parts" / "7").unlink()
    (tree / "parts" / "8").unlink()
    (tree / "parts" / "8").mkdir()
    (tree / "parts" / "9").chmod(0o600)
    results = cluster.sync(cluster.describe())
    cluster.assert_equal()
    for name in ("h2", "h3"):
        assert results[name]["received_bytes"] == _tree.SMALLEST
        assert results[name]["changed"]
    unchanged = cluster.tree("h2") / "parts" / "1"
    assert unchanged.stat().st_nlink == 1


def test_equal_pieces_that_two_workers_ask_for_are_not_wrong(cluster: Cluster) -> None:
    chance = random.Random(6)
    for number in range(2000):
        content = b"the same" if number % 2 else chance.randbytes(50)
        (cluster.tree("h1") / "parts" / f"{number} more").write_bytes(content)
    results = cluster.sync(cluster.describe())
    assert not any(result["wrong"] for result in results.values())
    # And as one after the other, whatever the workers did.
    manifest = _tree_io.look(str(cluster.tree("h1")), _tree.Record("", False, 0, {})).manifest()
    place = cluster.folder / "h2" / "again"
    store = _store_io.Store(str(place), manifest, _tree_io.look(str(place), _tree.Record("", False, 0, {})))
    store.prepare(None)
    first, second = next(numbers for numbers in manifest.twins().values() if len(numbers) > 900)[:2]
    assert store.put(first, b"the same") == store.put(second, b"the same") == store.have
    assert store.put(second, b"another!") == 0


def test_one_changed_byte_on_a_host_is_found_and_mended(cluster: Cluster) -> None:
    digest = cluster.describe()
    cluster.sync(digest)
    spoil(cluster.tree("h2") / "large", 3 * MIB)
    results = cluster.sync(digest)
    cluster.assert_equal()
    assert {name: result["received_bytes"] for name, result in results.items()} == {
        "h1": 0,
        "h2": _tree.SMALLEST,
        "h3": 0,
    }


def test_of_a_plain_tree_only_content_counts(cluster: Cluster) -> None:
    """As of a hub's cache: a snapshot of links into a store of blobs, with names of tools."""
    snapshot, blobs = cluster.folder / "h1" / "snapshot", cluster.tree("h1")
    (snapshot / "sub").mkdir(parents=True)
    (snapshot / "void").mkdir()
    (snapshot / ".cache").write_text("a tool's")
    (snapshot / "model").symlink_to("../tree/large")
    (snapshot / "sub" / "part").symlink_to("../../tree/parts/3")
    (blobs / "large").chmod(0o600)
    (snapshot / "sub" / "again").symlink_to("..")
    cluster.start("h1", state="described", path=str(snapshot), plain=True)
    digest = cluster.end("h1")["digest"]
    other = cluster.tree("h2")
    (other / "sub" / ".hidden").mkdir(parents=True)
    (other / "old" / "older").mkdir(parents=True)
    (other / "old" / "stale").write_text("stale")
    (other / "old" / ".keep").write_text("not ours")
    (other / "void").mkdir()
    token = "plain"
    for name in cluster.names:
        path = str(snapshot if name == "h1" else cluster.tree(name))
        options: dict[str, Any] = {"hosts": cluster.hosts, "name": name, "token": token, "digest": digest}
        cluster.start(name, **options, reserve_gib=0, plain=True, path=path, replace=True)
    results = {name: cluster.end(name) for name in cluster.names}
    assert {name: result["changed"] for name, result in results.items()} == {"h1": False, "h2": True, "h3": True}
    assert contents(cluster.tree("h3")) == {
        b"model": (stat.S_IFREG | 0o644, (blobs / "large").read_bytes()),
        b"sub": (stat.S_IFDIR | 0o755, b""),
        b"sub/part": (stat.S_IFREG | 0o644, (blobs / "parts" / "3").read_bytes()),
    }
    # What does not count is left alone, also where what counts goes.
    left = {path.relative_to(other).as_posix() for path in other.rglob("*")}
    assert left == {"model", "sub", "sub/part", "sub/.hidden", "old", "old/.keep", "old/older", "void"}
    for name in ("h2", "h3"):
        cluster.start(name, state="described", plain=True)
        found = cluster.end(name)
        assert (found["digest"], found["hashed_bytes"], found["files"]) == (digest, 0, 2)


def test_a_host_that_has_the_tree_in_another_place_copies_it(cluster: Cluster) -> None:
    other = cluster.folder / "h1" / "other"
    shutil.move(cluster.tree("h1"), other)
    cluster.start("h1", state="described", path=str(other))
    digest = cluster.end("h1")["digest"]
    cluster.begin(digest, copy_from=str(other))
    results = {name: cluster.end(name) for name in cluster.names}
    assert results["h1"]["received_bytes"] == 0
    assert results["h1"]["found_bytes"] == results["h1"]["bytes"]
    assert contents(cluster.tree("h1")) == contents(other)
    shutil.rmtree(other)
    cluster.assert_equal()
    # After the end, a request for the progress gets the answer that the run has ended.
    for name in cluster.names:
        assert _tree_io.read_progress(str(cluster.records(name)), str(cluster.tree(name)))["hosts"] == {}


def test_what_is_behind_a_link_is_no_part_of_a_plain_tree(cluster: Cluster) -> None:
    digest = cluster.sync(plain_digest(cluster), plain=True)["h1"]["digest"]
    place = cluster.folder / "elsewhere"
    shutil.copytree(cluster.tree("h2") / "parts", place)
    before = contents(place)
    (cluster.tree("h2") / "more").symlink_to(place)
    assert cluster.sync(digest, plain=True)["h2"]["changed"]
    assert not (cluster.tree("h2") / "more").is_symlink()
    # A name of the tree that is behind a link is right as long as its content is.
    shutil.rmtree(cluster.tree("h2") / "parts")
    (cluster.tree("h2") / "parts").symlink_to(place)
    assert not cluster.sync(digest, plain=True)["h2"]["changed"]
    (cluster.tree("h1") / "parts" / "3").write_text("another content")
    (cluster.tree("h1") / "large").unlink()
    cluster.begin(plain_digest(cluster), plain=True)
    results = {name: cluster.end(name) for name in cluster.names}
    assert f"{cluster.tree('h2')}/parts is a link to {place}, and parts/3" in results["h2"]["msg"]
    assert (cluster.tree("h2") / "large").exists()
    assert contents(place) == before
    assert contents(cluster.tree("h3")) == contents(cluster.tree("h1"))


def plain_digest(cluster: Cluster) -> str:
    cluster.start("h1", state="described", plain=True)
    return cluster.end("h1")["digest"]


def rot(cluster: Cluster, name: str, file: str, at: int) -> None:
    """Change a byte so that the file system gives no sign of it: as if the record had been made after that."""
    path = cluster.tree(name) / file
    spoil(path, at)
    directory, tree = str(cluster.records(name)), str(cluster.tree(name))
    record = _tree_io.read_record(directory, tree)
    known = _tree.Known(_tree_io.state_of(path.stat()), record.files[file].text)
    _tree_io.write_record(directory, _tree.Record(tree, record.made, record.piece, {**record.files, file: known}))


def test_silent_rot_is_found_by_the_full_look_only(cluster: Cluster) -> None:
    digest = cluster.describe()
    cluster.sync(digest)
    rot(cluster, "h3", "large", 5)
    assert not cluster.sync(digest)["h3"]["changed"]
    results = cluster.sync(digest, depth="full")
    assert results["h3"]["received_bytes"] == _tree.SMALLEST
    cluster.assert_equal()


def test_a_source_that_gives_other_bytes_is_named_and_another_one_helps(cluster: Cluster) -> None:
    digest = cluster.describe()
    cluster.sync(digest)
    shutil.rmtree(cluster.tree("h3"))
    # Everywhere, since either source may be asked for any piece; slowly, so that both are asked.
    for at in range(0, 4 * MIB, MIB // 4):
        rot(cluster, "h2", "large", at)
    result = cluster.sync(digest, limit_mbit=32)["h3"]
    assert result["wrong"] == {"h2": ["large"]}
    assert contents(cluster.tree("h3")) == contents(cluster.tree("h1"))


def test_a_piece_that_nobody_has_whole_is_an_error_that_names_it(cluster: Cluster) -> None:
    digest = cluster.describe()
    rot(cluster, "h1", "large", 0)
    cluster.begin(digest, patience=2)
    results = {name: cluster.end(name) for name in cluster.names}
    for name in ("h2", "h3"):
        assert results[name]["failed"]
        assert not cluster.tree(name).exists()
    assert any("h1: large" in results[name]["msg"] for name in ("h2", "h3")), results


def test_a_receiver_that_is_killed_goes_on_where_it_was(cluster: Cluster) -> None:
    digest = cluster.describe()
    cluster.begin(digest, limit_mbit=16, grace=1)
    cluster.until("h2", 2 * MIB)
    cluster.running["h2"].kill()
    cluster.running.pop("h2").communicate()
    assert not cluster.tree("h2").exists()
    results = {name: cluster.end(name) for name in ("h1", "h3")}
    assert results["h3"]["absent"] == ["h2"]
    cluster.assert_equal("h1", "h3")
    result = cluster.sync(digest)["h2"]
    cluster.assert_equal()
    assert 0 < result["received_bytes"] < 3.5 * MIB < result["bytes"]


def test_without_its_source_a_run_ends_with_an_error_and_the_old_trees(cluster: Cluster) -> None:
    cluster.sync(cluster.describe())
    old = contents(cluster.tree("h2"))
    (cluster.tree("h1") / "large").write_bytes(random.Random(9).randbytes(4 * MIB))
    digest = cluster.describe()
    cluster.begin(digest, limit_mbit=16, patience=3)
    inside = cluster.tree("h2") / _folders_io.STAGING / "tree" / "large"
    wait(lambda: inside.stat().st_blocks * 512 > 2 * MIB)
    cluster.running["h1"].kill()
    cluster.running.pop("h1").communicate()
    for name in ("h2", "h3"):
        result = cluster.end(name)
        assert result["failed"]
        assert "Not reachable: h1" in result["msg"]
        shutil.copytree(cluster.tree(name) / _folders_io.STAGING, cluster.folder / f"kept {name}")
        shutil.rmtree(cluster.tree(name) / _folders_io.STAGING)
        assert contents(cluster.tree(name)) == old
        shutil.move(cluster.folder / f"kept {name}", cluster.tree(name) / _folders_io.STAGING)
    results = cluster.sync(digest)
    cluster.assert_equal()
    assert results["h2"]["received_bytes"] < 2.5 * MIB


@needs_root
def test_a_network_cut_of_20_s_costs_no_more_than_that(cluster: Cluster) -> None:
    digest = cluster.describe()
    began = time.monotonic()
    cluster.begin(digest, limit_mbit=16)
    cluster.until("h3", MIB)
    with dropped(*(f"ip {end} {cluster.hosts[0]['address']}" for end in ("saddr", "daddr"))):
        time.sleep(20)
        assert not cluster.tree("h3").exists()
    results = {name: cluster.end(name) for name in cluster.names}
    assert not any(result.get("failed") or result["absent"] for result in results.values()), results
    assert time.monotonic() - began < 20 + 20
    cluster.assert_equal()


@needs_root
def test_a_receiver_whose_power_is_cut_goes_on_where_its_disk_is(cluster: Cluster) -> None:
    (cluster.tree("h1") / "huge").write_bytes(random.Random(4).randbytes(80 * MIB))
    digest = cluster.describe()
    with Disk(cluster.folder / "h2", 256) as disk:
        cluster.begin(digest, limit_mbit=160, grace=1)
        cluster.until("h2", 60 * MIB)
        disk.cut_power()
        cluster.running["h2"].kill()
        cluster.running.pop("h2").communicate()
        disk.mount()
        assert not cluster.tree("h2").exists()
        assert cluster.end("h3")["absent"] == ["h2"]
        cluster.end("h1")
        result = cluster.sync(digest)["h2"]
        # Data received since the last flush is lost, and the journal's last second.
        assert 20 * MIB < result["received_bytes"] < result["bytes"] - 10 * MIB
        # A host that reports a tree has it on its disk.
        disk.cut_power()
        disk.mount()
        (cluster.folder / "h2" / "lost+found").rmdir()
        cluster.assert_equal()
        result = cluster.sync(digest)["h2"]
        assert (result["changed"], result["received_bytes"]) == (False, 0)


@needs_root
def test_a_disk_that_others_fill_is_an_error_of_that_host_only(cluster: Cluster) -> None:
    digest = cluster.describe()
    with Disk(cluster.folder / "h2", 32):
        cluster.begin(digest, limit_mbit=16)
        cluster.until("h2", 2 * MIB)
        filler = cluster.folder / "h2" / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as stream:
            while stream.write(bytes(4096)):
                pass
        results = {name: cluster.end(name) for name in cluster.names}
        assert results["h2"]["failed"]
        assert "can't write" in results["h2"]["msg"]
        assert "No space left" in results["h2"]["msg"]
        assert not cluster.tree("h2").exists()
        assert results["h3"]["absent"] == ["h2"]
        cluster.assert_equal("h1", "h3")
        filler.unlink()
        (cluster.folder / "h2" / "lost+found").rmdir()
        result = cluster.sync(digest)["h2"]
        assert 0 < result["received_bytes"] < result["bytes"] - MIB
        cluster.assert_equal()


def test_too_little_room_is_said_before_anything_is_sent(cluster: Cluster) -> None:
    digest = cluster.describe()
    cluster.begin(digest, reserve_gib=10**6)
    results = {name: cluster.end(name) for name in cluster.names}
    assert "GiB free" in results["h2"]["msg"]
    assert results["h1"]["sent_bytes"] == 0


def test_a_limit_passes_large_pieces_bit_by_bit(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """A piece of 8 MiB takes longer than a peer may be silent, and longer than a host has patience."""
    monkeypatch.setattr(_tree, "SMALLEST", _tree.LARGEST)
    monkeypatch.setattr(_tree_sync_line_io, "SILENCE", 1.0)
    shutil.rmtree(cluster.tree("h1"))
    grow(cluster.tree("h1"), size=_tree.LARGEST)

    digest = cluster.describe_here()
    with ThreadPoolExecutor() as pool:
        results = list(pool.map(lambda name: cluster.host(name, digest, limit_mbit=20).run(), ["h1", "h2"]))
    assert results[1]["seconds"] > 3
    cluster.assert_equal("h1", "h2")


def test_a_piece_that_its_source_can_not_read_is_an_error(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first bytes come again and again."""
    send_piece = _tree_sync_server_io.Handler.send_piece

    def send(handler: Any, store: _store_io.Store, stream: BinaryIO, number: int) -> bool:
        if number == 3:
            handler.wfile.write(bytes(100))
            raise OSError("Input/output error")
        return send_piece(handler, store, stream, number)

    monkeypatch.setattr(_tree_sync_server_io.Handler, "send_piece", send)
    monkeypatch.setattr(_tree_sync, "LONGEST_PAUSE", 0.5)  # Shorter than a host's patience, as it is.
    digest, said = cluster.describe_here(), dict[str, str]()

    def run(name: str) -> None:
        try:
            said[name] = str(cluster.host(name, digest).run())
        except _folders_io.Failed as error:
            said[name] = str(error)

    threads = [threading.Thread(target=run, args=(name,), daemon=True) for name in ("h1", "h2")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONGEST)
    assert "received none for 2 s" in said["h2"]


def test_who_reads_a_large_tree_is_waited_for(cluster: Cluster) -> None:
    with (cluster.tree("h1") / "zeros").open("wb") as stream:
        stream.truncate(2048 * MIB)
    digest = cluster.describe()
    assert all(result["seconds"] > 1 for result in cluster.sync(digest, depth="full", patience=1).values())


@needs_root
def test_who_can_be_asked_by_nobody_gets_the_tree(cluster: Cluster) -> None:
    """Its own firewall refuses it. The others hear from it that it is there."""
    digest = cluster.describe()
    with dropped(f"ip daddr {cluster.hosts[1]['address']} tcp flags & (syn | ack) == syn"):
        cluster.begin(digest, ["h1", "h2"], window=1, limit_mbit=20)
        results = {name: cluster.end(name) for name in ("h1", "h2")}
    assert {name: result.get("absent") for name, result in results.items()} == {"h1": ["h3"], "h2": ["h3"]}
    cluster.assert_equal("h1", "h2")


def test_nobody_writes_after_the_end_of_a_run(cluster: Cluster) -> None:
    manifest = _tree_io.look(str(cluster.tree("h1")), _tree.Record("")).manifest()
    place = str(cluster.tree("h2"))
    store = _store_io.Store(place, manifest, _tree_io.look(place, _tree.Record("")))
    store.prepare(None)
    data = (cluster.tree("h1") / "large").read_bytes()[: manifest.piece]
    store.close()
    with pytest.raises(_store_io.Closed):
        store.put(0, data)
    assert not list((cluster.folder / "h2").rglob("large"))


def test_what_is_changed_during_a_run_is_seen_by_the_next_look(cluster: Cluster) -> None:
    first = cluster.describe()
    cluster.sync(first)
    (cluster.tree("h1") / "large").write_bytes(random.Random(9).randbytes(4 * MIB))
    digest = cluster.describe()
    cluster.begin(digest, limit_mbit=16)
    staging = cluster.tree("h2") / _folders_io.STAGING
    wait(lambda: any(path.is_file() for path in staging.rglob("*")))
    spoil(cluster.tree("h2") / "medium", 5)
    for name in cluster.names:
        assert not cluster.end(name).get("failed")
    assert cluster.describe("h2") != digest
    cluster.sync(digest)
    cluster.assert_equal()


def test_two_runs_at_once_end_well(cluster: Cluster) -> None:
    digest = cluster.describe()
    cluster.begin(digest, limit_mbit=32)
    first = dict(cluster.running)
    cluster.begin(digest, limit_mbit=32)
    second = {name: cluster.end(name) for name in cluster.names}
    cluster.running = first
    results = {name: cluster.end(name) for name in cluster.names}
    assert not any(result.get("failed") for result in (*second.values(), *results.values())), (second, results)
    cluster.assert_equal()


def test_what_was_not_made_here_is_not_lost_without_consent(cluster: Cluster) -> None:
    digest = cluster.describe()
    grow(cluster.tree("h2"), seed=5)
    old = contents(cluster.tree("h2"))
    cluster.begin(digest)
    results = {name: cluster.end(name) for name in cluster.names}
    assert "was not made by this module" in results["h2"]["msg"]
    assert contents(cluster.tree("h2")) == old
    cluster.assert_equal("h1", "h3")
    cluster.sync(digest, replace=True)
    cluster.assert_equal()


def test_a_host_that_never_comes_is_absent(cluster: Cluster) -> None:
    digest = cluster.describe()
    cluster.begin(digest, ["h1", "h3"], window=1)
    assert cluster.end("h3")["absent"] == ["h2"]
    cluster.end("h1")
    cluster.assert_equal("h1", "h3")


def test_check_mode_only_compares(cluster: Cluster) -> None:
    digest = cluster.describe()
    results = cluster.sync(digest, _ansible_check_mode=True)
    assert [results[name]["changed"] for name in cluster.names] == [False, True, True]
    assert not cluster.tree("h2").exists()


def test_strangers_get_nothing(cluster: Cluster) -> None:
    digest = cluster.describe()
    cluster.begin(digest, ["h1"], token="secret", window=3)
    addresses = [host["address"] for host in cluster.hosts]
    stranger = addresses[0].rpartition(".")[0] + ".99"
    port = _tree_sync.ports("secret", _network.RANDOM_PORTS)[0]

    def ask(source: str, token: str) -> int:
        connection = http.client.HTTPConnection(addresses[0], port, timeout=5, source_address=(source, 0))
        with contextlib.closing(connection):
            headers = {"Authorization": _tree_sync.signature(token, "/manifest")}
            connection.request("GET", "/manifest", headers=headers)
            return connection.getresponse().status

    wait(lambda: ask(addresses[1], "secret") == 200)
    assert ask(addresses[1], "guess") == 403
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        ask(stranger, "secret")
    assert cluster.end("h1")["absent"] == ["h2", "h3"]
    with pytest.raises(ConnectionError):
        ask(addresses[1], "secret")
