# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take a model's files from the controller, and make a directory of them. PRIVATE to the collection.

They come by their names into the staging directory of tree_sync, which is lent to the account that brings them. There
they are checked piece by piece, and moved to their places, as tree_sync does it with pieces from hosts.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import stat
import typing as t
from dataclasses import replace

from ansible_collections.vllm_ray.cluster.plugins.module_utils import _manifest_io, _tree, _tree_io

if t.TYPE_CHECKING:
    from collections.abc import Mapping

MANIFEST = "manifest"
# Seconds to wait for another run on the same directory.
PATIENCE = 60


def stage(path: str, files: Mapping[str, int], user: str) -> tuple[str, list[str]]:
    """Lend the staging directory to an account. Return it, and the files that it has already.

    files: what the account will bring, with sizes in bytes. What is there was brought by an interrupted run; whether
    its content is right is seen at the end.
    """
    path = os.path.realpath(path)
    staging = _tree_io.stagings_of(path)[not os.path.isdir(path)]
    _manifest_io.make_directories(os.path.dirname(staging))
    closed = _manifest_io.closed_problems(os.path.dirname(staging), (), _manifest_io.reader_of(user))
    if closed and os.geteuid() == 0:
        raise _manifest_io.Unusable(closed[0])
    tree = os.path.join(staging, "tree")
    folders = {"", *(folder for name in files for folder in _tree.parents(name))}
    for folder in sorted(folders):
        os.makedirs(os.path.join(tree, folder), 0o700, exist_ok=True)
    if os.geteuid() == 0:
        account = pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)
        lend(staging, account)
    held = [name for name, size in files.items() if size_of(os.path.join(tree, name)) == size]
    return staging, sorted(held)


def size_of(place: str) -> int:
    """Return the bytes of a regular file, -1 where there is none."""
    try:
        status = os.lstat(place)
    except FileNotFoundError:
        return -1
    return status.st_size if stat.S_ISREG(status.st_mode) else -1


def lend(staging: str, account: pwd.struct_passwd) -> None:
    """Let an account write to the staging directory. Root writes anyway, under whatever name."""
    if account.pw_uid == 0:
        return
    try:
        give(staging, account.pw_uid, account.pw_gid)
    except PermissionError as error:
        raise _manifest_io.unusable(
            f"root may not give {staging} to {account.pw_name}, as on a shared file system that maps root to nobody",
            "a file system on which root may change owners",
            "bring the model there by other means and name it by model_source (vllm_ray_model), or set model_path to a "
            "local directory",
        ) from error


def give(staging: str, uid: int, gid: int) -> None:
    """Give a directory and all that is in it to somebody."""
    for folder, _folders, files in os.walk(staging):
        for place in (folder, *(os.path.join(folder, name) for name in files)):
            os.chown(place, uid, gid, follow_symlinks=False)


def install(path: str, digest: str, record_directory: str) -> list[str]:
    """Make a directory what the manifest in its staging directory says, and record it.

    Return the files that have not come, or with other content: then the directory is as it was.
    """
    path = os.path.realpath(path)
    staging = _tree_io.stagings_of(path)[not os.path.isdir(path)]
    # So that nobody else changes it any more. A shared file system may refuse it; then it is ours by another name.
    with contextlib.suppress(PermissionError):
        give(staging, os.geteuid(), os.getegid())
    text = _manifest_io.read_text(os.path.join(staging, MANIFEST))
    if _tree.digest(text) != digest:
        raise _manifest_io.unusable(f"no manifest came to {staging}", f"that of {digest[:12]}", "run it again")
    manifest = _tree.parse(text, plain=True)
    with _tree_io.held(record_directory, path, PATIENCE):
        record = _tree_io.read_record(record_directory, path)
        now = _tree_io.look(path, record, manifest.piece, plain=True)
        store = _tree_io.Store(path, manifest, now)
        store.prepare(0)
        missing = store.manifest.everything & ~store.have
        lacking = {manifest.entries[manifest.pieces[number].entry].path for number in _tree.numbers(missing)}
        if lacking:
            for name in lacking:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(os.path.join(store.tree, name))
            return sorted(lacking)
        made = record.made or not now.entries
        # Before the tree appears, so that a cut after that leaves no tree that seems to be somebody else's.
        _tree_io.write_record(record_directory, replace(record, made=made))
        store.install()
        _tree_io.write_record(record_directory, store.record(made))
    return []
