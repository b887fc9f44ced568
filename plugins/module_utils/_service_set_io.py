# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of service_set that touch files and processes. PRIVATE to the collection."""

from __future__ import annotations

import grp
import os
import pwd
import stat
import tempfile
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._ray import SYSTEM_PATH
from ansible_collections.vllm_ray.cluster.plugins.module_utils._service_set import (
    Running,
    Service,
    Verdict,
    parse_supervisorctl_status,
    parse_systemctl_show,
)

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ansible.module_utils.basic import AnsibleModule

# Ansible shows a diff only where its two sides differ.
SECRET = ("another secret, not shown\n", "the wanted secret, not shown\n")
SHOWN = "Id,LoadState,ActiveState,SubState,MainPID,UnitFileState,NeedDaemonReload"


def read_text(path: str) -> str | None:
    """Return the text of a file, or None where there is none."""
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read()
    except (FileNotFoundError, NotADirectoryError):
        return None


class Systemd:
    """Drives the services of a host whose PID 1 is systemd."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module

    def run(self, *args: str) -> str:
        _rc, out, _err = self.module.run_command(["systemctl", *args], check_rc=True)
        return out

    def look(self, names: Sequence[str]) -> dict[str, Running]:
        units = [f"{name}.service" for name in names]
        shown = parse_systemctl_show(self.run("show", f"--property={SHOWN}", *units))
        return {name: shown.get(f"{name}.service", Running()) for name in names}

    def needs_reload(self, running: Mapping[str, Running]) -> bool:
        return any(service.reload_needed for service in running.values())

    def reload(self) -> None:
        self.run("daemon-reload")

    def start(self, service: Service) -> None:
        self.run("reset-failed", f"{service.name}.service")
        self.run("restart", f"{service.name}.service")

    def stop(self, service: Service) -> None:
        self.run("stop", f"{service.name}.service")

    def enable(self, service: Service, enabled: bool) -> None:
        self.run("enable" if enabled else "disable", f"{service.name}.service")


class Supervisor:
    """Drives the services of a host without systemd, by a supervisord of our own."""

    def __init__(self, module: AnsibleModule, directory: str, bin_directory: str) -> None:
        self.module = module
        self.config = f"{directory}/supervisord.conf"
        self.bin = bin_directory
        self.fresh = False

    def ctl(self, *args: str, check: bool = True) -> str:
        # supervisorctl's exit status also tells of programs that do not run, so its text decides.
        rc, out, err = self.module.run_command([f"{self.bin}/supervisorctl", "-c", self.config, *args])
        if check and (rc not in (0, 3) or "ERROR" in out):
            self.module.fail_json(msg=f"supervisorctl {' '.join(args)} failed: {out or err}".strip())
        return out

    def is_up(self) -> bool:
        if not os.path.exists(self.config):
            return False
        rc, out, _err = self.module.run_command([f"{self.bin}/supervisorctl", "-c", self.config, "pid"])
        return rc == 0 and out.strip().isdigit()

    def look(self, names: Sequence[str]) -> dict[str, Running]:
        shown = parse_supervisorctl_status(self.ctl("status", check=False)) if self.is_up() else {}
        return {name: shown.get(name, Running(enabled=True)) for name in names}

    def needs_reload(self, running: Mapping[str, Running]) -> bool:
        return not self.is_up()

    def reload(self) -> None:
        if self.is_up():
            # Only tells supervisord of the files; programs whose sections changed are restarted by start().
            self.ctl("reread")
        elif os.path.exists(self.config):
            # Services must not depend on, or pass on, what is in the environment of whoever makes this call.
            clean = ["env", "-i", f"PATH={SYSTEM_PATH}"]
            self.module.run_command([*clean, f"{self.bin}/supervisord", "-c", self.config], check_rc=True)
            self.fresh = True

    def start(self, service: Service) -> None:
        if self.fresh:  # it has just started all programs, from the files that are wanted
            return
        self.ctl("stop", service.name, check=False)
        self.ctl("remove", service.name, check=False)
        self.ctl("add", service.name)

    def stop(self, service: Service) -> None:
        self.ctl("stop", service.name)
        self.ctl("remove", service.name)

    def enable(self, service: Service, enabled: bool) -> None:
        """Supervisor starts what it has a section of; there is nothing to enable."""


Manager = t.Union[Systemd, Supervisor]


def manager_for(module: AnsibleModule) -> Manager:
    """Return the driver of the service manager that the module's options name."""
    if module.params["manager"] == "systemd":
        return Systemd(module)
    return Supervisor(module, module.params["supervisor_directory"], module.params["supervisor_bin"])


def check_account(module: AnsibleModule, name: str) -> None:
    """End the module where the account of a service is one of root's, whatever its name is."""
    try:
        uid = pwd.getpwnam(name).pw_uid
    except KeyError:
        return
    if uid == 0:
        module.fail_json(msg=f"the account {name} has the uid 0, so services would run as root. Name another account.")


