# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of service_set that touch files and processes. PRIVATE to the collection."""

from __future__ import annotations

import functools
import grp
import os
import pwd
import stat
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _directory_io, _safe_io, _unsafe
from ansible_collections.vllm_ray.cluster.plugins.module_utils._services._service_set import secret_sides

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ansible.module_utils.basic import AnsibleModule

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._services._manager import Manager, Running, Service
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._services._service_set import (
        Account,
        Entry,
        Link,
        Verdict,
    )


def check_account(module: AnsibleModule, name: str) -> None:
    """End the module where the account of a service is one of root's, whatever its name is."""
    try:
        uid = pwd.getpwnam(name).pw_uid
    except KeyError:
        return
    if uid == 0:
        module.fail_json(
            msg=f"The account {name} has uid 0, so services would run as root. Set ray_user (vllm_ray_user) to an "
            "account with another uid."
        )


def check_sudoers(module: AnsibleModule, entry: Entry) -> None:
    """End the module where sudo would not read the content of a file; one such file makes it refuse everybody."""
    visudo = module.get_bin_path("visudo", opt_dirs=["/usr/sbin"])
    if visudo is None:
        module.fail_json(msg=f"{entry['path']} can't be checked: there is no visudo. Install the package sudo.")
    rc, out, err = module.run_command([visudo, "-c", "-f", "-"], data=entry["content"])
    if rc:
        module.fail_json(
            msg=f"visudo refuses the new content of {entry['path']}: {(err or out).strip()}. The file was not written. "
            "Expected: valid sudo rules. Check ray_operators_group (vllm_ray_operators_group)."
        )


def attributes_line(uid: int, gid: int, mode: int) -> str:
    """Return owner, group and mode as a line of a diff."""
    return f"owner {uid} group {gid} mode {mode:04o}\n"


