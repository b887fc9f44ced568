# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes and opens bundles: the tar file and its directory. PRIVATE to the collection."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import pathlib
import shutil
import tarfile
import time
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _lock_io
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._bundles import _bundle
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._bundles._bundle import BundleError, File, Manifest

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Say = Callable[[str], None]

BLOCK = 1 << 20
LARGEST_MANIFEST = 64 << 20
# Seconds that a run waits for another one that unpacks a bundle, which may be of a large model.
PATIENCE = 3600
# What takes longer says how far it is.
QUIET_SECONDS = 5


class Meter:
    """Says how far something is, every few seconds."""

    def __init__(self, what: str, total: int, say: Say) -> None:
        self.what, self.total, self.say = what, total, say
        self.done = 0
        self.start = self.said = time.monotonic()

    def add(self, count: int) -> None:
        self.done += count
        now = time.monotonic()
        if now - self.said > QUIET_SECONDS:
            self.said = now
            self.say(_bundle.progress(self.what, self.done, self.total, now - self.start))


class Hashed(io.RawIOBase):
    """A stream whose bytes are counted and hashed on their way."""

    def __init__(self, stream: t.IO[bytes], meter: Meter) -> None:
        self.stream, self.meter = stream, meter
        self.hash, self.size = hashlib.sha256(), 0

    def read(self, size: int = -1) -> bytes:
        block = self.stream.read(size)
        self.hash.update(block)
        self.size += len(block)
        self.meter.add(len(block))
        return block


# --- Writing ---------------------------------------------------------------------------------------------------------


def member(name: str, size: int) -> tarfile.TarInfo:
    """Return the head of a member: nothing of this machine or of today is in it."""
    entry = tarfile.TarInfo(name)
    executable = name.startswith(f"{_bundle.TOOLS}/")
    entry.size, entry.mode, entry.mtime = size, 0o755 if executable else 0o644, 0
    return entry


def write(path: str, manifest: Manifest, sources: Mapping[str, str], say: Say) -> Manifest:
    """Write a bundle, beside its place until it is whole. Return its manifest with all files.

    sources: {name in the bundle: file of this machine}.
    """
    sizes = {name: os.path.getsize(source) for name, source in sources.items()}
    meter = Meter(f"write {path}", sum(sizes.values()), say)
    partial = f"{path}.partial"
    files = []
    with open(partial, "wb") as stream:
        with tarfile.TarFile(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT, copybufsize=BLOCK) as bundle:
            for name in sorted(sources):
                with open(sources[name], "rb") as source:
                    hashed = Hashed(source, meter)
                    bundle.addfile(member(name, sizes[name]), t.cast("t.IO[bytes]", hashed))
                files.append(File(name, sizes[name], hashed.hash.hexdigest()))
            made = Manifest(**{**vars(manifest), "files": tuple(files)})
            data = _bundle.dump_manifest(made)
            bundle.addfile(member(_bundle.MANIFEST, len(data)), io.BytesIO(data))
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(partial, path)
    return made


# --- Opening ---------------------------------------------------------------------------------------------------------


def members(path: str) -> tuple[list[tarfile.TarInfo], bytes]:
    """Return the files of a bundle without its manifest, and the manifest. Only heads are read. Raises BundleError."""
    copy = "copy the bundle again from the machine that made it"
    try:
        with tarfile.open(path, mode="r:") as bundle:
            found = bundle.getmembers()
            if not found or found[-1].name != _bundle.MANIFEST:
                ends = f"a tar file that ends with {found[-1].name}" if found else "an empty tar file"
                raise BundleError(path, ends, f"a bundle, which ends with {_bundle.MANIFEST}", copy)
            strange = [entry.name for entry in found if not entry.isreg()]
            if strange:
                raise BundleError(path, f"{strange[0]}, which is not a file", "files", "make it again (bundle.yml)")
            if found[-1].size > LARGEST_MANIFEST:
                raise BundleError(path, f"a manifest of {found[-1].size} bytes", f"at most {LARGEST_MANIFEST}", copy)
            data = t.cast("t.IO[bytes]", bundle.extractfile(found[-1])).read()
    except FileNotFoundError as error:
        fix = "set vllm_ray_bundle to the file that bundle.yml made"
        raise BundleError(path, "no such file", "a bundle", fix) from error
    except (tarfile.TarError, EOFError) as error:
        size = os.path.getsize(path)
        raise BundleError(path, f"{size} bytes that are not a complete tar file ({error})", "a bundle", copy) from error
    except OSError as error:
        raise BundleError(path, str(error), "a file that can be read", "set vllm_ray_bundle to a bundle") from error
    return found[:-1], data


