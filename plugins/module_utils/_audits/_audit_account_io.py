# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Audits the service account, what it and others can reach, sudo and the kernel. PRIVATE to the collection."""

from __future__ import annotations

import grp
import os
import pwd
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._audits import _audit, _audit_files_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._audits._audit import Finding, Unknown
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _account_io, _safe_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._safe_io import read_kernel
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._unsafe import shown
from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine._runtime import runtime_of

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._audits._audit_io import Place

SHADOW = "/etc/shadow"
CRONTABS = ("/var/spool/cron/crontabs", "/var/spool/cron")
AT_JOBS = ("/var/spool/cron/atjobs", "/var/spool/at")
LINGER = "/var/lib/systemd/linger"
# Asks the kernel what the account may do, and prints the numbers of what it may. Nothing is opened.
ACCESS = """
number=0
while [ $# -gt 1 ]; do
  case $1 in
    read) [ ! -r "$2" ] || echo $number ;;
    write) [ ! -w "$2" ] || echo $number ;;
  esac
  number=$((number + 1))
  shift 2
done
echo done
"""
NOBODY = "nobody"


def account(place: Place) -> Finding:
    """Audit that nobody can log in as the service account."""
    who = place.account
    text = _safe_io.read_text(SHADOW) or ""
    passwords = {line.split(":")[0]: line.split(":")[1] for line in text.splitlines() if line.count(":") > 1}
    same = [entry.pw_name for entry in pwd.getpwall() if entry.pw_uid == who.pw_uid]
    faults = _audit.account_faults(who.pw_name, who.pw_uid, who.pw_shell, passwords.get(who.pw_name), same)
    for name in ("authorized_keys", "authorized_keys2"):
        path = f"{who.pw_dir.rstrip('/')}/.ssh/{name}"
        if os.path.lexists(path):
            faults.append(f"{shown(path)} is there")
    # What the services can write must not say who may log in.
    if os.path.isdir(who.pw_dir) and (place.state == who.pw_dir or os.stat(who.pw_dir).st_uid == who.pw_uid):
        faults.append(f"{who.pw_name} can write its home {shown(who.pw_dir)}")
    return Finding(f"the account {who.pw_name}", faults)


def groups(place: Place) -> Finding:
    """Audit that the service account is in no group that gives it more."""
    name, own = place.account.pw_name, place.account.pw_gid
    others = [entry.gr_name for entry in grp.getgrall() if name in entry.gr_mem and entry.gr_gid != own]
    extra = sorted(set(others) - set(_audit.GROUPS))
    faults = [f"{name} is in the group {group}" for group in extra]
    main = next((entry.gr_name for entry in grp.getgrall() if entry.gr_gid == own), str(own))
    members = [entry.pw_name for entry in pwd.getpwall() if entry.pw_gid == own and entry.pw_name != name]
    members += next((entry.gr_mem for entry in grp.getgrall() if entry.gr_gid == own), [])
    faults += [f"{member} is in the group {main} of {name}" for member in members if member != name]
    return Finding(f"{len(others) + 1} groups", faults)


def jobs(place: Place) -> Finding:
    """Audit that nothing but our units runs as the service account by itself."""
    who = place.account
    found = [f"{folder}/{who.pw_name}" for folder in (*CRONTABS, LINGER)]
    faults = [f"{path} is there" for path in found if os.path.isfile(path)]
    for folder in AT_JOBS:
        for name in _names(folder):
            path = f"{folder}/{name}"
            if os.path.lexists(path) and os.lstat(path).st_uid == who.pw_uid:
                faults.append(f"{shown(path)} is there")
    return Finding(f"{len(found)} places", faults)


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _secret_files(config: str) -> Iterator[str]:
    """Yield the files of a configuration that may hold a secret, and the directories of such files."""
    for path, _status, _target in _audit_files_io.entries(config):
        name = path[len(config) + 1 :]
        if name == "secrets" or _audit.holds_secret(name):
            yield path


