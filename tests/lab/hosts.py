# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts: making one, its power button, and what is asked of one that runs."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from . import cgroups, network, storage
from .commands import run
from .settings import LabError, number

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .settings import Settings

POWER_ON = Path(__file__).resolve().parent / "power-on"
CGROUP_MODES = {"hybrid": None, "unified": "1"}
BOOT_SECONDS = 90.0
STOP_SECONDS = 30.0
REBOOT_SECONDS = 120.0
CLEAN_ENVIRONMENT = (
    *("env", "-i", "HOME=/root", "LANG=C.UTF-8"),
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
)


def known(settings: Settings) -> list[str]:
    """Name the hosts of this lab, on or off."""
    folder = settings.directory / "hosts"
    return sorted((path.name for path in folder.iterdir() if path.is_dir()), key=number) if folder.is_dir() else []


def need(settings: Settings, host: str) -> str:
    hosts = known(settings)
    if host not in hosts:
        raise LabError(f"no host {host!r} in {settings.directory}; there are: {' '.join(hosts) or 'none (lab up N)'}")
    return host


def cgroups_of(settings: Settings, host: str) -> dict[str, Path]:
    """Where the host lives, or would live: written down at its start, as the next caller may sit elsewhere."""
    record = settings.folder(host) / "cgroups"
    if not record.exists():
        return {}
    paths = [Path(line) for line in record.read_text().splitlines()]
    unified = paths[-1]
    return {**{path.parts[4]: path for path in paths[:-1]}, cgroups.UNIFIED: unified}


def is_on(settings: Settings, host: str) -> bool:
    places = cgroups_of(settings, host)
    return bool(places) and cgroups.populated(places[cgroups.UNIFIED])


def is_frozen(settings: Settings, host: str) -> bool:
    places = cgroups_of(settings, host)
    return bool(places) and cgroups.frozen(places[cgroups.UNIFIED])


# --- making ------------------------------------------------------------------------------------------------------