def is_whole(directory: str, data: bytes, manifest: Manifest) -> bool:
    """Return whether a bundle is unpacked there. It was hashed when it was; now only sizes are checked."""
    try:
        same = pathlib.Path(directory, _bundle.MANIFEST).read_bytes() == data
        return same and all(os.path.getsize(os.path.join(directory, file.path)) == file.size for file in manifest.files)
    except OSError:
        return False


def check_room(path: str, place: str, manifest: Manifest) -> None:
    """Raise BundleError where the controller has no room to unpack a bundle."""
    free = shutil.disk_usage(place).free
    if free < manifest.size:
        fix = "make room, or set the environment variable ANSIBLE_HOME to a directory with room"
        raise BundleError(path, f"{free / 1e9:.1f} GB free in {place}", f"{manifest.size / 1e9:.1f} GB", fix)


@contextlib.contextmanager
def held(directory: str, path: str) -> Iterator[None]:
    """Let one run after the other unpack bundles. Raises BundleError where another one is at work for too long."""
    try:
        with _lock_io.held(directory, f"unpacks {os.path.basename(path)}", PATIENCE):
            yield
    except _lock_io.Busy as error:
        fix = "wait until it ends and run again; if it hangs, end that process"
        raise BundleError(path, error.found, "no other run that unpacks bundles", fix) from error


def unpack(path: str, uv: str, home: str, say: Say, sha256: str = "") -> tuple[str, Manifest, bool]:
    """Unpack a bundle below a directory, unless it is there. Return its own directory, its manifest, and whether it
    was unpacked. Every file is checked against the manifest before the directory gets its name. Raises BundleError.

    uv: the version that this collection builds releases with. sha256: of the bundle that is wanted, empty for any.
    """
    found, data = members(path)
    _bundle.check_digest(path, data, sha256)
    manifest = _bundle.parse_manifest(data, path)
    _bundle.check_members(path, manifest, [entry.name for entry in found])
    _bundle.check_uv(path, manifest, uv)
    os.makedirs(home, exist_ok=True)
    directory = os.path.join(home, _bundle.digest(data)[:16])
    with held(home, path):
        if is_whole(directory, data, manifest):
            return directory, manifest, False
        staging = f"{directory}.partial"
        for leftover in (staging, directory):
            shutil.rmtree(leftover, ignore_errors=True)
        check_room(path, home, manifest)
        os.makedirs(staging)
        extract(path, manifest, staging, say)
        pathlib.Path(staging, _bundle.MANIFEST).write_bytes(data)
        os.rename(staging, directory)
    return directory, manifest, True


def extract(path: str, manifest: Manifest, directory: str, say: Say) -> None:
    """Write the files of a bundle into a directory, each hashed on its way."""
    wanted = {file.path: file for file in manifest.files}
    meter = Meter(f"check and unpack {path}", manifest.size, say)
    with tarfile.open(path, mode="r:") as bundle:
        for entry in bundle:
            if entry.name == _bundle.MANIFEST:
                break
            target = os.path.join(directory, entry.name)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            hashed = Hashed(t.cast("t.IO[bytes]", bundle.extractfile(entry)), meter)
            with open(target, "wb") as out:
                shutil.copyfileobj(t.cast("t.IO[bytes]", hashed), out, BLOCK)
            _bundle.check_file(path, wanted[entry.name], hashed.size, hashed.hash.hexdigest())
            os.chmod(target, 0o755 if entry.mode & 0o100 else 0o644)


def read_manifest(directory: str) -> Manifest:
    """Return the manifest of a bundle that is unpacked there. Raises BundleError."""
    try:
        data = pathlib.Path(directory, _bundle.MANIFEST).read_bytes()
    except OSError as error:
        fix = "name a directory that bundle_open returned"
        raise BundleError(directory, str(error), "an unpacked bundle", fix) from error
    return _bundle.parse_manifest(data, directory)
