#!/usr/bin/env python3
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take protections of a cluster away on a host, as root, and give them back.

protections.py break HOST PEER     PEER: the cluster address of another host of the cluster
protections.py restore HOST PEER

Prints in JSON the rows of an audit that do not hold then, {row: what must be in it}. No service stops. Needs Python's
own library and ufw.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

CONFIG, STATE = Path("/etc/vllm-ray/default"), Path("/var/lib/vllm-ray/default")
RELEASES, MODELS = Path("/opt/vllm-ray/releases"), Path("/var/lib/vllm-ray/models")
NODE = "vllm-ray-node@default.service"
USER = "vllm-ray"
# What is kept for restoring, where nobody else looks.
KEPT = Path("/root/protections")
SLEEP = "600"


class Case(NamedTuple):
    """One protection. rows: that do not hold without it, each with a text that must be in what was found."""

    rows: dict[str, str]
    off: Callable[[str], object]
    on: Callable[[str], object]


def run(*argv: str | Path) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def mode(path: Path, broken: int, right: int) -> tuple[Callable[[str], object], Callable[[str], object]]:
    return (lambda _peer: path.chmod(broken)), (lambda _peer: path.chmod(right))


def written(
    path: Path, text: Callable[[], str], bits: int = 0o600, user: str = "root"
) -> tuple[Callable[[str], object], ...]:
    """A file that should not be there."""

    def off(_peer: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text())
        path.chmod(bits)
        shutil.chown(path, user, user)

    return off, lambda _peer: path.unlink()


def edited(path: Path, change: Callable[[str], str]) -> tuple[Callable[[str], object], ...]:
    """A file with other content, in the same mode."""

    def off(_peer: str) -> None:
        KEPT.mkdir(mode=0o700, exist_ok=True)
        shutil.copy2(path, KEPT / path.name)
        path.write_text(change(path.read_text()))

    return off, lambda _peer: path.write_text((KEPT / path.name).read_text())


def process(name: str, start: Callable[[], int]) -> tuple[Callable[[str], object], ...]:
    """A process that should not run."""

    def off(_peer: str) -> None:
        KEPT.mkdir(mode=0o700, exist_ok=True)
        (KEPT / f"{name}.pid").write_text(str(start()))

    def on(_peer: str) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int((KEPT / f"{name}.pid").read_text()), signal.SIGKILL)

    return off, on


def started(*argv: str, **how: object) -> int:
    null = subprocess.DEVNULL
    return subprocess.Popen(argv, stdin=null, stdout=null, stderr=null, start_new_session=True, **how).pid  # type: ignore[call-overload,no-any-return]


def secret(name: str) -> str:
    return (CONFIG / name).read_text().strip()