def _written_by_root(place: Place) -> list[list[str]]:
    """Return what neither the service account nor others may write."""
    inside = [path for path, _status, target in _audit_files_io.entries(place.config) if not target]
    python = runtime_of(place.release).python()
    paths = [*place.trusted_paths, *inside, *place.unit_files, os.path.dirname(python), python]
    return [["write", path] for path in dict.fromkeys(paths)]


def _may(place: Place, user: str, wanted: list[list[str]]) -> list[str]:
    """Return what of it an account can do, a sentence each."""
    argv = ["/bin/sh", "-c", ACCESS, "sh", *(word for pair in wanted for word in pair)]
    status, out, err = _account_io.run_as(place.module, user, argv)
    numbers = out.split()
    if status != 0 or numbers[-1:] != ["done"]:
        raise Unknown(f"nothing could be run as {user}: {err.strip()[-200:]}")
    found = [wanted[int(number)] for number in numbers[:-1]]
    return [f"{user} can {what} {shown(path)}" for what, path in found]


def service_user(place: Place) -> Finding:
    """Ask the kernel what the service account can do that it must not."""
    wanted = [["read", f"{place.config}/secrets"], ["read", f"{place.config}/secrets/ray.token"]]
    wanted += [["read", path] for config in place.other_clusters for path in _secret_files(config)]
    wanted += [["read", state] for state in place.other_states]
    wanted += _written_by_root(place)
    faults = _may(place, place.account.pw_name, wanted)
    if place.module.get_bin_path("sudo"):
        text = place.run("sudo", "-n", "-l", "-U", place.account.pw_name)
        faults += filter(None, [_audit.sudo_fault(place.account.pw_name, text)])
    return Finding(f"{len(wanted)} accesses and sudo", faults)


def other_users(place: Place) -> Finding:
    """Ask the kernel what an account that has nothing to do with the cluster can do."""
    secret = [["read", path] for path in _secret_files(place.config)]
    wanted = [*secret, *([what, place.state] for what in ("read", "write")), *_written_by_root(place)]
    wanted += [["read", f"{place.state}/{name}"] for name in ("log", "ray")]
    wanted += [["read", f"{place.started}/{name}"] for name in _names(place.started) if name.endswith(".yaml")]
    return Finding(f"{len(wanted)} accesses", _may(place, NOBODY, wanted))


def sudoers(place: Place) -> Finding:
    """Audit that sudo has exactly our rules for the operators, and can read them."""
    path, expected = place.params["sudoers_file"], place.params["sudoers"]
    found, faults = _safe_io.read_text(path), []
    if expected and found is None:
        faults.append(f"{path} is not there")
    elif not expected and found is not None:
        faults.append(f"{path} is there, and vllm_ray_operators_group is not set")
    elif found is not None and found.strip() != expected.strip():
        faults.append(f"{path} has other rules than this collection writes")
    if found is not None:
        now = os.lstat(path)
        faults += filter(None, [_audit.mode_fault(path, now.st_mode, 0o440)])
        faults += [f"{path} belongs to uid {now.st_uid}"] if now.st_uid != 0 else []
    if place.module.get_bin_path("visudo"):
        status, out, err = place.module.run_command(["visudo", "-c"], environ_update={"LC_ALL": "C"})
        faults += [f"visudo -c says {shown((err or out).strip())}"] if status != 0 else []
    return Finding(path, faults)


def kernel(_place: Place) -> Finding:
    """Audit settings of the kernel that keep accounts apart."""
    values = {name: read_kernel(f"/proc/sys/{name}") for name in _audit.KERNEL}
    if not any(values.values()):
        raise Unknown("/proc/sys can't be read")
    return Finding(f"{sum(value is not None for value in values.values())} settings", _audit.kernel_faults(values))


ROWS: Mapping[str, Callable[[Place], Finding]] = {
    "account": account,
    "groups": groups,
    "jobs": jobs,
    "service_user": service_user,
    "other_users": other_users,
    "sudoers": sudoers,
    "kernel": kernel,
}