class Tree:
    """Makes accounts, directories, files and links be as wanted; collects what changed and the diff."""

    def __init__(self, module: AnsibleModule, held: set[str]) -> None:
        self.module = module
        self.held = held
        self.changed: list[str] = []
        self.diff: list[dict[str, str]] = []

    def _note(self, path: str, before: str, after: str) -> None:
        self.changed.append(path)
        self.diff.append({"before_header": path, "after_header": path, "before": before, "after": after})

    def account(self, wanted: Account) -> None:
        """Make sure that the service's account exists: a system account without a shell.

        An account that an earlier version made has its home in O(account.former_parent), and gets the right one.
        """
        name, home = wanted["name"], wanted["home"]
        try:
            former = pwd.getpwnam(name).pw_dir
        except KeyError:
            self._note(f"account {name}", "absent\n", "present\n")
            argv = ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", home]
            argv += ["--shell", "/usr/sbin/nologin", name]
        else:
            if former == home or os.path.dirname(former) != wanted.get("former_parent"):
                return
            self._note(f"account {name}", f"home {former}\n", f"home {home}\n")
            # usermod refuses to change the home of an account that runs processes, which read it from their
            # environment anyway. With a prefix it does not ask.
            argv = ["usermod", "--prefix", "/.", "--home", home, name]
        if not self.module.check_mode:
            self.module.run_command(argv, check_rc=True)

    def _ids(self, entry: Entry) -> tuple[int, int]:
        """Return the wanted (uid, gid), -1 where it does not matter or the account is still to be made."""
        try:
            owner, group = entry.get("owner"), entry.get("group")
            uid = pwd.getpwnam(owner).pw_uid if owner else -1
            gid = grp.getgrnam(group).gr_gid if group else -1
        except KeyError as error:
            if self.module.check_mode:
                return -1, -1
            self.module.fail_json(msg=f"{entry['path']}: {error.args[0]}. Name an account that exists.")
        return uid, gid

    def _attributes(self, entry: Entry, now: os.stat_result, own: Callable[[int, int, int], None]) -> None:
        """Correct owner, group and mode of what is at a path. own: sets them."""
        uid, gid = self._ids(entry)
        before = (now.st_uid, now.st_gid, stat.S_IMODE(now.st_mode))
        wanted = entry.get("mode")
        mode = int(wanted, 8) if wanted else before[2]
        after = (before[0] if uid < 0 else uid, before[1] if gid < 0 else gid, mode)
        if before == after:
            return
        if entry["path"] not in self.changed:
            self._note(entry["path"], attributes_line(*before), attributes_line(*after))
        if not self.module.check_mode:
            own(*after)

    def directory(self, entry: Entry) -> None:
        """Make a directory and its missing parents. Raises OSError, Unsafe where something else is there."""
        path = entry["path"]
        try:
            directory = _safe_io.open_directory(path)
        except FileNotFoundError:
            self._note(path, "absent\n", "directory\n")
            if self.module.check_mode:
                return
            directory = _safe_io.open_directory(path, make=0o755)
        with directory:
            self._attributes(entry, directory.status(), directory.own)

    def file(self, entry: Entry, secret: bool = False) -> None:
        """Give a file its content and attributes; what else has its name goes, but a directory. Raises OSError."""
        if entry["path"] in self.held:
            return
        try:
            with _safe_io.parent_of(entry["path"]) as (folder, name):
                self._file(folder, name, entry, secret)
        except FileNotFoundError:
            # The directory is one that this call would make.
            if not self.module.check_mode:
                raise
            self._note(
                entry["path"], *(secret_sides(entry, "", entry["content"]) if secret else ("", entry["content"]))
            )

    def _file(self, folder: _directory_io.Directory, name: str, entry: Entry, secret: bool) -> None:
        wanted = entry["content"].encode("utf-8", "surrogateescape")
        found, shown = None, ""
        now = folder.lstat(name)
        if now is not None and stat.S_ISDIR(now.st_mode):
            raise folder.unlike(name, "a file")
        try:
            if now is not None:
                found = folder.read(name, max(_safe_io.MIB, len(wanted)))
                shown = found.decode("utf-8", "replace")
        except _unsafe.Unsafe as error:
            shown = f"{error.found}\n"
        if now is not None and found == wanted:
            self._attributes(entry, now, functools.partial(folder.own_file, name))
            return
        self._note(
            entry["path"], *(secret_sides(entry, shown, entry["content"]) if secret else (shown, entry["content"]))
        )
        if not self.module.check_mode:
            uid, gid = self._ids(entry)
            folder.write(name, wanted, int(entry.get("mode") or "0644", 8), uid, gid)

    def link(self, entry: Link) -> None:
        """Let a link lead to its target; what else has its name goes, but a directory. Raises OSError."""
        path, target = entry["path"], entry["target"]
        if path in self.held:
            return
        before = None
        try:
            with _safe_io.parent_of(path) as (folder, name):
                now = folder.lstat(name)
                if now is not None and stat.S_ISDIR(now.st_mode):
                    raise folder.unlike(name, "a link")
                before = folder.readlink(name)
        except FileNotFoundError:
            if not self.module.check_mode:
                raise
        if before == target:
            return
        former = entry.get("former")
        if before and former and os.path.dirname(before) == os.path.dirname(target):
            self.link({"path": former, "target": before})
        self._note(path, f"{_unsafe.shown(before or 'absent')}\n", f"{target}\n")
        if not self.module.check_mode:
            with _safe_io.parent_of(path) as (folder, name):
                folder.link(name, target)

    def absent(self, path: str) -> None:
        """Remove a file or link. Raises OSError, Unsafe where a directory is there."""
        if path in self.held:
            return
        try:
            with _safe_io.parent_of(path) as (folder, name):
                now = folder.lstat(name)
                if now is None:
                    return
                if stat.S_ISDIR(now.st_mode):
                    raise folder.unlike(name, "a file or a link")
                self._note(path, "present\n", "absent\n")
                if not self.module.check_mode:
                    folder.unlink(name)
        except FileNotFoundError:
            return


def act(
    manager: Manager,
    tree: Tree,
    services: Sequence[Service],
    running: Mapping[str, Running],
    verdicts: Mapping[str, Verdict],
) -> list[str]:
    """Stop, enable and start services as decided. Return what was done, or would be in check mode."""
    real = not tree.module.check_mode
    done = []
    for service in services:
        if verdicts[service.name].action == "stop":
            done.append(f"stop {service.name}")
            if real:
                manager.stop(service)
        held = verdicts[service.name].action == "hold"
        if service.state == "absent" and not held and running[service.name].enabled and manager.can_disable:
            done.append(f"disable {service.name}")
            if real:
                manager.enable(service, False)
        if service.state == "absent":
            tree.absent(service.unit_path)
    units = {service.unit_path for service in services}
    if real and (units & set(tree.changed) or manager.needs_reload(running, tree.changed)):
        manager.reload()
    for service in services:
        if service.state == "started" and not running[service.name].enabled:
            done.append(f"enable {service.name}")
            if real:
                manager.enable(service, True)
        if verdicts[service.name].action in ("start", "restart"):
            done.append(f"{verdicts[service.name].action} {service.name}")
            if real:
                manager.start(service)
    return done
