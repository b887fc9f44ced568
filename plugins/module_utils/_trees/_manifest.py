# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model's directory should be, and what it lacks: the judgement of its files. PRIVATE to the collection.

A model is a plain tree (_tree.py, _tree_io.py): only the content of its files counts. What leaves a host is one hash
for each file, of the hashes of its pieces: a large model has very many pieces.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _json
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._problem import Problem
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees import _tree

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

FIRST_FILE = "config.json"
NAMES_SHOWN = 5
MIB = 1024**2
GIB = 1024**3
# Of model_manifest, which is a module and an action plugin.
ARGUMENTS: dict[str, dict[str, object]] = {
    "path": {"type": "path", "required": True},
    "side": {"type": "str", "choices": ["host", "controller", "auto"], "default": "host"},
    "name": {"type": "str", "default": ""},
    "depth": {"type": "str", "choices": ["quick", "full"], "default": "quick"},
    "record_directory": {"type": "path", "default": "/var/lib/vllm-ray/manifests"},
    "user": {"type": "str", "default": ""},
    "required": {"type": "list", "elements": "str", "default": [FIRST_FILE]},
    "digest": {"type": "str", "default": ""},
    "wanted": {"type": "dict"},
    "replace": {"type": "bool", "default": False},
    "reserve_gib": {"type": "float", "default": 1},
}


class Entry(t.NamedTuple):
    """One file of a manifest; its path is relative to the tree. hash: of the hashes of its pieces."""

    path: str
    size: int
    hash: str

    def as_dict(self) -> dict[str, str | int]:
        return self._asdict()


@dataclass(frozen=True)
class Difference:
    """What makes one tree another: names of files that are missing, have other content, or are too many."""

    missing: tuple[str, ...] = ()
    differing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.missing or self.differing or self.extra)


@dataclass(frozen=True)
class Wanted:
    """What a tree should be. where: the host, or the controller, that has it in path; source: of its file system.

    piece: size of the pieces of which the hashes are.
    """

    path: str
    where: str
    files: tuple[Entry, ...]
    piece: int = 0
    shared: bool = False
    source: str = ""


def problem(check: str, found: str, wanted: str, fix: str, severity: str = "error") -> dict[str, str]:
    """Return a problem without the host's name, which the caller adds."""
    return Problem("", check, severity, found, wanted, fix).as_dict()


def sentence(problem: Mapping[str, str]) -> str:
    """Return a problem as a line of an error."""
    return f"{problem['found']}. Expected: {problem['wanted']}. To fix: {problem['fix']}."


def entries(tree: Iterable[_tree.Entry]) -> list[Entry]:
    """Return the files of a tree in order."""
    files = (Entry(entry.path, entry.size, _tree.digest(entry.text)) for entry in tree if entry.kind == _tree.FILE)
    return sorted(files)


def recorded(record: _tree.Record) -> list[_tree.Entry]:
    """Return a plain tree as it is recorded: its files and their directories."""
    files = [_tree.plain_file(name, known.state.size, known.text) for name, known in record.files.items()]
    return _tree.with_directories(files)


def parse_entries(files: Iterable[Mapping[str, str | int]]) -> list[Entry]:
    """Return a manifest that came as data. ValueError where a name or size can't be one of a model."""
    entries = [Entry(str(one["path"]), int(one["size"]), str(one["hash"])) for one in files]
    for entry in entries:
        wrong = _tree.name_problem(entry.path, plain=True)
        if wrong or not 0 <= entry.size <= _tree.TREE_MAXIMUM:
            raise ValueError(f"the file {entry.path!r} of the manifest is wrong: {wrong or 'its size'}")
    return entries


def changed(files: Mapping[str, _tree.Known], record: _tree.Record) -> list[str]:
    """Return the names of files whose content is another than the record's. Both have pieces of one size."""
    return sorted(name for name, now in files.items() if name in record.files and record.files[name].text != now.text)


def corrupted(files: Mapping[str, _tree.Known], record: _tree.Record) -> list[str]:
    """Return those whose size and mtime are what they were nevertheless."""
    return [name for name in changed(files, record) if record.files[name].state[:2] == files[name].state[:2]]


def next_record(now: _tree.Record, old: _tree.Record, doubtful: Iterable[str]) -> _tree.Record:
    """Return what to record. Doubtful files keep what they had, so that a later look still knows their old content.

    It hashes them again whatever their state is then.
    """
    doubts = set(doubtful)
    kept = {
        name: known._replace(state=known.state._replace(ctime_ns=0))
        for name, known in old.files.items()
        if name in doubts and old.piece == now.piece
    }
    sure = {name: known for name, known in now.files.items() if name not in doubts}
    return _tree.Record(now.path, now.made, now.piece, {**sure, **kept})


