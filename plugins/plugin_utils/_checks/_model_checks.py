# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the model's files on hosts, from their probes. PRIVATE to the collection.

Hosts are compared with each other: a file is as it should be where it is as on most of them. What the role repairs
by itself is a warning, what it would refuse or copy to the others is an error.
"""

from __future__ import annotations

import typing as t
from collections import Counter
from dataclasses import dataclass

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._problem import Problem
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._manifest import gib, named
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks._check import Need, check

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._host._look import ModelFiles
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._host import Host

CONTROLLER = "the controller"


class File(t.NamedTuple):
    """What a file is. hash: empty where it is not known."""

    size: int
    hash: str

    def is_not(self, other: File) -> bool:
        """Whether it is another file, as far as it was hashed."""
        return self.size != other.size or bool(self.hash and other.hash and self.hash != other.hash)


@dataclass(frozen=True)
class Copy:
    """A host's copy of a model. origin: where site.yml would copy from; others: the hosts with a copy, beside it."""

    host: str
    tree: ModelFiles
    origin: str
    others: Sequence[str]

    @property
    def is_origin(self) -> bool:
        return self.host == self.origin

    @property
    def source(self) -> str:
        """Return where site.yml restores files from, empty where it takes this copy as it is.

        A tree that the collection made is as it is recorded, or damaged, also where others are copied from it.
        """
        if not self.is_origin:
            return self.origin
        return self.others[0] if self.others and self.tree["made"] else ""

    def repair(self, names: Iterable[str], removes: bool = True) -> tuple[str, str]:
        """Return severity and fix of files that must be replaced. removes: those that are there have to go first."""
        path, first = self.tree["path"], min(names)
        if not self.source:
            fix = f"copy it from {self.others[0]}" if self.others else "copy it from the origin of the model"
            return "error", f"{fix}, or remove {path} and run site.yml where the model comes from a hub"
        more = " -e vllm_ray_model_verify=full" if set(names) & set(self.tree["silent"]) else ""
        fix = f"site.yml{more}, which copies it from {self.source}"
        # The role replaces files of trees that it made, and files that once had the wanted content.
        if not removes or self.tree["made"] or set(names) <= set(self.tree["touched"]):
            return "warning", f"run {fix}"
        return "error", f"rm {path}/{first} on {self.host}, then run {fix}"


@check("model", needs=Need.PLAN)
def check_models(hosts: Sequence[Host], model: Mapping[str, object]) -> list[Problem]:
    """Check the model's files on all probed hosts. model: the plan's."""
    origin = CONTROLLER if model.get("source") == "controller" else str(model.get("source_host", ""))
    trees = {host.name: host.look["model"]["files"] if host.look["model"] else None for host in hosts if host.look}
    paths = sorted(
        {tree["path"] for tree in trees.values() if tree and tree["path"] == (model.get("path") or tree["path"])}
    )
    problems = []
    for path in paths:
        have = {name: tree for name, tree in trees.items() if tree and tree["path"] == path}
        usual = usual_files(list(have.values()))
        for name, tree in have.items():
            copy = Copy(name, tree, origin, [other for other in have if other != name])
            problems += tree_problems(copy, usual, usual_piece(list(have.values())))
        size = sum(file.size for file in usual.values())
        # Of a hub's model hosts may have several commits, of which only one is wanted.
        problems += absent(path, [name for name in trees if name not in have], origin, size) if len(paths) == 1 else []
    return problems


def absent(path: str, hosts: Sequence[str], origin: str, size: int) -> list[Problem]:
    """Say which hosts will get the model."""
    fix = f"nothing: site.yml copies {gib(size)} from {origin}"
    return [Problem(host, "model", "info", f"{path} is not there", "the model on every host", fix) for host in hosts]


