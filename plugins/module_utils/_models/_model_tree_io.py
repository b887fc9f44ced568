# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Model directories on disk: read one, compare it with another, record what was hashed. PRIVATE to the collection.

It runs on hosts as a part of modules, and on the controller as a part of action plugins.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _folders_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees import _manifest, _manifest_io, _tree, _tree_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._manifest_io import unusable

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    Result = t.TypeVar("Result")

    class Answer(t.TypedDict):
        """What model_manifest returns."""

        changed: bool
        exists: bool
        directory: str
        where: str
        files: list[dict[str, str | int]]
        piece_bytes: int
        digest: str
        bytes: int
        hashed_bytes: int
        filesystem: dict[str, object]
        free_bytes: int
        to_copy: list[dict[str, str | int]]
        to_copy_bytes: int
        to_remove: list[str]
        damaged: list[str]
        record: str
        problems: list[dict[str, str]]


class Options(t.NamedTuple):
    """The options of model_manifest. wanted: what it returned for the source, nothing where this is the source."""

    path: str
    side: str
    name: str
    depth: str
    record_directory: str
    user: str
    required: Sequence[str]
    digest: str
    wanted: Answer | None
    replace: bool
    reserve_gib: float

    @property
    def place(self) -> str:
        return os.path.normpath(self.path)

    @property
    def where(self) -> str:
        return self.name or "this host"


def readable(read: Callable[[], Result], path: str) -> Result:
    """Return what reading a model's directory gives. Raise Unusable where it can't be read as one."""
    try:
        return read()
    except _folders_io.Refused as error:
        raise unusable(error.found, error.wanted, error.fix) from error
    except FileNotFoundError as error:
        target = os.readlink(error.filename) if os.path.islink(error.filename or "") else ""
        what = f"{error.filename} is a link to {target}, which does not exist" if target else str(error)
        raise unusable(what, "all files of the model", "download the model again, or copy it with its blobs") from error
    except OSError as error:
        raise unusable(str(error), "a directory that can be read", "check its owner, mode and disk") from error


def check_names(path: str, names: Iterable[str]) -> None:
    """Raise Unusable where a name can't be sent to others."""
    try:
        for name in names:
            name.encode("utf-8")
    except UnicodeEncodeError as error:
        found = error.object.encode("utf-8", "backslashreplace").decode()
        raise unusable(f"the name {found} in {path} is not UTF-8", "names in UTF-8", "rename it") from error


def states(path: str, user: str = "") -> dict[str, _tree.State]:
    """Return the files of a model by their relative paths; none where there is no such directory.

    user: who must be able to read what links lead to that somebody else made, as of _manifest_io.account_of.
    """
    if not os.path.isdir(path):
        return {}
    found = readable(lambda: _tree_io.scan_plain(path, _manifest_io.account_of(user)), path)
    check_names(path, found)
    return {name: state for name, (entry, state) in found.items() if entry.kind == _tree.FILE}


def read(path: str, record: _tree.Record, piece: int, full: bool = False, user: str = "") -> _tree_io.Look:
    """Return a model's directory as it is. piece: size of its pieces; 0: what follows from its size. user: as above."""
    account = _manifest_io.account_of(user)
    now = readable(lambda: _tree_io.look(path, record, piece, full, plain=True, account=account), path)
    check_names(path, now.entries)
    return now


def hashes(path: str, states: Mapping[str, _tree.State], piece: int, user: str = "") -> dict[str, str]:
    """Return the hashes of the pieces of some files, by their names. states: of these files; user: as above."""
    account = _manifest_io.account_of(user)
    return (
        readable(lambda: _tree_io.hash_files(path, states, piece, plain=True, account=account), path) if states else {}
    )


def wanted_of(data: Answer | None) -> _manifest.Wanted | None:
    """Return the wanted tree from what the look at the source returned."""
    if not data:
        return None
    system = data.get("filesystem") or {}
    files = tuple(_manifest.parse_entries(data["files"]))
    shared, source = bool(system.get("shared")), str(system.get("source", ""))
    return _manifest.Wanted(data["directory"], data["where"], files, int(data["piece_bytes"]), shared, source)