def size_of(manifest: Iterable[Entry]) -> int:
    return sum(entry.size for entry in manifest)


def difference(have: Iterable[Entry], want: Iterable[Entry]) -> Difference:
    """Return what makes the tree that is there the wanted one."""
    here = {entry.path: entry for entry in have}
    there = {entry.path: entry for entry in want}
    return Difference(
        missing=tuple(sorted(there.keys() - here.keys())),
        differing=tuple(sorted(name for name in there.keys() & here.keys() if there[name] != here[name])),
        extra=tuple(sorted(here.keys() - there.keys())),
    )


def needs_consent(diff: Difference, want: Iterable[Entry], piece: int, record: _tree.Record) -> list[str]:
    """Return the files of a tree that we did not make whose change or removal somebody must allow.

    A file that once had the wanted content may get it back. piece: size of the wanted pieces.
    """
    if record.made:
        return []
    wanted = {entry.path: entry.hash for entry in want}
    once = {name: _tree.digest(known.text) for name, known in record.files.items()} if record.piece == piece else {}
    foreign = [name for name in diff.differing if once.get(name) != wanted[name]]
    return sorted([*foreign, *diff.extra])


def named(names: Sequence[str]) -> str:
    """Return a few names for a sentence."""
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(names[:NAMES_SHOWN]) + more


def gib(size: float) -> str:
    """Return a size for a sentence."""
    return f"{size / GIB:.1f} GiB" if size >= GIB / 10 else f"{size / MIB:.1f} MiB"


def missing_files(names: Iterable[str], required: Sequence[str], indexes: Mapping[str, str]) -> list[str]:
    """Return the files that a model lacks. indexes: texts of the *.index.json, which name the parts of the weights."""
    here = set(names)
    wanted = set(required)
    for text in indexes.values():
        try:
            wanted |= {str(name) for name in _json.parse(text, dict)["weight_map"].values()}
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return sorted(wanted - here)


def model_problems(path: str, where: str, missing: Sequence[str], empty: bool) -> list[dict[str, str]]:
    """Return what keeps a directory from being a model."""
    if not missing and not empty:
        return []
    found = f"{path} on {where} has no {'files' if empty else named(missing)}"
    fix = "name the directory that holds the model's files, or copy the missing files into it"
    return [problem("model", found, "a model with all its files", fix)]


def digest_problems(path: str, where: str, have: str, want: str) -> list[dict[str, str]]:
    """Return that a source is not what somebody pinned. want: the pinned digest, or nothing."""
    if not want or have == want:
        return []
    fix = "restore the files, or set model_digest to the new digest if the change was intended"
    return [problem("model", f"{path} on {where} has the digest {have}", want, fix)]


def corruption_problems(path: str, where: str, names: Sequence[str]) -> list[dict[str, str]]:
    """Return that files of a source changed without a sign of it."""
    if not names:
        return []
    found = f"{path} on {where}: {named(names)} changed, but size and time of modification did not"
    fix = "restore it from the origin of the model, or run touch on it if the change was intended"
    return [problem("model", found, "the content of the last full hash; otherwise a damaged file would be copied", fix)]


def tree_problems(
    path: str, where: str, wanted: Wanted, diff: Difference, consent: Sequence[str], shared: bool
) -> list[dict[str, str]]:
    """Return what forbids making a tree the wanted one."""
    source = f"{wanted.path} on {wanted.where}"
    if not diff:
        return []
    if wanted.shared and wanted.path == path:
        if not shared:
            found = f"{path} lies on a shared file system on {wanted.where}, and on {where} it does not"
            fix = f"mount it on {where}, or set model_path to a local directory, to which the model is copied"
            return [problem("model", found, f"{wanted.source} mounted on every host", fix)]
        found = f"{where} sees different files in {path} than {wanted.where}: {named(names_of(diff))}"
        return [problem("model", found, f"{wanted.source} mounted on every host", "mount the same file system there")]
    if not consent:
        return []
    found = f"{path} on {where} was not made by this role and differs from {source}: {named(consent)}"
    fix = "set model_replace=true, or set model_path to another directory, or choose this host as source"
    return [problem("model", found, "consent to replace or remove these files", fix)]


def names_of(diff: Difference) -> list[str]:
    return sorted({*diff.missing, *diff.differing, *diff.extra})


def disk_problems(place: str, free: int, needed: int, reserve: int) -> list[dict[str, str]]:
    """Return whether a file system has too little room for what will be copied to it."""
    if not needed or free >= needed + reserve:
        return []
    found = f"{place} has {gib(free)} free"
    wanted = f"{gib(needed + reserve)} ({gib(needed)} to copy and {gib(reserve)} to spare)"
    fix = "make room, or set model_root (vllm_ray_model_root) to a directory on a larger file system"
    return [problem("disk", found, wanted, fix)]