def files_of(tree: ModelFiles, piece: int) -> dict[str, File]:
    """Return the files of a copy. piece: of which size the pieces must be, so that hashes can be compared."""
    hashes = tree["hashes"] if tree["piece_bytes"] == piece else {}
    return {name: File(size, hashes.get(name, "")) for name, size in tree["bytes"].items()}


def usual_piece(trees: Sequence[ModelFiles]) -> int:
    """Return the size of pieces that most copies have: a copy that lacks files may have others."""
    return Counter(tree["piece_bytes"] for tree in trees).most_common(1)[0][0] if trees else 0


def usual_files(trees: Sequence[ModelFiles]) -> dict[str, File]:
    """Return the files that at least half of the copies have whole, as most have them; of a draw as the first."""
    votes: dict[str, Counter[File]] = {}
    piece = usual_piece(trees)
    for tree in trees:
        for name, file in files_of(tree, piece).items():
            if name not in tree["broken"]:
                votes.setdefault(name, Counter())[file] += 1
    return {name: count.most_common(1)[0][0] for name, count in votes.items() if 2 * count.total() >= len(trees)}


def tree_problems(copy: Copy, usual: Mapping[str, File], piece: int) -> list[Problem]:
    """Return what is wrong with one copy. usual: the files as most copies have them, hashed in pieces of that size."""
    tree, path = copy.tree, copy.tree["path"]
    problems = [
        Problem(copy.host, entry["check"], entry["severity"], entry["found"], entry["wanted"], entry["fix"])
        for entry in tree["problems"]
    ]
    if not tree["bytes"]:
        return problems

    def add(names: Sequence[str], found: str, wanted: str, removes: bool = True) -> None:
        if names:
            severity, fix = copy.repair(names, removes)
            problems.append(Problem(copy.host, "model", severity, found, wanted, fix))

    files = files_of(tree, piece)
    missing = sorted({*tree["missing"], *(usual.keys() - files.keys())})
    add(missing, f"{path} has no {named(missing)}", "a model with all its files", removes=False)
    for name, why in tree["broken"].items():
        add([name], f"{path}: {why}", "complete files")
    other = sorted(n for n, file in files.items() if n in usual and file.is_not(usual[n]) and n not in tree["broken"])
    for name in [name for name in other if files[name].size != usual[name].size]:
        add([name], f"{path}/{name} has {files[name].size} bytes", f"{usual[name].size}, as on most hosts")
    same_size = [name for name in other if files[name].size == usual[name].size]
    add(same_size, f"{path}: different content in {named(same_size)}", "the same content as on most hosts")
    problems += touched_problems(copy, [name for name in tree["touched"] if name not in (*other, *tree["broken"])])
    extra = sorted(files.keys() - usual.keys() - tree["broken"].keys())
    if extra and not copy.is_origin and not tree["made"]:
        fix = f"remove it on {copy.host}: site.yml makes all copies equal, but removes only files that it copied"
        found = f"{path} has {named(extra)}, which most hosts do not have"
        problems.append(Problem(copy.host, "model", "warning", found, "the same files on all hosts", fix))
    return problems


def touched_problems(copy: Copy, names: Sequence[str]) -> list[Problem]:
    """Return that files are not what they were when they were hashed, or may not be."""
    path, hashes = copy.tree["path"], copy.tree["hashes"]
    changed, touched = [n for n in names if n in hashes], [n for n in names if n not in hashes]
    problems = []
    if changed:
        found, (severity, fix) = f"{path}: {named(changed)} changed since it was hashed", copy.repair(changed)
        problems.append(Problem(copy.host, "model", severity, found, "the content that was recorded", fix))
    if touched:
        restored = f"; site.yml restores it from {copy.source}"
        then = restored if copy.source else ", before site.yml copies it to the others"
        fix = f"preflight.yml compares its content{then}"
        found = f"{path}: {named(touched)} has a new size or time of modification since it was hashed"
        problems.append(Problem(copy.host, "model", "warning", found, "files as they were recorded", fix))
    return problems
