# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a set of files and services must do to become what it should be. PRIVATE to the collection.

A service writes the SHA-256 sums of the files it depends on to its record whenever it starts. A running service
is stale if those sums differ from the planned ones, whatever is on the disk by now. That distinguishes the two kinds of
drift. If a file was edited while the service runs with the planned content, only the file is rewritten. A service that
runs with other content needs a restart, which may need consent.
"""

from __future__ import annotations

import hashlib
import json
import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._redact import is_secret, parse_environment

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._services._manager import Running, Service

# What names of variables and of options look like.
NAMES = {"environment": re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}"), "json": re.compile(r"[a-z][a-z0-9_-]{0,63}")}
# What a diff shows of a secret. Ansible shows a diff only where its two sides differ.
HIDDEN = ("present value, not shown", "expected value, not shown")
SECRET = ("present secret, not shown\n", "expected secret, not shown\n")


class Account(t.TypedDict, total=False):
    """The option account."""

    name: str
    home: str
    former_parent: str | None


class Entry(t.TypedDict, total=False):
    """An entry of directories, files or secret_files; a secret file has its content by then."""

    path: str
    owner: str | None
    group: str | None
    mode: str | None
    content: str
    format: str
    public: Sequence[str]


class Link(t.TypedDict, total=False):
    """An entry of links."""

    path: str
    target: str
    former: str | None


class Options(t.TypedDict):
    """The module's arguments, without secrets and the manager."""

    account: Account | None
    directories: list[Entry]
    files: list[Entry]
    secret_files: list[Entry]
    links: list[Link]
    absent: list[str]
    services: list[Mapping[str, str]]


@dataclass(frozen=True)
class Verdict:
    """What to do with one service: none, start, restart, stop or hold, and why."""

    action: str
    reasons: list[str] = field(default_factory=list)


def unfit_names(params: Options) -> list[str]:
    """Return which paths and names in the module's options root must not use, each in words."""
    entries = [*params["directories"], *params["files"], *params["secret_files"]]
    services = params["services"]
    paths = [entry["path"] for entry in [*entries, *params["links"]]] + list(params["absent"])
    paths += [service[key] for service in services for key in ("unit_path", "record")]
    names = [service["name"] for service in services]
    names += [name for entry in entries for name in (entry.get("owner"), entry.get("group")) if name]
    account = params["account"]
    if account:
        paths.append(account["home"])
        names.append(account["name"])
    return [
        *(f"{path!r} has '..' or a control character in it" for path in paths if not _is_path(path)),
        *(
            f"{name!r} is not a valid name: it has '/' or a control character in it, or begins with '-' or '.'"
            for name in names
            if not _is_name(name)
        ),
    ]


def _is_path(path: str) -> bool:
    return path.isprintable() and ".." not in path.split("/")


def _is_name(name: str) -> bool:
    return bool(name) and name.isprintable() and "/" not in name and name[0] not in "-."


def sha256(content: str) -> str:
    """Return the hexadecimal SHA-256 of a text in UTF-8."""
    return hashlib.sha256(content.encode("utf-8", "surrogateescape")).hexdigest()


def parse_sums(text: str) -> dict[str, str]:
    """Parse the output of sha256sum to {path: sum}. Lines that are no sums are passed over."""
    sums = {}
    for line in text.splitlines():
        digest, separator, path = line.partition("  ")
        if separator and len(digest) == 64:
            sums[path] = digest
    return sums


def decide(
    service: Service,
    running: Running,
    started: Mapping[str, str],
    wanted: Mapping[str, str],
    may_stop: bool,
    present: Mapping[str, str] | None = None,
    names: Mapping[str, Sequence[str]] | None = None,
) -> Verdict:
    """Decide about one service.

    started: the sums in the service's record. wanted: the sums that it should run with. present: those of the files on
    the disk. may_stop: whether it may be stopped while it runs. names: of the options and variables in which a file on
    the disk differs from the wanted one, by its path.
    """
    if service.state != "started":
        if not running.active:
            return Verdict("none")
        reason = f"{service.name} runs here, but the plan places it on another host"
        return Verdict("stop" if may_stop else "hold", [reason])
    if not running.active:
        return Verdict("start", [f"{service.name} is {running.state}"])
    present, names = present or {}, names or {}
    if not started:
        differing = [path for path in service.depends if path in present and present[path] != wanted.get(path)]
        reasons = [
            f"{service.name} runs without a record of what it was started with",
            *(
                f"{path} differs from the planned one{_listed(names.get(path))}"
                if path in wanted
                else f"{path} would be removed"
                for path in differing
            ),
        ]
    else:
        # Only the sums of what a service was started with are known. If the file has changed since, its names are of no
        # use.
        reasons = [
            f"{path} is not what {service.name} was started with"
            + _listed(names.get(path) if present.get(path) == started.get(path) else ())
            for path in service.depends
            if started.get(path) != wanted.get(path)
        ]
    if not reasons:
        return Verdict("none")
    return Verdict("restart" if may_stop else "hold", reasons)


def _listed(names: Sequence[str] | None) -> str:
    return f": {', '.join(names)}" if names else ""


def changed_names(kind: str, before: str, after: str) -> list[str]:
    """Return the names in a file that are added, removed or have another value, none where a side can't be read.

    kind: text, environment or json. What somebody wrote into a file may look like a name and be a secret, so only what
    looks like a variable or an option is returned.
    """
    old, new = (parse_secret(kind, text) for text in (before, after))
    if not old or not new:
        return []
    names = (name for name in {*old, *new} if name not in old or name not in new or old[name] != new[name])
    return sorted(filter(NAMES[kind].fullmatch, names))


def held_paths(services: Iterable[Service], verdicts: Mapping[str, Verdict], links: Iterable[str] = ()) -> set[str]:
    """Return the files that must stay as they are because a service that depends on them may not be stopped.

    links: those of the same call, which show what its services depend on.
    """
    held = [service for service in services if verdicts[service.name].action == "hold"]
    return {path for service in held for path in (service.unit_path, *service.depends, *links)}


def parse_secret(kind: str, text: str) -> dict[str, object]:
    """Return the names and values of a secret file, nothing where it has none. kind: text, environment or json."""
    if kind == "text":
        return {}
    try:
        content: object = parse_environment(text) if kind == "environment" else json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def secret_sides(entry: Entry, before: str, after: str) -> tuple[str, str]:
    """Return the two sides of the diff of a secret file: names that are added, removed or changed, and no secrets.

    entry: of the option secret_files; its `format` and `public` are read.
    """
    contents = [parse_secret(entry["format"], text) for text in (before, after)]

    def line(name: str, side: int) -> str:
        value = contents[side][name]
        is_text = not isinstance(value, (bool, int, float, type(None)))
        if entry["format"] == "json" and not is_secret(name) and (name in entry["public"] or not is_text):
            return f"{name}: {json.dumps(value)}\n"
        same = contents[0].get(name) == contents[1].get(name) or not all(name in content for content in contents)
        return f"{name}\n" if same else f"{name}: {HIDDEN[side]}\n"

    shown = ["".join(line(name, side) for name in sorted(contents[side])) for side in (0, 1)]
    # Only comments, quotes or the order differ, or it can't be read.
    return SECRET if shown[0] == shown[1] else (shown[0], shown[1])
