# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Model directories on disk: scan, hash, record, compare. PRIVATE to the collection.

It runs on hosts as a part of modules, and on the controller as a part of action plugins.
"""

from __future__ import annotations

import contextlib
import grp
import hashlib
import os
import pwd
import stat
import tempfile
import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.vllm_ray.cluster.plugins.module_utils import _manifest, _model_path

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PIECE = 4 * 1024**2
# Indexes of weights are a few MiB long at most; what is longer is none.
INDEX_MAXIMUM = 64 * 1024**2


class Unusable(Exception):
    """A tree can't be read as a model. problem: why."""

    def __init__(self, problem: dict[str, str]) -> None:
        super().__init__(_manifest.sentence(problem))
        self.problem = problem


def unusable(found: str, wanted: str, fix: str) -> Unusable:
    return Unusable(_manifest.problem("model", found, wanted, fix))


def read_text(path: str) -> str:
    """Return the text of a file, nothing where it can't be read."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as stream:
            return stream.read()
    except OSError:
        return ""


def state_of(path: str) -> _manifest.State | None:
    """Return what a file is, through links; None where it is no regular file."""
    now = os.stat(path)
    if not stat.S_ISREG(now.st_mode):
        return None
    return _manifest.State(now.st_size, now.st_mtime_ns, now.st_ctime_ns, now.st_ino)


def scan(path: str) -> dict[str, _manifest.State] | None:
    """Return the files of a tree by their relative paths, through links (a hub's snapshot is made of them).

    None where there is no such directory.
    """
    if not os.path.isdir(path):
        return None
    found: dict[str, _manifest.State] = {}
    pending = [("", frozenset([os.path.realpath(path)]))]
    try:
        while pending:
            folder, above = pending.pop()
            with os.scandir(os.path.join(path, folder)) as inside:
                listed = list(inside)
            for entry in listed:
                name = f"{folder}/{entry.name}" if folder else entry.name
                if not _manifest.is_part(entry.name):
                    continue
                if entry.is_dir():
                    real = os.path.realpath(entry.path)
                    # A link to a directory above it would have no end.
                    if real not in above:
                        pending.append((name, above | {real}))
                    continue
                state = state_of(entry.path)
                if state:
                    name.encode("utf-8")
                    found[name] = state
    except UnicodeEncodeError as error:
        found_name = error.object.encode("utf-8", "backslashreplace").decode()
        raise unusable(f"the name {found_name} in {path} is not UTF-8", "names in UTF-8", "rename it") from error
    except FileNotFoundError as error:
        target = os.readlink(error.filename) if os.path.islink(error.filename or "") else ""
        what = f"{error.filename} is a link to {target}, which is not there" if target else str(error)
        raise unusable(what, "all files of the model", "download the model again, or copy it with its blobs") from error
    except OSError as error:
        raise unusable(str(error), "a directory that can be read", "look at its owner, mode and mount") from error
    return found


def hash_file(path: str) -> str:
    """Return the SHA-256 of a file."""
    total = hashlib.sha256()
    with open(path, "rb") as stream:
        while True:
            piece = stream.read(PIECE)
            if not piece:
                return total.hexdigest()
            total.update(piece)


def hash_files(path: str, names: Sequence[str]) -> dict[str, str]:
    """Return the SHA-256 of some files of a tree; several at once, as hashing leaves Python's lock."""
    try:
        with ThreadPoolExecutor(max(1, min(8, os.cpu_count() or 1))) as pool:
            return dict(zip(names, pool.map(lambda name: hash_file(os.path.join(path, name)), names)))
    except OSError as error:
        raise unusable(str(error), "files that can be read", "look at their owner, mode and disk") from error


def read_record(directory: str, path: str) -> _manifest.Record:
    """Return the record of a tree."""
    return _manifest.parse_record(read_text(os.path.join(directory, _manifest.record_name(path))), path)


def write_record(directory: str, record: _manifest.Record, dry: bool = False) -> bool:
    """Write the record of a tree where it is another. Return whether it was."""
    name = os.path.join(directory, _manifest.record_name(record.path))
    text = _manifest.render_record(record)
    if read_text(name) == text:
        return False
    if not dry:
        make_directories(directory)
        handle, temporary = tempfile.mkstemp(dir=directory)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.chmod(temporary, 0o644)
        os.replace(temporary, name)
    return True


def make_directories(path: str) -> None:
    """Make a directory and its parents, open to all whatever the umask says; those that are there stay as they are."""
    if path and not os.path.isdir(path):
        make_directories(os.path.dirname(path))
        with contextlib.suppress(FileExistsError):
            os.mkdir(path)
            os.chmod(path, 0o755)


def existing(path: str) -> str:
    """Return the nearest directory above, or the path itself, that is there."""
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def free_bytes(path: str) -> int:
    """Return what may still be written to the file system of a path, which need not be there."""
    disk = os.statvfs(existing(path))
    return disk.f_bavail * disk.f_frsize


def mount_of(path: str) -> _model_path.Mount:
    return _model_path.mount_of(read_text("/proc/self/mountinfo"), os.path.realpath(existing(path)))


def reader_of(name: str) -> _model_path.Reader:
    """Return an account by its name or number, with its groups."""
    try:
        entry = pwd.getpwuid(int(name)) if name.isdigit() else pwd.getpwnam(name)
    except KeyError:
        return _model_path.Reader(name)
    groups = frozenset(os.getgrouplist(entry.pw_name, entry.pw_gid))
    return _model_path.Reader(entry.pw_name, entry.pw_uid, groups)


def step_of(path: str) -> _model_path.Step:
    now = os.stat(path)
    try:
        acl = bool(os.getxattr(path, "system.posix_acl_access"))
    except OSError:
        acl = False
    return _model_path.Step(path, now.st_mode, now.st_uid, now.st_gid, acl)


def steps_to(path: str, names: Iterable[str] = ()) -> list[_model_path.Step]:
    """Return what must be open to read some files of a tree, parents first, by the path and by the real one."""
    wanted: dict[str, None] = {}
    for target in (path, *(os.path.join(path, name) for name in names)):
        for way in (os.path.realpath(target), target):
            parts = way.split("/")
            for count in range(1, len(parts) + 1):
                wanted["/".join(parts[:count]) or "/"] = None
    return [step_of(step) for step in wanted]


def closed_problems(path: str, names: Iterable[str], reader: _model_path.Reader) -> list[dict[str, str]]:
    """Return the first thing that keeps an account from reading a tree, or from entering where it will be."""
    steps = steps_to(existing(path), names if os.path.isdir(path) else ())
    closed = _model_path.first_closed(steps, reader, path)
    if not closed:
        return []
    owner, group = str(closed.uid), str(closed.gid)
    with contextlib.suppress(KeyError):
        owner = pwd.getpwuid(closed.uid).pw_name
    with contextlib.suppress(KeyError):
        group = grp.getgrgid(closed.gid).gr_name
    return [_model_path.closed_problem(closed, reader, owner, group, path)]


def indexes(path: str, names: Iterable[str]) -> dict[str, str]:
    """Return the texts of a tree's indexes of weights."""
    found = [name for name in names if name.endswith(".index.json")]
    return {
        name: read_text(os.path.join(path, name))
        for name in found
        if os.path.getsize(os.path.join(path, name)) <= INDEX_MAXIMUM
    }


def look(params: t.Mapping[str, t.Any], dry: bool = False) -> dict[str, t.Any]:
    """Read a tree's manifest, compare it with the wanted one where there is one, and return what the module returns."""
    path, where = os.path.normpath(params["path"]), params["name"] or "this host"
    record = read_record(params["record_directory"], path)
    wanted = wanted_of(params["wanted"])
    try:
        states = scan(path)
        names = _manifest.to_hash(states or {}, record, params["depth"] == "full")
        hashes = hash_files(path, names)
        if states and names and scan(path) != states:
            raise unusable(f"{path} on {where} changes while it is read", "a tree at rest", "wait for who writes to it")
    except Unusable as error:
        return answer(path, where, problems=[error.problem])
    files = _manifest.merge(states or {}, record, hashes)
    have = _manifest.entries(files)
    diff = _manifest.difference(have, wanted.files) if wanted else _manifest.Difference()
    damaged = _manifest.corrupted(files, record)
    problems = judge(params, states, record, diff, damaged)
    if states is not None:
        problems += _manifest.digest_problems(path, where, _manifest.digest(have), params["digest"])
    changed = False
    if states is not None:
        next_record = _manifest.to_record(files, record, diff.differing if wanted else damaged)
        changed = write_record(params["record_directory"], next_record, dry)
    missing = {*diff.missing, *diff.differing}
    return answer(
        path,
        where,
        changed=changed,
        exists=states is not None,
        files=have,
        hashed=sum((states or {})[name].size for name in names),
        copy=[entry for entry in wanted.files if entry.path in missing] if wanted else [],
        remove=diff.extra,
        damaged=damaged,
        problems=problems,
    )


def wanted_of(data: t.Mapping[str, t.Any] | None) -> _manifest.Wanted | None:
    """Return the wanted tree from what the look at the source returned."""
    if not data:
        return None
    system = data.get("filesystem") or {}
    files = tuple(_manifest.parse_entries(data["files"]))
    return _manifest.Wanted(
        data["directory"], data["where"], files, bool(system.get("shared")), str(system.get("source", ""))
    )


def judge(
    params: t.Mapping[str, t.Any],
    states: t.Mapping[str, _manifest.State] | None,
    record: _manifest.Record,
    diff: _manifest.Difference,
    damaged: Sequence[str],
) -> list[dict[str, str]]:
    """Return what is wrong with a tree, and what forbids to mend it."""
    path, where = record.path, params["name"] or "this host"
    wanted = wanted_of(params["wanted"])
    reader = reader_of(params["user"]) if params["user"] else None
    closed = closed_problems(path, states or (), reader) if reader else []
    if wanted is None:
        if states is None:
            fix = "correct the path, or choose as source a host that has it"
            return [_manifest.problem("model", f"{path} is no directory on {where}", "a model directory", fix)]
        missing = _manifest.missing_files(states, params["required"], indexes(path, states))
        return [
            *_manifest.model_problems(path, where, missing, not states),
            *_manifest.corruption_problems(path, where, damaged),
            *closed,
        ]
    consent = [] if params["replace"] else _manifest.needs_consent(diff, wanted.files, record)
    needed = sum(entry.size for entry in wanted.files if entry.path in {*diff.missing, *diff.differing})
    return [
        *_manifest.tree_problems(path, where, wanted, diff, consent, mount_of(path).shared),
        *_manifest.disk_problems(existing(path), free_bytes(path), needed, int(params["reserve_gib"] * _manifest.GIB)),
        *closed,
    ]


def answer(
    path: str,
    where: str,
    *,
    changed: bool = False,
    exists: bool = True,
    files: Sequence[_manifest.Entry] = (),
    hashed: int = 0,
    copy: Sequence[_manifest.Entry] = (),
    remove: Sequence[str] = (),
    damaged: Sequence[str] = (),
    problems: Sequence[dict[str, str]] = (),
) -> dict[str, t.Any]:
    """Return a look as data. Who fails needs no lists of files below the reason."""
    if problems:
        files, copy = (), ()
    return {
        "changed": changed,
        "exists": exists,
        "directory": path,
        "where": where,
        "files": [entry.as_dict() for entry in files],
        "digest": _manifest.digest(files) if exists and not problems else "",
        "bytes": _manifest.size_of(files),
        "hashed_bytes": hashed,
        "filesystem": mount_of(path)._asdict(),
        "free_bytes": free_bytes(path),
        "to_copy": [entry.as_dict() for entry in copy],
        "to_copy_bytes": _manifest.size_of(copy),
        "to_remove": list(remove),
        "damaged": list(damaged),
        "problems": [{"host": where, **problem} for problem in problems],
    }
