# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Audits files of a cluster on a host. Only metadata is read, but of secrets. PRIVATE to the collection."""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
import time
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._audits import _audit
from ansible_collections.vllm_ray.cluster.plugins.module_utils._audits._audit import Finding, Unknown
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _account_io, _redact, _redact_io, _safe_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._unsafe import shown
from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine._runtime import runtime_of
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees import _tree_io

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._audits._audit_io import Place

# What one tree may cost.
ENTRIES_MAXIMUM = 1_000_000
SECONDS = 60
UNIT_DIRECTORIES = (
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
)


def entries(root: str, seconds: float = SECONDS) -> Iterator[tuple[str, os.stat_result, str]]:
    """Yield path, status and target (of a link, else empty) of a directory and all below it, through no link.

    Raises Unknown where there is too much or it is too deep: what was not seen is not known. Raises OSError.
    """
    end, count = time.monotonic() + seconds, 0
    with _safe_io.open_directory(root) as top:
        yield root, top.status(), ""
        place = top.path
    for directory, name in _safe_io.walk(root, ENTRIES_MAXIMUM, directories=True):
        count += 1
        if count >= ENTRIES_MAXIMUM or time.monotonic() > end:
            raise Unknown(f"{shown(root)} has too many files: {count} were checked in {seconds:g} s at most")
        status = directory.lstat(name)
        path = root + directory.at(name)[len(place) :]
        if status is None:
            continue
        if stat.S_ISDIR(status.st_mode) and path.count("/") - root.count("/") > _safe_io.DEPTH_MAXIMUM:
            raise Unknown(f"{shown(path)} is more than {_safe_io.DEPTH_MAXIMUM} directories deep")
        yield path, status, directory.readlink(name) or "" if stat.S_ISLNK(status.st_mode) else ""


def paths(place: Place) -> Finding:
    """Audit the directories above what root runs or believes, and what links there lead to."""
    wanted = [*place.trusted_paths, runtime_of(place.release).python()]
    faults = []
    for path in wanted:
        parts = path.split("/")
        for end in range(2, len(parts) + 1):
            try:
                found = _account_io.exposed("/".join(parts[:end]))
            except FileNotFoundError:
                break
            if found:
                faults.append(f"{shown(found)} can be written or replaced by another account")
                break
    return Finding(f"{len(wanted)} paths", list(dict.fromkeys(faults)))


def _configuration(place: Place) -> list[tuple[str, str, os.stat_result, str]]:
    """Return name, path, status and target of all entries of the configuration."""
    start = len(place.config) + 1
    return [(path[start:], path, status, target) for path, status, target in entries(place.config) if path[start:]]


def modes(place: Place) -> Finding:
    """Audit owner and mode of each file of the configuration, its units, the command and what is recorded."""
    owners, groups = {0, os.geteuid()}, {0, place.gid, os.getegid()}
    found = _configuration(place)
    faults = [
        fault
        for name, path, status, _target in found
        for fault in _audit.file_faults(name, shown(path), status, owners, place.uid, groups)
    ]
    # Secrets may be in there; the rest is plain.
    others = [*place.unit_files, place.command, *_below(place.started), *_below(place.clusters)]
    for path in others:
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            continue
        expected = 0o600 if path.endswith(".yaml") else 0o755
        if not stat.S_ISREG(status.st_mode):
            faults.append(f"{shown(path)} is not a file")
        elif status.st_uid not in owners:
            faults.append(f"{shown(path)} belongs to uid {status.st_uid}")
        faults += filter(None, [_audit.mode_fault(shown(path), status.st_mode, expected)])
    return Finding(f"{len(found) + len(others)} files", faults)


