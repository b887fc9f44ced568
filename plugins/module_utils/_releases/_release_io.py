# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases as files: their trees, records and manifests, and how a tree is moved. PRIVATE to the collection."""

from __future__ import annotations

import collections
import contextlib
import glob
import gzip
import hashlib
import io
import os
import shutil
import stat
import tarfile
import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _lock_io, _safe_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine._runtime import releases_of
from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases import _release, _release_tree, _uv
from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases._release_tree import Entry

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from concurrent.futures import Future

    from ansible.module_utils.basic import AnsibleModule

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases._release_tree import Record

# A manifest has a line for each of some 60,000 files.
LARGEST = 64 * _safe_io.MIB


def read(path: str) -> str:
    """Return the text of a file, or an empty text where there is none."""
    return _safe_io.read_text(path, LARGEST) or ""


def record_of(package: str) -> str:
    """Return the RECORD of a package, an empty text where there is none. It may be a link into uv's cache."""
    try:
        with _safe_io.open_plain(f"{package}/RECORD") as stream:
            return stream.read(LARGEST).decode("utf-8", "surrogateescape")
    except (FileNotFoundError, NotADirectoryError):
        return ""


def write(path: str, text: str) -> None:
    """Write a file that everybody may read."""
    _safe_io.write_file(path, text.encode("utf-8", "surrogateescape"))


def free_bytes(path: str) -> int:
    """Return the free bytes of the filesystem that holds a path or would hold it."""
    existing = os.path.abspath(path)
    while not os.path.exists(existing):
        existing = os.path.dirname(existing)
    return shutil.disk_usage(existing).free


@contextlib.contextmanager
def held_for(module: AnsibleModule, directory: str, what: str) -> Iterator[None]:
    """Hold the releases of a host for a module, which fails where it waited for longer than its option patience."""
    try:
        with _lock_io.held(directory, what, module.params["patience"]):
            yield
    except _lock_io.Busy as error:
        module.fail_json(msg=f"{error} To wait longer, set release_patience.")


# --- Trees -----------------------------------------------------------------------------------------------------------


def site_packages(tree: str) -> str:
    """Return site-packages of an environment, below it, or an empty text."""
    found = sorted(filter(os.path.isdir, glob.glob(f"{glob.escape(tree)}/lib/python3*/site-packages")))
    return os.path.relpath(found[-1], tree) if found else ""


def packages(tree: str) -> dict[str, str]:
    """Return the packages of an environment and their versions, by the names of their directories: nothing is run."""
    site = site_packages(tree)
    names = os.listdir(os.path.join(tree, site)) if site else []
    return dict(pair for pair in map(_release_tree.parse_dist_info, names) if pair)


def entry_of(tree: str, path: str) -> Entry:
    """Return a file or link as the manifest has it."""
    full = os.path.join(tree, path)
    status = os.lstat(full)
    if stat.S_ISLNK(status.st_mode):
        return Entry(path, "link", 0, 0, os.readlink(full))
    digest = hashlib.sha256()
    with _safe_io.open_plain(full) as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return Entry(path, "file", stat.S_IMODE(status.st_mode), status.st_size, digest.hexdigest())


def entries(tree: str, known: Mapping[str, Entry] | None = None) -> dict[str, Entry]:
    """Return what a tree holds, hashed, without our own two files. What is known is not hashed again."""
    hashed = dict(known or {})
    paths: list[str] = []
    for directory, folders, files in os.walk(tree):
        links = [name for name in folders if os.path.islink(os.path.join(directory, name))]
        paths += [os.path.relpath(os.path.join(directory, name), tree) for name in [*files, *links]]
    # Hashing lets other threads run, so it takes all cores.
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        wanted = (path for path in paths if path not in _release_tree.OWN_FILES)
        found = pool.map(lambda path: hashed.get(path) or entry_of(tree, path), wanted)
        return {entry.path: entry for entry in found}


def open_modes(tree: str) -> None:
    """Let everybody read the tree and nobody but its owner write, whatever umask its files came with."""
    for directory, _folders, files in os.walk(tree):
        for path in [directory, *(os.path.join(directory, name) for name in files)]:
            mode = os.lstat(path).st_mode
            if stat.S_ISLNK(mode):
                continue
            wanted = 0o755 if stat.S_ISDIR(mode) or mode & stat.S_IXUSR else 0o644
            if stat.S_IMODE(mode) != wanted:
                _safe_io.set_mode(path, wanted)


def read_record(path: str) -> Record:
    """Return release.json of a release, or an empty record where there is no release."""
    record: t.Any = _safe_io.read_json(f"{path}/{_release_tree.RECORD}", dict) or {}
    return record if isinstance(record.get("manifest", {}), dict) else {}