def look(options: Options, dry: bool = False) -> Answer:
    """Read a tree's manifest, compare it with the wanted one where there is one, and return what the module returns."""
    path, where = options.place, options.where
    # A path through a link is the same tree.
    record = _tree_io.read_record(options.record_directory, _folders_io.resolved(path))
    try:
        wanted, full = wanted_of(options.wanted), options.depth == "full"
    except ValueError as error:
        fix = "correct the names of the source's files"
        return answer(path, where, problems=[_manifest.problem("model", str(error), "files of a model", fix)])
    # What the collection made is as it is recorded, or damaged: nobody else has anything to change there.
    kept = wanted is None and record.made and bool(record.files)
    try:
        piece = wanted.piece if wanted else record.piece if kept else 0
        now = read(path, record, piece, full, options.user)
    except _manifest_io.Unusable as error:
        return answer(path, where, problems=[error.problem])
    entries = _manifest.recorded(record) if kept else list(now.entries.values())
    have, want = _manifest.entries(now.entries.values()), _manifest.entries(entries)
    diff = _manifest.difference(have, wanted.files if wanted else want)
    new = now.record(record.path, record.made)
    damaged = _manifest.corrupted(new.files, record) if new.piece == record.piece else []
    digest = _tree.digest(_tree.dump(_tree.Manifest(now.piece, entries)))
    problems = judge(options, now, record, diff, [] if kept else damaged)
    changed = False
    if now.exists:
        problems += _manifest.digest_problems(path, where, digest, options.digest)
        doubtful = _manifest.names_of(diff) if wanted or kept else damaged
        changed = write_record(options.record_directory, _manifest.next_record(new, record, doubtful), dry)
    missing = {*diff.missing, *diff.differing}
    return answer(
        path,
        where,
        changed=changed,
        exists=now.exists,
        files=want,
        piece=now.piece,
        digest=digest,
        hashed=now.hashed,
        copy=[entry for entry in (wanted.files if wanted else want) if entry.path in missing],
        remove=diff.extra,
        damaged=damaged,
        record=os.path.join(options.record_directory, _tree.record_name(record.path)),
        problems=problems,
    )


def write_record(directory: str, record: _tree.Record, dry: bool) -> bool:
    """Write a record where it is another. Return whether it was."""
    if _tree_io.read_record(directory, record.path) == record:
        return False
    if not dry:
        _tree_io.write_record(directory, record)
    return True


def judge(
    options: Options,
    now: _tree_io.Look,
    record: _tree.Record,
    diff: _manifest.Difference,
    damaged: Sequence[str],
) -> list[dict[str, str]]:
    """Return what is wrong with a tree, and what forbids to repair it."""
    path, where = options.place, options.where
    wanted = wanted_of(options.wanted)
    reader = _manifest_io.reader_of(options.user) if options.user else None
    closed = _manifest_io.closed_problems(path, now.states, reader) if reader else []
    if wanted is None:
        if not now.exists:
            fix = "correct the path, or choose a source host that has it"
            return [_manifest.problem("model", f"{path} is not a directory on {where}", "a model directory", fix)]
        there = {*now.states, *diff.missing}
        missing = _manifest.missing_files(there, options.required, _manifest_io.indexes(path, now.states))
        return [
            *_manifest.model_problems(path, where, missing, not there),
            *_manifest.corruption_problems(path, where, damaged),
            *closed,
        ]
    consent = [] if options.replace else _manifest.needs_consent(diff, wanted.files, wanted.piece, record)
    needed = sum(entry.size for entry in wanted.files if entry.path in {*diff.missing, *diff.differing})
    place, free = _manifest_io.existing(path), _manifest_io.free_bytes(path)
    return [
        *_manifest.tree_problems(path, where, wanted, diff, consent, _manifest_io.mount_of(path).shared),
        *_manifest.disk_problems(place, free, needed, int(options.reserve_gib * _manifest.GIB)),
        *closed,
    ]


def answer(
    path: str,
    where: str,
    *,
    changed: bool = False,
    exists: bool = True,
    files: Sequence[_manifest.Entry] = (),
    piece: int = 0,
    digest: str = "",
    hashed: int = 0,
    copy: Sequence[_manifest.Entry] = (),
    remove: Sequence[str] = (),
    damaged: Sequence[str] = (),
    record: str = "",
    problems: Sequence[dict[str, str]] = (),
) -> Answer:
    """Return a look as data. With a problem, the lists of files are left out."""
    if problems:
        files, copy = (), ()
    return {
        "changed": changed,
        "exists": exists,
        "directory": path,
        "where": where,
        "files": [entry.as_dict() for entry in files],
        "piece_bytes": piece,
        "digest": digest if exists and not problems else "",
        "bytes": _manifest.size_of(files),
        "hashed_bytes": hashed,
        "filesystem": _manifest_io.mount_of(path)._asdict(),
        "free_bytes": _manifest_io.free_bytes(path),
        "to_copy": [entry.as_dict() for entry in copy],
        "to_copy_bytes": _manifest.size_of(copy),
        "to_remove": list(remove),
        "damaged": list(damaged),
        "record": record,
        "problems": [{"host": where, **problem} for problem in problems],
    }
