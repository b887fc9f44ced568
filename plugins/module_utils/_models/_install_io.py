# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take a model's files from the controller, and make a directory of them. PRIVATE to the collection.

They come by their names into the staging directory of tree_sync, which is lent to the account that brings them. There
they are checked piece by piece, and moved to their places, as tree_sync does it with pieces from hosts.
"""

from __future__ import annotations

import os
import pwd
import stat
import typing as t
from dataclasses import replace

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _directory_io, _folders_io, _safe_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees import _manifest_io, _store_io, _tree, _tree_io

if t.TYPE_CHECKING:
    from collections.abc import Mapping

MANIFEST = "manifest"
# Seconds to wait for another run on the same directory.
PATIENCE = 60


def stage(path: str, files: Mapping[str, int], user: str) -> tuple[str, list[str]]:
    """Lend the staging directory to an account. Return it, and the files that it has already.

    files: what the account will bring, with sizes in bytes. What is there was brought by an interrupted run; whether
    its content is right is seen at the end. user: name or number of the account.
    """
    for name in files:
        wrong = _tree.name_problem(name, plain=True)
        if wrong:
            raise ValueError(f"the file {name!r} is wrong: {wrong}")
    path = _folders_io.resolved(path)
    staging = _folders_io.stagings_of(path)[not os.path.isdir(path)]
    above, name = os.path.split(staging)
    account = pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)
    with _safe_io.open_directory(above, make=0o755) as holder:
        problems = _manifest_io.closed_problems(above, (), _manifest_io.reader_of(user))
        if problems and os.geteuid() == 0:
            raise _manifest_io.Unusable(problems[0])
        with _folders_io.own_directory(holder, name, account.pw_uid) as directory:
            _folders_io.take_back(directory)
            with _folders_io.Folders(_folders_io.own_directory(directory, "tree")) as tree:
                for folder in {folder for file in files for folder in _tree.parents(file)}:
                    with tree.at(folder, make=True):
                        pass
                held = [file for file, size in files.items() if size_of(tree, file) == size]
            if os.geteuid() == 0:
                lend(directory, account)
    return staging, sorted(held)


def size_of(tree: _folders_io.Folders, name: str) -> int:
    """Return the bytes of a regular file, -1 where there is none."""
    with tree.holding(name) as (directory, last):
        status = directory.lstat(last)
    return status.st_size if status and stat.S_ISREG(status.st_mode) else -1


def lend(directory: _directory_io.Directory, account: pwd.struct_passwd) -> None:
    """Let an account write to the staging directory. Root writes anyway, under whatever name."""
    if account.pw_uid == 0:
        return
    try:
        _folders_io.lend(directory, account.pw_uid, account.pw_gid)
    except PermissionError as error:
        raise _manifest_io.unusable(
            f"root may not change the owner of {directory.path} to {account.pw_name}, as on a shared file system that "
            "maps root to nobody",
            "a file system on which root may change owners",
            "copy the model there yourself and set model_source (vllm_ray_model) to it, or set model_path to a "
            "local directory",
        ) from error


def install(path: str, digest: str, record_directory: str, user: str) -> list[str]:
    """Make a directory what the manifest in its staging directory says, and record it. user: whom it was lent to.

    Return the files that have not come, or with other content: then the directory is as it was.
    """
    path = _folders_io.resolved(path)
    staging = _folders_io.stagings_of(path)[not os.path.isdir(path)]
    account = pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)
    above, name = os.path.split(staging)
    with _safe_io.open_directory(above) as holder, _folders_io.own_directory(holder, name, account.pw_uid) as directory:
        # So that nobody else changes it any more.
        _folders_io.take_back(directory)
        try:
            text = directory.read(MANIFEST, _tree.LARGEST_MANIFEST).decode("utf-8", "surrogateescape")
        except FileNotFoundError:
            text = ""
    if _tree.digest(text) != digest:
        raise _manifest_io.unusable(f"no manifest arrived in {staging}", f"that of {digest[:12]}", "run again")
    manifest = _tree.parse(text, plain=True)
    with _tree_io.held(record_directory, path, PATIENCE):
        record = _tree_io.read_record(record_directory, path)
        now = _tree_io.look(path, record, manifest.piece, plain=True)
        store = _store_io.Store(path, manifest, now)
        store.prepare(0)
        missing = store.manifest.everything & ~store.have
        lacking = {manifest.entries[manifest.pieces[number].entry].path for number in _tree.numbers(missing)}
        if lacking:
            for name in lacking:
                with store.into(name) as (folder, last):
                    folder.unlink(last)
            return sorted(lacking)
        made = record.made or not now.entries
        # Before the tree appears, so that a cut after that leaves no tree that seems to be somebody else's.
        _tree_io.write_record(record_directory, replace(record, made=made))
        store.install()
        _tree_io.write_record(record_directory, store.record(made))
    return []