def check_sudoers(module: AnsibleModule, entry: Mapping[str, t.Any]) -> None:
    """End the module where sudo would not read the content of a file; one such file makes it refuse everybody."""
    visudo = module.get_bin_path("visudo", opt_dirs=["/usr/sbin"])
    if visudo is None:
        module.fail_json(msg=f"{entry['path']} can't be checked: there is no visudo. Install the package sudo.")
    rc, out, err = module.run_command([visudo, "-c", "-f", "-"], data=entry["content"])
    if rc:
        module.fail_json(msg=f"visudo refuses the content of {entry['path']}: {(err or out).strip()}")


def attributes_line(uid: int, gid: int, mode: int) -> str:
    """Return owner, group and mode as a line of a diff."""
    return f"owner {uid} group {gid} mode {mode:04o}\n"


def make_directories(path: str) -> None:
    """Make a directory and its missing parents, open to read for everybody whatever the umask is."""
    parent = os.path.dirname(path)
    if parent and not os.path.isdir(parent):
        make_directories(parent)
    os.mkdir(path)
    os.chmod(path, 0o755)


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

    def account(self, wanted: Mapping[str, t.Any]) -> None:
        """Make sure that the service's account exists: a system account without a shell."""
        name = wanted["name"]
        try:
            pwd.getpwnam(name)
        except KeyError:
            self._note(f"account {name}", "absent\n", "present\n")
            if not self.module.check_mode:
                argv = ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", wanted["home"]]
                self.module.run_command([*argv, "--shell", "/usr/sbin/nologin", name], check_rc=True)

    def _ids(self, entry: Mapping[str, t.Any]) -> tuple[int, int]:
        """Return the wanted (uid, gid), -1 where it does not matter or the account is still to be made."""
        try:
            uid = pwd.getpwnam(entry["owner"]).pw_uid if entry.get("owner") else -1
            gid = grp.getgrnam(entry["group"]).gr_gid if entry.get("group") else -1
        except KeyError as error:
            if self.module.check_mode:
                return -1, -1
            self.module.fail_json(msg=f"{entry['path']}: {error.args[0]}. Name an account that exists.")
        return uid, gid

    def _attributes(self, entry: Mapping[str, t.Any]) -> None:
        """Mend owner, group and mode of what stands at a path."""
        path = entry["path"]
        status = os.stat(path)
        uid, gid = self._ids(entry)
        mode = int(entry["mode"], 8) if entry.get("mode") else stat.S_IMODE(status.st_mode)
        before = (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode))
        after = (before[0] if uid < 0 else uid, before[1] if gid < 0 else gid, mode)
        if before == after:
            return
        if path not in self.changed:
            self._note(path, attributes_line(*before), attributes_line(*after))
        if not self.module.check_mode:
            os.chown(path, after[0], after[1])
            os.chmod(path, mode)

    def directory(self, entry: Mapping[str, t.Any]) -> None:
        path = entry["path"]
        if not os.path.isdir(path):
            self._note(path, "absent\n", "directory\n")
            if self.module.check_mode:
                return
            make_directories(path)
        self._attributes(entry)

    def file(self, entry: Mapping[str, t.Any], secret: bool = False) -> None:
        path, content = entry["path"], entry["content"]
        if path in self.held:
            return
        before = read_text(path)
        if before != content:
            shown = SECRET if secret else (before or "", content)
            self._note(path, *shown)
            if self.module.check_mode:
                return
            descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".vllm-ray-")
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                stream.write(content)
            uid, gid = self._ids(entry)
            os.chown(temporary, uid, gid)
            os.chmod(temporary, int(entry.get("mode") or "0644", 8))
            # Not atomic_move: it opens a new file to everybody for a moment, and this may be a secret.
            os.replace(temporary, path)
        self._attributes(entry)

    def link(self, entry: Mapping[str, t.Any]) -> None:
        path, target = entry["path"], entry["target"]
        if path in self.held:
            return
        before = os.readlink(path) if os.path.islink(path) else None
        if before == target:
            return
        if before and entry.get("former") and os.path.dirname(before) == os.path.dirname(target):
            self.link({"path": entry["former"], "target": before})
        self._note(path, f"{before or 'absent'}\n", f"{target}\n")
        if not self.module.check_mode:
            temporary = f"{path}.vllm-ray-new"
            if os.path.lexists(temporary):
                os.unlink(temporary)
            os.symlink(target, temporary)
            os.replace(temporary, path)

    def absent(self, path: str) -> None:
        if os.path.lexists(path) and path not in self.held:
            self._note(path, "present\n", "absent\n")
            if not self.module.check_mode:
                os.unlink(path)


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
        if service.state == "absent" and not held and running[service.name].enabled and isinstance(manager, Systemd):
            done.append(f"disable {service.name}")
            if real:
                manager.enable(service, False)
        if service.state == "absent":
            tree.absent(service.unit_path)
    units = {service.unit_path for service in services}
    if real and services and (units & set(tree.changed) or manager.needs_reload(running)):
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


def read_tail(path: str, lines: int) -> list[str]:
    """Return the last lines of a log file, reading at most 1 KiB a line from its end."""
    try:
        with open(path, "rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(0, stream.tell() - lines * 1024))
            return stream.read().decode(errors="replace").splitlines()[-lines:]
    except OSError:
        return []
