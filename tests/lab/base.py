# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The base: a small Debian or Ubuntu with systemd, sshd and ufw, made once and shared read-only by all hosts."""

from __future__ import annotations

import platform
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from .commands import run
from .settings import LabError, digest
from .storage import locked, unmount_below

if TYPE_CHECKING:
    from collections.abc import Callable

    from .settings import Settings

PACKAGES = (
    *("systemd", "systemd-sysv", "libpam-systemd", "dbus", "openssh-server", "sudo", "procps", "kmod"),
    *("ufw", "iptables", "nftables", "iproute2", "iputils-ping", "netcat-openbsd", "iperf3", "curl", "rsync"),
    *("ca-certificates", "gnupg", "python3", "python3-venv", "python3-apt", "libnuma1", "libfaketime"),
)
# What hosts need not have: tests find it in TOOLS, and nothing else does.
HIDDEN = {"ip": ("bin/ip", "sbin/ip"), "ss": ("bin/ss",), "nc": ("bin/nc.openbsd", "bin/nc")}
TOOLS = "usr/local/lab"
LEAVE_OUT = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/info/*")
MASKED = (
    *("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer"),
    *("systemd-networkd-wait-online.service", "console-getty.service"),
)
INIT = """#!/bin/sh
# The first process of a host. The v1 cgroup controllers come mounted read-only; units' limits need them writable.
for controller in /sys/fs/cgroup/*; do
  [ "$controller" = /sys/fs/cgroup/unified ] || mount -o remount,rw,bind "$controller" 2>/dev/null
done
# Devices that a test wants seen in /sys/class: a bind straight there would not show.
[ -d /srv/sysclass ] && mount -t overlay sysclass -o lowerdir=/srv/sysclass:/sys/class /sys/class
exec /lib/systemd/systemd
"""
FILES = {
    # path: (mode, contents)
    "usr/local/sbin/lab-init": (0o755, INIT),
    "etc/ssh/sshd_config.d/lab.conf": (
        0o644,
        "UseDNS no\nPermitRootLogin prohibit-password\nMaxStartups 100\nMaxSessions 100\n",
    ),
    "etc/sudoers.d/deploy": (0o440, "deploy ALL=(ALL) NOPASSWD: ALL\n"),
    "etc/resolv.conf": (0o644, ""),
    "etc/machine-id": (0o444, ""),
}
# What the machine's apt needs to reach its package sources must not end up in the hosts.
MACHINES_OWN = ("etc/apt/apt.conf.d/99mmdebstrap", "etc/apt/auth.conf.d", "etc/apt/auth.conf")


def release(os_release: str) -> tuple[str, str]:
    """Return id and code name, such as (debian, bookworm), from the text of /etc/os-release."""
    fields = dict(line.split("=", 1) for line in os_release.splitlines() if "=" in line)
    return fields.get("ID", "").strip("\"'"), fields.get("VERSION_CODENAME", "").strip("\"'")


def recipe(suite: str) -> str:
    """Name what a base is made of: a changed recipe gives another base instead of a stale one."""
    try:
        machine = release(Path("/etc/os-release").read_text())
    except OSError:
        machine = ("", "")
    return digest(*machine, suite, platform.machine(), *PACKAGES, *LEAVE_OUT, *MASKED, repr((FILES, HIDDEN, TOOLS)))


def apt_settings(dump: str) -> str:
    """Keep, of `apt-config dump`, how this machine's apt gets at its sources: proxies, certificates, passwords.

    mmdebstrap reads sources and keyrings of the machine by itself, but none of its apt.conf.
    """
    wanted = [
        line
        for line in dump.splitlines()
        if line.startswith(("Acquire::", "#clear Acquire::")) and not line.startswith("Acquire::IndexTargets")
        if not line.endswith('"";')
    ]
    wanted += ['Dir::Etc::netrc "/etc/apt/auth.conf";', 'Dir::Etc::netrcparts "/etc/apt/auth.conf.d";']
    # A fresh root needs packages and nothing else: no translations, no screenshots.
    wanted += ['Acquire::Languages "none";']
    return "\n".join(wanted) + "\n"


def apt_sources(folder: Path) -> list[Path]:
    """Find the lists of package sources that this machine's own apt reads."""
    lists = [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))]
    return [
        path for path in lists if path.suffix in (".list", ".sources") and path.is_file() and path.read_text().strip()
    ]


def build(settings: Settings, say: Callable[[str], None], *, again: bool = False) -> bool:
    """Make the base if there is none; return whether it was made. It gets its name only when it is whole."""
    if settings.base.is_dir() and not again:
        return False
    settings.base.parent.mkdir(parents=True, exist_ok=True)
    with locked(settings.base.with_name(settings.base.name + ".lock")) as lock:
        if settings.base.is_dir() and not again:
            return False
        if again and settings.base.is_dir() and _in_use(settings.base):
            raise LabError(f"hosts run on {settings.base}: run `lab down` in every lab that uses it, then build again")
        start = time.monotonic()
        partial = settings.base.with_name(settings.base.name + ".partial")
        _clear(partial)
        say(f"building {settings.base}; this takes about a minute, once")
        _bootstrap(partial, settings.suite, lock)
        _configure(partial)
        _clear(settings.base)
        partial.rename(settings.base)
        say(f"built {settings.base} in {time.monotonic() - start:.0f} s")
    return True


def _in_use(base: Path) -> bool:
    mounts = Path("/proc/self/mounts").read_text()
    return any(f"lowerdir={base}," in line or f":{base}," in line for line in mounts.splitlines())


def _clear(root: Path) -> None:
    """Remove a root with all that a build that broke off may have left mounted in it."""
    if root.exists():
        unmount_below(root)
        shutil.rmtree(root)


def _bootstrap(root: Path, suite: str, lock: int) -> None:
    suite = suite or release(Path("/etc/os-release").read_text())[1]
    if not suite:
        raise LabError("this machine's /etc/os-release names no Debian or Ubuntu release: set LAB_SUITE, e.g. bookworm")
    with tempfile.TemporaryDirectory() as folder:
        # Passwords in proxy addresses stay readable for root only.
        options = Path(folder) / "apt.conf"
        options.touch(mode=0o600)
        options.write_text(apt_settings(run("apt-config", "dump").stdout))
        run(
            "mmdebstrap",
            "--mode=root",
            "--variant=minbase",
            f"--include={','.join(PACKAGES)}",
            "--dpkgopt=force-unsafe-io",
            f"--aptopt={options}",
            *(f"--dpkgopt=path-exclude={pattern}" for pattern in LEAVE_OUT),
            suite,
            root,
            *apt_sources(Path("/etc/apt")),
            # If we are killed, it goes on for a while: the next build has to wait for it.
            inherit=(lock,),
        )


def _configure(root: Path) -> None:
    for name, (mode, text) in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(text)
        path.chmod(mode)
    for name in MACHINES_OWN:
        path = root / name
        for found in path.iterdir() if path.is_dir() else [path]:
            found.unlink(missing_ok=True)
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    (root / TOOLS).mkdir()
    for name, (program, *links) in HIDDEN.items():
        (root / program).rename(root / TOOLS / name)
        for link in links:
            (root / link).unlink(missing_ok=True)
    run("chroot", root, "useradd", "--create-home", "--shell", "/bin/bash", "deploy")
    run("chroot", root, "systemctl", "enable", "systemd-networkd", "ssh")
    run("chroot", root, "systemctl", "mask", *MASKED)