def _below(folder: str) -> list[str]:
    try:
        return [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
    except (FileNotFoundError, NotADirectoryError):
        return []


def secrets(place: Place) -> Finding:
    """Audit length and form of token and key, and that no other cluster of the host has the same."""
    own = place.secrets
    faults: list[str] = []
    for path, text in own.items():
        faults += filter(None, [_audit.secret_fault(path, text)])
    if f"{place.config}/ray.token" not in own:
        raise Unknown(f"{place.config}/ray.token is not there")
    for cluster in place.other_clusters:
        theirs = secrets_of(cluster)
        faults += [
            f"{path} is the same as {other}"
            for path, text in own.items()
            for other, same in theirs.items()
            if text and text == same
        ]
    return Finding(f"{len(own)} secrets", faults)


def secrets_of(config: str) -> dict[str, str]:
    """Return {path: text} of token and key in a directory of a configuration."""
    found = [*_redact_io.texts(config, "ray.token"), *_redact_io.texts(config, "api.key")]
    found += [*_redact_io.texts(config, "secrets", "ray.token"), *_redact_io.texts(config, "secrets", "api.key")]
    return {path: text.strip() for path, text in found}


def values(place: Place) -> dict[str, str]:
    """Return {what it is: value} of all secrets that must be nowhere else: token, key, variables of such names."""
    found = dict(place.secrets)
    for path, text in [*_redact_io.texts(place.config, "tls.key"), *_redact_io.texts(place.config, "secrets", "*.key")]:
        found.setdefault(path, _audit.line_of_key(text))
    for path, text in _redact_io.texts(place.config, "*.env"):
        variables = _redact_io.parsed(path, text)
        for name, value in variables.items() if isinstance(variables, dict) else ():
            if _redact.is_secret(name):
                found[f"{name} of {path}"] = str(value)
    # The head has some of them twice.
    first = {value: name for name, value in reversed(list(found.items()))}
    return {name: value for value, name in first.items() if len(value) >= _audit.SHORTEST_VALUE}


def units(place: Place) -> Finding:
    """Audit that nothing but our own files says how a unit runs, that they are as we write them, and in force."""
    own = [f"{path}.d/network.conf" for path in place.unit_files]
    faults: list[str] = []
    for service in place.services:
        # systemd takes NAME@.service.d for NAME@instance.service, too.
        names = (f"{service}.service", f"{service.partition('@')[0]}@.service")
        for folder, name in itertools.product(UNIT_DIRECTORIES, names):
            added = [path for path in _below(f"{folder}/{name}.d") if path not in own]
            faults += [f"{shown(path)} changes the unit {service}" for path in added]
            if os.path.lexists(f"{folder}/{name}") and f"{folder}/{name}" not in place.unit_files:
                faults.append(f"{folder}/{name} is not the file of this collection")
    silent = []
    for service, path in zip(place.services, place.unit_files):
        file, record = _safe_io.read_text(path), _safe_io.read_text(place.record_of(service))
        if service in place.params["unit_texts"]:
            faults += _audit.unit_file_faults(path, file, place.params["unit_texts"][service])
        if record is None:
            silent.append(f"{place.record_of(service)} is not there, which records what {service} was started with")
        elif file is not None:
            faults += filter(None, [_audit.started_fault(service, path, file, record)])
    for path in own:
        text = _safe_io.read_text(path)
        faults += [f"{path} has {line}" for line in _audit.foreign_lines(text or "", place.params["networks"])]
    units_of = [f"{service}.service" for service in place.services]
    told = place.run("systemctl", "show", f"--property={','.join(_audit.UNIT_SHOWN)}", *units_of)
    for block in told.split("\n\n"):
        faults += _audit.unit_faults(block, place.account.pw_name, place.unit_files)
    if silent and not faults:
        raise Unknown("; ".join(silent))
    return Finding(f"{len(place.services)} units", faults)


def tree(root: str, judge: Callable[[str, os.stat_result], str], roots: Sequence[str]) -> Finding:
    """Audit all entries of a tree. judge: what is wrong with one that is no link; roots: where its links may lead."""
    faults, count = [], 0
    for path, status, target in entries(root):
        count += 1
        fault = _audit.link_fault(shown(path), shown(target), roots) if target else judge(shown(path), status)
        faults += [fault] if fault else []
    return Finding(f"{count} entries", faults)


def release(place: Place) -> Finding:
    """Audit the release that the services run. Its links lead to the host's own Python, at least."""
    root, owners, groups = os.path.realpath(place.release), (0, os.geteuid()), (0, os.getegid())
    faults, count = [], 0
    for path, status, target in entries(root):
        count += 1
        fault = _audit.entry_fault(shown(path), status, groups)
        if not fault and status.st_uid not in owners:
            fault = f"{shown(path)} belongs to uid {status.st_uid}"
        if not fault and target and _audit.link_fault(path, target, (root,)):
            with contextlib.suppress(FileNotFoundError):
                # paths() reports accounts that may write above the release.
                changed = _account_io.exposed(os.path.normpath(os.path.join(os.path.dirname(path), target)))
                fault = f"{shown(path)} leads to {shown(changed)}, which another account can change" if changed else ""
        faults += [fault] if fault else []
    return Finding(f"{count} entries", faults)


def models(place: Place) -> Finding:
    """Audit all models, and the served one if it is elsewhere. Their owner may be another account."""
    found = []
    for folder in filter(None, (place.models, place.model)):
        try:
            with _safe_io.open_directory(folder):
                found.append(folder)
        except FileNotFoundError:
            # A host without models has no such directory; without the model that serves, it can't be judged.
            if folder == place.model:
                raise Unknown(f"{shown(folder)} is not there") from None
    roots = list(dict.fromkeys(root for root in found if not any(root.startswith(f"{other}/") for other in found)))
    results = []
    for root in roots:
        # A snapshot of Hugging Face's cache is made of links to its blobs.
        real = os.path.realpath(root)
        results.append(tree(root, _audit.entry_fault, (root, real, *_tree_io.blobs_of(real))))
    return Finding(
        ", ".join(f"{result.checked} of {root}" for root, result in zip(roots, results)) or "none",
        [fault for result in results for fault in result.faults],
    )


def state(place: Place) -> Finding:
    """Audit what the services wrote: nothing in it may mislead or stop a program that reads it as root."""
    return tree(place.state, _audit.state_fault, (place.state,))


ROWS: Mapping[str, Callable[[Place], Finding]] = {
    "paths": paths,
    "modes": modes,
    "secrets": secrets,
    "units": units,
    "release": release,
    "models": models,
    "state": state,
}