def create(settings: Settings, host: str) -> None:
    """Give a new host its disk, identity, addresses, keys and boot command."""
    folder = settings.folder(host)
    for name in ("upper", "work", "root", "docker"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    mount(settings, host)
    root = folder / "root"
    storage.write(root / "etc/hostname", f"{host}\n")
    storage.write(root / "etc/hosts", "\n".join(names_file(settings, [host])) + "\n")
    storage.write(root / "etc/machine-id", f"{os.urandom(16).hex()}\n", mode=0o444)
    storage.write(root / "etc/systemd/network/10-host0.network", network.units(settings, host))
    public_key = settings.key.with_suffix(".pub").read_text()
    deploy = (root / "home/deploy").stat().st_uid
    storage.write(root / "root/.ssh/authorized_keys", public_key, mode=0o600)
    storage.write(root / "home/deploy/.ssh/authorized_keys", public_key, mode=0o600, owner=deploy)
    key = root / "etc/ssh/ssh_host_ed25519_key"
    if not key.exists():
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", host, "-f", key)
    for overlay in settings.overlays:
        storage.copy_over(Path(overlay), root)
    # Kept with the host, so that `lab start` from another shell boots it just as the first time.
    (folder / "boot").write_text(f"{boot_command(settings, host)}\n")
    (folder / "whole").touch()


def mount(settings: Settings, host: str) -> None:
    folder = settings.folder(host)
    if os.path.ismount(folder / "root"):
        return
    record = folder / "lower"
    if not record.exists():
        record.write_text(":".join((*settings.layers, str(settings.base))))
    options = f"lowerdir={record.read_text()},upperdir={folder}/upper,workdir={folder}/work"
    if run("mount", "-t", "overlay", settings.machine(host), "-o", options, folder / "root", check=False).returncode:
        raise LabError(
            f"overlayfs can't be mounted in {folder}: it needs the kernel's overlay module, and a directory that is "
            "not itself on an overlay (set LAB_DIR to one on ext4, xfs or tmpfs); see dmesg"
        )


def name_each_other(settings: Settings, hosts: list[str]) -> None:
    """Let every host know the names of all, on those that run too; lines that are there stay."""
    for host in hosts:
        path = settings.folder(host) / "root/etc/hosts"
        text = path.read_text() if path.exists() else ""
        wanted = names_file(settings, hosts)
        missing = [line for line in wanted if line not in text.splitlines()]
        if missing:
            storage.write(path, "\n".join([*text.splitlines(), *missing]) + "\n")


def names_file(settings: Settings, hosts: list[str]) -> list[str]:
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost", f"{settings.controller} controller"]
    for host in hosts:
        lines += [f"{settings.address(host)} {host}", f"{settings.address6(host)} {host}"]
    return lines


def boot_command(settings: Settings, host: str) -> str:
    """Write the line that boots a host, for a shell."""
    folder = settings.folder(host)
    words = [
        *("systemd-nspawn", "--quiet", f"--directory={folder}/root", f"--machine={settings.machine(host)}"),
        *(f"--hostname={host}", "--register=no", "--keep-unit", f"--network-bridge={settings.bridge}"),
        *("--resolv-conf=off", "--timezone=off", "--link-journal=no", "--console=pipe"),
        # A host of its own: everything but the machine's clock and kernel modules. Containers inside need the calls.
        *("--capability=all", "--drop-capability=CAP_SYS_TIME,CAP_SYS_MODULE"),
        "--system-call-filter=@keyring bpf perf_event_open",
        *("--kill-signal=SIGRTMIN+3", "--rlimit=RLIMIT_MEMLOCK=infinity"),
        # Docker's own overlayfs does not work on top of ours.
        f"--bind={folder}/docker:/var/lib/docker",
        *(f"--bind-ro={pair}" for pair in settings.bind_read_only),
        *(f"--bind={pair}" for pair in settings.bind),
        *shlex.split(settings.nspawn_arguments),
        "/usr/local/sbin/lab-init",
    ]
    mode = CGROUP_MODES[settings.cgroup]
    before = [] if mode is None else [f"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY={mode}"]
    return " ".join([*before, "exec", shlex.join(words)])


# --- the power button --------------------------------------------------------------------------------------------


def start(settings: Settings, host: str) -> bool:
    """Switch a host on; return whether it was off."""
    if is_on(settings, host):
        return False
    folder = settings.folder(host)
    mount(settings, host)
    cgroups.remove(list(cgroups_of(settings, host).values()))
    own_cgroups(settings, host)
    words = ["/bin/sh", str(POWER_ON), str(folder), settings.cable(host), str(settings.mtu)]
    # What the child needs to call `lab` again for this very lab.
    environment = {**os.environ, "LAB_DIR": str(settings.directory)}
    with (folder / "console.log").open("ab") as console:
        child = subprocess.Popen(
            words, env=environment, stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True
        )
    # It counts as on from here: a power cut right after must find it.
    unified = cgroups_of(settings, host)[cgroups.UNIFIED]
    while not cgroups.populated(unified):
        if child.poll() is not None:
            raise LabError(f"{host} did not start; see {folder}/console.log")
        time.sleep(0.005)
    return True


def own_cgroups(settings: Settings, host: str) -> None:
    """Make the host's cgroup in each hierarchy, with its limits; the unified one is last in the record."""
    places = cgroups.places(Path("/proc/self/cgroup").read_text(), settings.cgroup_name(host), Path.exists)
    unified = places.pop(cgroups.UNIFIED)
    (settings.folder(host) / "cgroups").write_text("".join(f"{path}\n" for path in (*places.values(), unified)))
    for path in (*places.values(), unified):
        path.mkdir(parents=True, exist_ok=True)
    if "cpuset" in places:
        for name in ("cpuset.cpus", "cpuset.mems"):
            (places["cpuset"] / name).write_text((places["cpuset"].parent / name).read_text())
        (places["cpuset"] / "cgroup.clone_children").write_text("1")
    if settings.memory and "memory" in places:
        (places["memory"] / "memory.limit_in_bytes").write_text(settings.memory)
    elif settings.memory:
        (unified / "memory.max").write_text(settings.memory)


def kill(settings: Settings, host: str) -> None:
    """Cut the power: nothing inside gets to know, no file is closed."""
    places = cgroups_of(settings, host)
    if places:
        cgroups.end(places[cgroups.UNIFIED])
    if network.exists(settings.cable(host)):
        run("ip", "link", "delete", settings.cable(host), check=False)


def stop(settings: Settings, host: str) -> None:
    """Shut down in order, by systemd's signal for poweroff.target; after 30 s cut the power."""
    if not is_on(settings, host):
        return
    os.kill(first_process(settings, host), signal.SIGRTMIN + 4)
    deadline = time.monotonic() + STOP_SECONDS
    while is_on(settings, host):
        if time.monotonic() > deadline:
            kill(settings, host)
            raise LabError(f"{host} did not shut down in {STOP_SECONDS:.0f} s, so its power was cut; see its journal")
        time.sleep(0.05)


def reboot(settings: Settings, host: str) -> float:
    """Reboot in order and wait for sshd; return the seconds that took."""
    begun = time.monotonic()
    before = first_process(settings, host)
    os.kill(before, signal.SIGRTMIN + 5)
    while Path(f"/proc/{before}").exists():
        if time.monotonic() - begun > REBOOT_SECONDS:
            raise LabError(f"{host} did not go down in {REBOOT_SECONDS:.0f} s; cut its power with: lab kill {host}")
        time.sleep(0.02)
    wait(settings, [host])
    return time.monotonic() - begun


def freeze(settings: Settings, host: str, *, thaw: bool = False) -> None:
    """Hang every process of the host, or let them go on."""
    first_process(settings, host)
    unified = cgroups_of(settings, host)[cgroups.UNIFIED]
    (unified / "cgroup.freeze").write_text("0" if thaw else "1")
    deadline = time.monotonic() + 10
    while cgroups.frozen(unified) == thaw:
        if time.monotonic() > deadline:
            raise LabError(f"{host} is not {'thawed' if thaw else 'frozen'} after 10 s; see {unified}/cgroup.events")
        time.sleep(0.01)


def remove(settings: Settings, host: str) -> None:
    """Cut the power and remove all that is the host's."""
    kill(settings, host)
    cgroups.remove(list(cgroups_of(settings, host).values()))
    storage.unmount_below(settings.folder(host))
    shutil.rmtree(settings.folder(host))


# --- asking ------------------------------------------------------------------------------------------------------


def answers(address: str) -> bool:
    """Whether an SSH server greets there; a frozen one accepts and says nothing."""
    with contextlib.suppress(OSError), socket.create_connection((address, 22), timeout=0.3) as connection:
        connection.settimeout(2)
        return connection.recv(4) == b"SSH-"
    return False


def wait(settings: Settings, hosts: Iterable[str], seconds: float = BOOT_SECONDS) -> None:
    """Wait until each host's sshd answers."""
    missing = list(hosts)
    deadline = time.monotonic() + seconds
    while missing:
        missing = [host for host in missing if not answers(settings.address(host))]
        if missing and time.monotonic() > deadline:
            raise LabError(
                f"no SSH from {' '.join(missing)} after {seconds:.0f} s; see {settings.folder(missing[0])}/console.log"
            )
        time.sleep(0.05 if missing else 0)


def namespace_depth(status: str) -> tuple[int, int]:
    """From the text of /proc/PID/status: in how many PID namespaces the process is, and its number in the innermost."""
    numbers = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[1:]
    return len(numbers), int(numbers[-1])


def first_process(settings: Settings, host: str) -> int:
    """Find the PID, as seen from here, of the host's own systemd.

    It is the first of a PID namespace exactly one level below ours: a container inside the host has a first
    process too, but two below.
    """
    ours, _number = namespace_depth(Path("/proc/self/status").read_text())
    places = cgroups_of(settings, host)
    if places and is_on(settings, host):
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            for members in places[cgroups.UNIFIED].rglob("cgroup.procs"):
                with contextlib.suppress(OSError):
                    for pid in members.read_text().split():
                        with contextlib.suppress(OSError, StopIteration):
                            if namespace_depth(Path("/proc", pid, "status").read_text()) == (ours + 1, 1):
                                return int(pid)
            # Between two boots there is none.
            time.sleep(0.02)
    raise LabError(f"{host} is not running: lab start {host}")


def execute(settings: Settings, host: str, command: list[str]) -> NoReturn:
    """Become a command that runs as root inside, without SSH, on this terminal."""
    inside = ["nsenter", f"--target={first_process(settings, host)}", "--all"]
    os.execvp(inside[0], [*inside, *CLEAN_ENVIRONMENT, *command])


def output(settings: Settings, host: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command as root inside and return what it said."""
    inside = ("nsenter", f"--target={first_process(settings, host)}", "--all")
    return run(*inside, *CLEAN_ENVIRONMENT, *command, check=False)


def describe(settings: Settings, host: str) -> str:
    """Say in one line what is up with a host."""
    state = "off" if not is_on(settings, host) else "frozen" if is_frozen(settings, host) else "on"
    words = [f"{host:<5}{state:<7}{settings.address(host)} {settings.address6(host)}"]
    use = cgroups.memory_use(cgroups_of(settings, host)) if state != "off" else None
    if use:
        words.append(f"memory {use[0] >> 20} MiB, cache {use[1] >> 20} MiB")
    shape = settings.folder(host) / "shape"
    if shape.exists():
        words.append(f"shaped to {shape.read_text()}")
    return "  ".join(words)
