# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring files that lie in a staging directory to their places in a model directory. PRIVATE to the collection.

Files are staged under their SHA-256, on the file system of the tree, so that a move is a rename: at its place there is
the old file or the new one, and a new tree appears as a whole.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import typing as t
from collections import Counter

from ansible_collections.vllm_ray.cluster.plugins.module_utils import _manifest, _manifest_io

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

STAGING = ".vllm-ray-staging"


def staging_of(path: str) -> str:
    """Return the staging directory: in the tree where there is one (it may be a mount of its own), else beside it."""
    if os.path.isdir(path):
        return os.path.join(path, STAGING)
    return os.path.join(os.path.dirname(path), f".{os.path.basename(path)}{STAGING}")


def stage(path: str, files: Sequence[_manifest.Entry], user: str) -> tuple[str, list[str]]:
    """Make the staging directory for an account that will write to it. Return it and the hashes that it holds."""
    staging = staging_of(path)
    _manifest_io.make_directories(os.path.dirname(staging))
    closed = _manifest_io.closed_problems(os.path.dirname(staging), (), _manifest_io.reader_of(user))
    if closed and os.geteuid() == 0:
        raise _manifest_io.Unusable(closed[0])
    if not os.path.isdir(staging):
        os.mkdir(staging, 0o700)
    if os.geteuid() == 0:
        account = pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)
        give(staging, account)
    # Parts of an interrupted copy are kept if whole; what this copy doesn't need goes.
    sizes = {entry.sha256: entry.size for entry in files}
    held = []
    for name in os.listdir(staging):
        place = os.path.join(staging, name)
        if name in sizes and os.path.getsize(place) == sizes[name]:
            held.append(name)
        elif os.path.isdir(place) and not os.path.islink(place):
            shutil.rmtree(place)
        else:
            os.unlink(place)
    return staging, sorted(held)


def give(staging: str, account: pwd.struct_passwd) -> None:
    """Let an account write to the staging directory. Root writes anyway, under whatever name."""
    if account.pw_uid == 0:
        return
    try:
        os.chown(staging, account.pw_uid, account.pw_gid)
    except PermissionError as error:
        raise _manifest_io.unusable(
            f"root may not give {staging} to {account.pw_name}, as on a shared file system that maps root to nobody",
            "a file system on which root may change owners",
            "bring the model there by other means and name it by model_source (vllm_ray_model), or set model_path to a "
            "local directory",
        ) from error


def check(staging: str, files: Iterable[_manifest.Entry]) -> list[str]:
    """Take over staged files, so that nobody else changes them any more, and hash them. Return the hashes not held."""
    names = sorted({entry.sha256 for entry in files})
    there = [name for name in names if os.path.isfile(os.path.join(staging, name))]
    # A shared file system may refuse to change owners; then the files are ours under another name.
    with contextlib.suppress(PermissionError, FileNotFoundError):
        os.chown(staging, os.geteuid(), os.getegid())
    for name in there:
        place = os.path.join(staging, name)
        with contextlib.suppress(PermissionError):
            os.chown(place, os.geteuid(), os.getegid())
        os.chmod(place, 0o644)
    found = _manifest_io.hash_files(staging, there)
    bad = [name for name in names if found.get(name) != name]
    for name in bad:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(staging, name))
    return bad


def install(path: str, files: Sequence[_manifest.Entry], remove: Iterable[str], record_directory: str) -> str:
    """Move checked files to their places, remove others, write the record, and return the digest of the tree."""
    staging, made = staging_of(path), not os.path.isdir(path)
    tree = os.path.join(staging, "tree") if made else path
    uses = Counter(entry.sha256 for entry in files)
    sources = {entry.path: entry.sha256 for entry in files}
    for name in _manifest.install_order(sources):
        target, source = os.path.join(tree, name), os.path.join(staging, sources[name])
        _manifest_io.make_directories(os.path.dirname(target))
        uses[sources[name]] -= 1
        if uses[sources[name]]:
            shutil.copyfile(source, source + ".copy")
            os.chmod(source + ".copy", 0o644)
            source += ".copy"
        os.replace(source, target)
    if made:
        os.rename(tree, path)
    for name in remove:
        os.unlink(os.path.join(path, name))
        with contextlib.suppress(OSError):
            os.removedirs(os.path.dirname(os.path.join(path, name)))
    shutil.rmtree(staging, ignore_errors=True)
    old = _manifest_io.read_record(record_directory, path)
    record = _manifest.Record(path, made or old.made, old.files)
    states = _manifest_io.scan(path) or {}
    rest = [name for name in _manifest.to_hash(states, record) if name not in sources]
    hashes = {**_manifest_io.hash_files(path, rest), **{name: sources[name] for name in sources if name in states}}
    merged = _manifest.merge(states, record, hashes)
    _manifest_io.write_record(record_directory, _manifest.Record(path, record.made, merged))
    return _manifest.digest(_manifest.entries(merged))
