# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be wrong with the model's files on hosts, from looks at them. PRIVATE to the collection.

Hosts are compared with each other: a file is as it should be where it is as on most of them. What the role model mends
by itself is a warning, what it would refuse or copy to the others is an error.
"""

from __future__ import annotations

import typing as t
from collections import Counter
from dataclasses import dataclass

from ansible_collections.vllm_ray.cluster.plugins.module_utils._manifest import gib, named
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._problem import Problem

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._host import Host

    # RV(model.files) of host_info.
    Tree = Mapping[str, t.Any]

CONTROLLER = "the controller"


class File(t.NamedTuple):
    """What a file is. sha256: empty where it was not hashed."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Copy:
    """A host's copy of a model. origin: where site.yml would copy from; others: the hosts with a copy, beside it."""

    host: str
    tree: Tree
    origin: str
    others: Sequence[str]

    @property
    def is_origin(self) -> bool:
        return self.host == self.origin

    def mend(self, names: Iterable[str], removes: bool = True) -> tuple[str, str]:
        """Return severity and mend of files that must be replaced. removes: those that are there have to go first."""
        path, first = self.tree["path"], min(names)
        if self.is_origin:
            source = f"copy it from {self.others[0]}" if self.others else "bring it from where the model came from"
            return "error", f"{source}, or remove {path} and run site.yml where the model comes from a hub"
        mends = f"site.yml, which copies it from {self.origin}"
        # The role replaces files of trees that it made, and files that once had the wanted content.
        if not removes or self.tree["made"] or set(names) <= set(self.tree["touched"]):
            return "warning", f"run {mends}"
        return "error", f"rm {path}/{first} on {self.host}, then run {mends}"


def check_models(hosts: Sequence[Host], model: Mapping[str, t.Any]) -> list[Problem]:
    """Check the model's files on all hosts that were looked at. model: the plan's."""
    origin = CONTROLLER if model.get("source") == "controller" else str(model.get("source_host", ""))
    trees = {host.name: (host.look["model"] or {}).get("files") for host in hosts if host.look}
    paths = sorted(
        {tree["path"] for tree in trees.values() if tree and tree["path"] == (model.get("path") or tree["path"])}
    )
    problems = []
    for path in paths:
        have = {name: tree for name, tree in trees.items() if tree and tree["path"] == path}
        usual = usual_files(list(have.values()))
        for name, tree in have.items():
            problems += tree_problems(Copy(name, tree, origin, [other for other in have if other != name]), usual)
        size = sum(file.size for file in usual.values())
        # Of a hub's model hosts may have several commits, of which only one is wanted.
        problems += absent(path, [name for name in trees if name not in have], origin, size) if len(paths) == 1 else []
    return problems


def absent(path: str, hosts: Sequence[str], origin: str, size: int) -> list[Problem]:
    """Say which hosts will get the model."""
    fix = f"nothing: site.yml copies {gib(size)} from {origin}"
    return [Problem(host, "model", "info", f"{path} is not there", "the model on every host", fix) for host in hosts]


def usual_files(trees: Sequence[Tree]) -> dict[str, File]:
    """Return the files that at least half of the copies have whole, as most have them; of a draw as the first."""
    votes: dict[str, Counter[File]] = {}
    for tree in trees:
        for name, size in tree["bytes"].items():
            if name not in tree["broken"]:
                votes.setdefault(name, Counter())[File(size, tree["hashes"].get(name, ""))] += 1
    return {name: count.most_common(1)[0][0] for name, count in votes.items() if 2 * count.total() >= len(trees)}


def tree_problems(copy: Copy, usual: Mapping[str, File]) -> list[Problem]:
    """Return what is wrong with one copy. usual: the files as most copies have them."""
    tree, path = copy.tree, copy.tree["path"]
    problems = [
        Problem(copy.host, entry["check"], entry["severity"], entry["found"], entry["wanted"], entry["fix"])
        for entry in tree["problems"]
    ]
    if not tree["bytes"]:
        return problems

    def add(names: Sequence[str], found: str, wanted: str, removes: bool = True) -> None:
        if names:
            severity, fix = copy.mend(names, removes)
            problems.append(Problem(copy.host, "model", severity, found, wanted, fix))

    files = {name: File(size, tree["hashes"].get(name, "")) for name, size in tree["bytes"].items()}
    missing = sorted({*tree["missing"], *(usual.keys() - files.keys())})
    add(missing, f"{path} has no {named(missing)}", "a model with all its files", removes=False)
    for name, why in tree["broken"].items():
        add([name], f"{path}: {why}", "whole files")
    other = sorted(n for n, file in files.items() if n in usual and file != usual[n] and n not in tree["broken"])
    for name in [name for name in other if files[name].size != usual[name].size]:
        add([name], f"{path}/{name} has {files[name].size} bytes", f"{usual[name].size}, as on most hosts")
    same_size = [name for name in other if files[name].size == usual[name].size]
    add(same_size, f"{path}: other content in {named(same_size)}", "the same content as on most hosts")
    problems += touched_problems(copy, [name for name in tree["touched"] if name not in (*other, *tree["broken"])])
    extra = sorted(files.keys() - usual.keys() - tree["broken"].keys())
    if extra and not copy.is_origin and not tree["made"]:
        fix = f"remove it on {copy.host}: site.yml makes all copies alike, and does not remove what it did not bring"
        found = f"{path} has {named(extra)}, which most hosts have not"
        problems.append(Problem(copy.host, "model", "warning", found, "the same files on all hosts", fix))
    return problems


def touched_problems(copy: Copy, names: Sequence[str]) -> list[Problem]:
    """Return that files are not what they were when they were hashed, or may not be."""
    if not names:
        return []
    path, hashed = copy.tree["path"], bool(copy.tree["hashes"])
    found = f"{path}: {named(names)} {'changed' if hashed else 'was touched'} since it was hashed"
    if hashed:
        severity, fix = copy.mend(names)
        return [Problem(copy.host, "model", severity, found, "the content that was recorded", fix)]
    fix = "-e vllm_ray_model_verify=full has preflight.yml compare its content"
    fix += (
        ", before site.yml copies it to the others" if copy.is_origin else f"; site.yml restores it from {copy.origin}"
    )
    return [Problem(copy.host, "model", "warning", found, "files as they were recorded", fix)]