def in_the_unit() -> int:
    """Start a process of root among those of the node."""
    pid = started("sleep", SLEEP)
    main = run("systemctl", "show", "--property=MainPID", "--value", NODE).strip()
    for line in Path(f"/proc/{main}/cgroup").read_text().splitlines():
        _number, controllers, group = line.split(":", 2)
        if controllers in ("", "name=systemd"):
            for root in (f"/sys/fs/cgroup/{controllers.partition('=')[2]}", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"):
                members = Path(f"{root}{group}/cgroup.procs")
                if members.exists():
                    members.write_text(str(pid))
                    break
    return pid


def holds_a_port() -> int:
    """Let another account listen on the dashboard's port, at an address that the dashboard does not use."""
    nobody = pwd.getpwnam("nobody")
    listen = "import socket, time; held = socket.create_server(('127.0.0.2', 8265)); time.sleep(600)"
    pid = started(sys.executable, "-c", listen, user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[])
    end = time.monotonic() + 10
    while "127.0.0.2:8265" not in run("/usr/local/lab/ss", "-Hltn") and time.monotonic() < end:
        time.sleep(0.1)
    return pid


def release() -> Path:
    return (CONFIG / "current").resolve()


def model() -> Path:
    return next(path for path in MODELS.rglob("config.json"))


def dropped(peer: str) -> list[str | Path]:
    return ["INPUT", "--source", peer, "--protocol", "tcp", "--dport", "52365", "--jump", "DROP"]


def opened(_peer: str) -> None:
    run("ufw", "allow", "6384/tcp")
    run("systemctl", "set-property", "--runtime", NODE, "IPAddressAllow=any")


def closed(_peer: str) -> None:
    run("ufw", "delete", "allow", "6384/tcp")
    shutil.rmtree(f"/run/systemd/system.control/{NODE}.d")
    run("systemctl", "daemon-reload")


CASES: dict[str, list[Case]] = {
    "h1": [
        Case({"modes": "record.json has the mode 0664"}, *mode(CONFIG / "record.json", 0o664, 0o644)),
        Case({"paths": "/opt/vllm-ray can be written"}, *mode(RELEASES.parent, 0o775, 0o755)),
        Case(
            {"secrets": "secrets/api.key has 20 characters"},
            *edited(CONFIG / "secrets/api.key", lambda text: text[:20]),
        ),
        Case(
            {"sudoers": "vllm-ray-default is there"},
            *written(Path("/etc/sudoers.d/vllm-ray-default"), lambda: "%games ALL=(ALL) /bin/true\n", 0o440),
        ),
        Case(
            {"state": "is a link to /etc/shadow"},
            lambda _peer: (STATE / "audited").symlink_to("/etc/shadow"),
            lambda _peer: (STATE / "audited").unlink(),
        ),
        Case(
            {"logs": "log/audited.log"},
            *written(STATE / "log/audited.log", lambda: f"token {secret('ray.token')}\n", user=USER),
        ),
        Case(
            {"account": "authorized_keys is there"},
            *written(Path("/nonexistent/.ssh/authorized_keys"), lambda: "ssh-ed25519 A\n"),
        ),
        Case(
            {"environments": "api.key in its environment"},
            *process("environment", lambda: started("sleep", SLEEP, env={"KEY": secret("api.key")})),
        ),
        Case({"listeners": "port 8265 is held by"}, *process("port", holds_a_port)),
        Case({"processes": "runs as uid 0"}, *process("unit", in_the_unit)),
        # Firewall and unit both keep a stranger out: without both, one more row sees it from outside.
        Case({"open_rules": "6384/tcp", "outside": "reaches 6384", "units": "/run/systemd/"}, opened, closed),
    ],
    "h2": [
        Case(
            {"release": "bin/vllm can be written by everybody"},
            lambda _peer: (release() / "bin/vllm").chmod(0o757),
            lambda _peer: (release() / "bin/vllm").chmod(0o755),
        ),
        Case({"models": "is set-uid"}, lambda _peer: model().chmod(0o4644), lambda _peer: model().chmod(0o644)),
        Case(
            {"groups": "in the group adm"},
            lambda _peer: run("gpasswd", "--add", USER, "adm"),
            lambda _peer: run("gpasswd", "--delete", USER, "adm"),
        ),
        Case({"jobs": "/linger/vllm-ray"}, *written(Path("/var/lib/systemd/linger") / USER, str)),
        Case(
            {"command_lines": "ray.token"},
            *process("command", lambda: started("sh", "-c", f"sleep {SLEEP}; true", secret("ray.token"))),
        ),
        Case(
            {"units": "changes the unit"},
            *written(
                Path(f"/etc/systemd/system/{NODE}.d/audited.conf"), lambda: "[Service]\nNoNewPrivileges=no\n", 0o644
            ),
        ),
        Case({"other_users": f"nobody can read {STATE}"}, *mode(STATE, 0o755, 0o750)),
        Case(
            {"service_user": "can read /etc/vllm-ray/audited/ray.token"},
            *written(CONFIG.parent / "audited/ray.token", lambda: "0" * 64, 0o400, USER),
        ),
        Case(
            {"rules": "192.0.2.77"},
            lambda _peer: run("ufw", "allow", "from", "192.0.2.77", "comment", "vllm-ray default"),
            lambda _peer: run("ufw", "delete", "allow", "from", "192.0.2.77"),
        ),
        Case(
            {"peers": "does not reach 52365"},
            lambda peer: run("iptables", "--insert", *dropped(peer)),
            lambda peer: run("iptables", "--delete", *dropped(peer)),
        ),
        Case(
            {"firewall": "IPv6"},
            lambda _peer: run("ip6tables", "--policy", "INPUT", "ACCEPT"),
            lambda _peer: run("ip6tables", "--policy", "INPUT", "DROP"),
        ),
    ],
}


def main(what: str, host: str, peer: str) -> None:
    for case in CASES[host]:
        (case.off if what == "break" else case.on)(peer)
    if what == "restore":
        shutil.rmtree(KEPT, ignore_errors=True)
        for made in (Path("/nonexistent"), CONFIG.parent / "audited"):
            shutil.rmtree(made, ignore_errors=True)
    print(json.dumps({row: text for case in CASES[host] for row, text in case.rows.items()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