def damage(path: str) -> list[str]:
    """Return how a release differs from its manifest; every file is read."""
    text = read(f"{path}/{_release_tree.MANIFEST}")
    record = read_record(path)
    if hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest() != record.get("manifest", {}).get("sha256"):
        return [f"{_release_tree.MANIFEST} is not the one that {_release_tree.RECORD} names"]
    try:
        manifest = _release_tree.parse_manifest(text)
    except (ValueError, TypeError, RecursionError):
        return [f"{_release_tree.MANIFEST} is not a manifest"]
    return _release_tree.differences(manifest, entries(path))


def put_in_place(staging: str, path: str) -> None:
    """Give a whole tree the name of its release. What is there under that name goes."""
    aside = f"{staging}.old"
    if os.path.lexists(path):
        _safe_io.rename(path, aside)
    _safe_io.rename(staging, path)
    _safe_io.remove(aside)


# --- Moving ----------------------------------------------------------------------------------------------------------


class Squeeze(io.RawIOBase):
    """A file to write to, whose content is compressed by all cores: one member of gzip for each block."""

    def __init__(self, target: t.BinaryIO, pool: ThreadPoolExecutor, ahead: int) -> None:
        self.target = target
        self.pool = pool
        self.ahead = ahead
        self.pending: collections.deque[Future[bytes]] = collections.deque()

    def write(self, block: t.Any) -> int:
        self.pending.append(self.pool.submit(gzip.compress, bytes(block), 1, mtime=0))
        self.settle(self.ahead)
        return len(block)

    def settle(self, leave: int = 0) -> None:
        while len(self.pending) > leave:
            self.target.write(self.pending.popleft().result())


def anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Remove the owner on the builder: on each host, it belongs to the account that unpacks it."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def pack(parent: str, name: str, archive: str, cores: int) -> None:
    """Write a tree into an archive, compressed where there are cores for it.

    gzip's lowest level leaves a third of the size and does 40 MB/s on a core: on two cores, writing is faster.
    """
    with _safe_io.create(archive) as target, ThreadPoolExecutor(max_workers=cores) as pool:
        squeeze = Squeeze(target, pool, 2 * cores)
        sink: Squeeze | t.BinaryIO = squeeze if cores >= 4 else target
        with tarfile.open(fileobj=sink, mode="w|", bufsize=1 << 22, format=tarfile.GNU_FORMAT) as tar:
            tar.add(os.path.join(parent, name), arcname=name, filter=anonymous)
        squeeze.settle()


class Archive:
    """release_archive: the two ends of the way by which the controller's build comes to a host, as one file."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.params = module.params
        self.releases = releases_of(self.params["root"])

    def __call__(self) -> dict[str, object]:
        steps = {"packed": self.packed, "unpacked": self.unpacked}
        return steps[self.params["state"]]()

    def must_have_room(self, directory: str, size: int, variable: str) -> None:
        error = _release.room_problem(directory, free_bytes(directory), size + size // 10, variable)
        if error:
            self.module.fail_json(msg=_release.sentence(error))

    def packed(self) -> dict[str, object]:
        """Write the archive, which is for its owner alone."""
        archive, id_ = self.params["archive"], self.params["id"]
        if self.module.check_mode:
            return {"changed": True, "archive": archive}
        os.umask(0o077)
        size = read_record(f"{self.releases}/{id_}")["manifest"]["bytes"]
        self.must_have_room(os.path.dirname(archive), size, "release_controller_dir")
        pack(self.releases, id_, archive, min(16, os.cpu_count() or 1))
        return {"changed": True, "archive": archive}

    def unpacked(self) -> dict[str, object]:
        """Unpack beside the release's place, compare every file with the manifest, then give it its name."""
        id_ = self.params["id"]
        path = f"{self.releases}/{id_}"
        if self.module.check_mode:
            return {"changed": True, "path": path}
        os.umask(0o022)
        with held_for(self.module, self.releases, f"unpacks {id_}"):
            record = read_record(path)
            if record.get("manifest", {}).get("sha256") == self.params["manifest"] and not (
                self.params["replace"] and damage(path)
            ):
                return {"changed": False, "path": path}
            staging = f"{self.releases}/.staging-{id_}"
            for leftover in (staging, f"{staging}.old"):
                _safe_io.remove(leftover)
            self.must_have_room(self.releases, self.params["size"], "release_root (vllm_ray_root)")
            _safe_io.make_directories(staging)
            tar = self.module.get_bin_path("tar", required=True)
            self.must(_release_tree.untar_argv(tar, self.params["archive"], staging))
            wrong = damage(staging)
            if not wrong and read_record(staging)["manifest"]["sha256"] != self.params["manifest"]:
                wrong = ["it differs from the release of the builder"]
            if wrong:
                _safe_io.remove(staging)
                self.module.fail_json(
                    msg=f"{id_} is incomplete after the copy: {len(wrong)} differences, first: {wrong[0]}. Run again."
                )
            put_in_place(staging, path)
        return {"changed": True, "path": path}

    def must(self, argv: Sequence[str]) -> None:
        rc, out, err = self.module.run_command(list(argv))
        if rc:
            self.module.fail_json(msg=f"{argv[0]} failed: {_uv.last_lines(out + err)}")
