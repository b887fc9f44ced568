# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manifests of model directories: what a tree holds, and what it lacks. PRIVATE to the collection.

A manifest lists path, size and SHA-256 of each file. Its record keeps them with what the file system said of each file
at that time, so that a later look needs no hashing where nothing was touched.
"""

from __future__ import annotations

import hashlib
import json
import typing as t
from dataclasses import dataclass, field

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

FIRST_FILE = "config.json"
NAMES_SHOWN = 5
MIB = 1024**2
GIB = 1024**3
# Of model_manifest, which is a module and an action plugin.
ARGUMENTS: dict[str, t.Any] = {
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


class State(t.NamedTuple):
    """What the file system says of a file. Whoever changes its content changes ctime_ns, whatever else is put back."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int


class Entry(t.NamedTuple):
    """One file of a manifest; its path is relative to the tree."""

    path: str
    size: int
    sha256: str

    def as_dict(self) -> dict[str, t.Any]:
        return self._asdict()


class Hashed(t.NamedTuple):
    """A file of a record: its state when it was hashed, and the hash."""

    state: State
    sha256: str


@dataclass(frozen=True)
class Record:
    """What the last full hash of a tree found. made: the collection made the tree, so it may remove files from it."""

    path: str
    made: bool = False
    files: Mapping[str, Hashed] = field(default_factory=dict)


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
    """What a tree should be. where: the host, or the controller, that has it in path; source: of its file system."""

    path: str
    where: str
    files: tuple[Entry, ...]
    shared: bool = False
    source: str = ""


def problem(check: str, found: str, wanted: str, fix: str, severity: str = "error") -> dict[str, str]:
    """Return a problem; who knows the host's name adds it."""
    return {"check": check, "severity": severity, "found": found, "wanted": wanted, "fix": fix}


def sentence(problem: Mapping[str, str]) -> str:
    """Return a problem as a line of an error."""
    return f"{problem['found']}. Wanted: {problem['wanted']}. To mend: {problem['fix']}."


def is_part(path: str) -> bool:
    """Whether a relative path belongs to a model: hidden files and directories are tools' own."""
    return not any(part.startswith(".") for part in path.split("/"))


def record_name(path: str) -> str:
    """Return the name of the file that holds the record of a tree."""
    return hashlib.sha256(path.encode("utf-8", "surrogateescape")).hexdigest()[:32] + ".json"


def parse_record(text: str, path: str) -> Record:
    """Return the record in a file, an empty one where it is of no use: then everything is hashed again."""
    try:
        data = json.loads(text)
        files = {
            str(name): Hashed(State(*(int(number) for number in entry[:4])), str(entry[4]))
            for name, entry in data["files"].items()
        }
        if data["path"] != path:
            return Record(path)
        return Record(path, bool(data["made"]), files)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        return Record(path)


def render_record(record: Record) -> str:
    """Return the text of a record; the same record always gives the same text."""
    files = {name: [*hashed.state, hashed.sha256] for name, hashed in record.files.items()}
    data = {"path": record.path, "made": record.made, "files": files}
    return json.dumps(data, indent=1, sort_keys=True) + "\n"


def to_hash(states: Mapping[str, State], record: Record, full: bool = False) -> list[str]:
    """Return the names of the files whose hash can't be taken from the record."""
    return sorted(
        name for name, state in states.items() if full or name not in record.files or record.files[name].state != state
    )


def merge(states: Mapping[str, State], record: Record, hashes: Mapping[str, str]) -> dict[str, Hashed]:
    """Return the files of a tree with the fresh hashes where there are any, and else the record's."""
    return {
        name: Hashed(state, hashes[name] if name in hashes else record.files[name].sha256)
        for name, state in states.items()
    }


def touched(states: Mapping[str, State], record: Record, hashes: Mapping[str, str]) -> list[str]:
    """Return the files of a record that were touched since it was made; with hashes, those whose content is another."""
    return sorted(
        name
        for name, hashed in record.files.items()
        if name in states and (hashes[name] != hashed.sha256 if name in hashes else states[name] != hashed.state)
    )


def parse_entries(files: Iterable[Mapping[str, t.Any]]) -> list[Entry]:
    """Return a manifest that came as data."""
    return [Entry(str(one["path"]), int(one["size"]), str(one["sha256"])) for one in files]


def corrupted(files: Mapping[str, Hashed], record: Record) -> list[str]:
    """Return the names of files whose content is another while size and mtime are what they were."""
    return sorted(
        name
        for name, now in files.items()
        if name in record.files
        and record.files[name].sha256 != now.sha256
        and record.files[name].state[:2] == now.state[:2]
    )


def to_record(files: Mapping[str, Hashed], record: Record, doubtful: Iterable[str]) -> Record:
    """Return the next record. Doubtful files keep what they had, so that a later look still knows their old content."""
    doubts = set(doubtful)
    kept = {name: hashed for name, hashed in record.files.items() if name in doubts}
    return Record(record.path, record.made, {**{n: h for n, h in files.items() if n not in doubts}, **kept})


def entries(files: Mapping[str, Hashed]) -> list[Entry]:
    """Return the manifest of hashed files, in order."""
    return [Entry(name, files[name].state.size, files[name].sha256) for name in sorted(files)]


def digest(manifest: Iterable[Entry]) -> str:
    """Return one hash for a whole manifest."""
    total = hashlib.sha256()
    for entry in sorted(manifest):
        total.update(f"{entry.path}\0{entry.size}\0{entry.sha256}\n".encode("utf-8", "surrogateescape"))
    return total.hexdigest()


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


def install_order(names: Iterable[str]) -> list[str]:
    """Return names in the order in which files may appear: without its config.json nobody takes a tree for a model."""
    return sorted(names, key=lambda name: (name == FIRST_FILE, name))


def needs_consent(diff: Difference, want: Iterable[Entry], record: Record) -> list[str]:
    """Return the files of a tree that we did not make whose change or removal somebody must allow.

    A file that once had the wanted content may get it back.
    """
    if record.made:
        return []
    wanted = {entry.path: entry.sha256 for entry in want}
    foreign = [name for name in diff.differing if name not in record.files or record.files[name].sha256 != wanted[name]]
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
            wanted |= {str(name) for name in json.loads(text)["weight_map"].values()}
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return sorted(wanted - here)


def model_problems(path: str, where: str, missing: Sequence[str], empty: bool) -> list[dict[str, str]]:
    """Return what keeps a directory from being a model."""
    if not missing and not empty:
        return []
    found = f"{path} on {where} has no {'files' if empty else named(missing)}"
    fix = "name the directory that holds the model's files, or bring what is missing into it"
    return [problem("model", found, "a model with all its files", fix)]


def digest_problems(path: str, where: str, have: str, want: str) -> list[dict[str, str]]:
    """Return that a source is not what somebody pinned. want: the pinned digest, or nothing."""
    if not want or have == want:
        return []
    fix = "restore the files, or set model_digest to the new digest where the change was wanted"
    return [problem("model", f"{path} on {where} has the digest {have}", want, fix)]


def corruption_problems(path: str, where: str, names: Sequence[str]) -> list[dict[str, str]]:
    """Return that files of a source changed without a sign of it."""
    if not names:
        return []
    found = f"{path} on {where}: {named(names)} changed while size and time of modification stayed"
    fix = "restore it from where the model came from, or touch it where the change was wanted"
    return [problem("model", found, "the content of the last full hash, else a damaged file would be copied", fix)]


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
        found = f"{where} sees other files in {path} than {wanted.where}: {named(names_of(diff))}"
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
