# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command vllm-ray as root and as an operator on a terminal: what it runs as the service account stays apart."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import random
import select
import shlex
import shutil
import stat
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.tests.contract.test_vllm_ray_command import render

# What a program of the service account does with a terminal that it gets hold of: it types a command into it.
HOSTILE = """\
#!/usr/bin/python3
import contextlib, fcntl, json, os, sys, termios
fds = [0, 1, 2]
with contextlib.suppress(OSError):
    fds.append(os.open("/dev/tty", os.O_RDWR))
for fd in fds:
    for character in b"touch {sign}\\n":
        with contextlib.suppress(OSError):
            fcntl.ioctl(fd, termios.TIOCSTI, bytes([character]))
found = {{
    "terminal": int(open("/proc/self/stat").read().rpartition(")")[2].split()[4]),
    "open": [os.fstat(fd).st_rdev for fd in range(256) if os.path.exists(f"/proc/self/fd/{{fd}}")],
    "environment": dict(os.environ),
    "directory": os.getcwd(),
    "account": os.getuid(),
}}
with open("{told}", "w") as stream:
    stream.write(json.dumps(found) + "\\n")
"""
SECONDS = 30
# The number of a terminal (include/uapi/asm-generic/ioctls.h).
TIOCGPTN = 0x80045430
NOBODY = 65534
# Where input and output of the command go, as the user of a shell says.
PLACES = ["", "</dev/null", "</dev/null 2>&1 | cat", ">/dev/null", "2>/dev/null", "| cat", "</dev/null >/dev/null"]


def wait_until(condition: Callable[[], bool], otherwise: str) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, otherwise
        time.sleep(0.02)


class Terminal:
    """A shell on a terminal of its own."""

    def __init__(self, *argv: str, **environment: str) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(argv[0], argv, {**os.environ, "PS1": "", **environment})
        (number,) = struct.unpack("I", fcntl.ioctl(self.fd, TIOCGPTN, bytes(4)))
        self.device = os.stat(f"/dev/pts/{number}").st_rdev
        self.seen = ""

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def wait_for(self, text: str) -> str:
        """Return what is shown until a text is. A shell shows what is typed, too, so it must be another text."""
        end = time.monotonic() + SECONDS
        while text not in self.seen:
            assert time.monotonic() < end, self.seen
            if select.select([self.fd], [], [], 0.1)[0]:
                self.seen += os.read(self.fd, 65536).decode(errors="replace")
        shown, self.seen = self.seen.split(text, 1)
        return shown

    def run(self, line: str) -> int:
        """Type a command line and return its status."""
        self.type(f"{line}; echo 'en'd-$?.\n")
        self.wait_for("end-")
        return int(self.wait_for("."))

    def wait_for_shell(self) -> None:
        """Wait until the shell has the terminal again."""
        wait_until(lambda: os.tcgetpgrp(self.fd) == self.pid, "the command runs on")

    def close(self) -> None:
        with contextlib.suppress(OSError):
            os.kill(self.pid, 9)
        os.close(self.fd)
        os.waitpid(self.pid, 0)


class Host:
    """A host with clusters of the account nobody, which may write where their data are."""

    def __init__(self, root: Path) -> None:
        self.root, self.clusters = root, root / "clusters"
        self.state, self.bin = root / "state", root / "bin"
        self.command, self.sign, self.told = root / "vllm-ray", root / "typed", root / "state" / "told"
        for path in (self.clusters, self.state, self.bin):
            path.mkdir()
        os.chown(self.state, NOBODY, NOBODY)
        text = render("vllm-ray.j2", ray_clusters_dir=str(self.clusters), ray_command=str(self.command))
        self.script(self.command, text)
        self.script(
            self.bin / "hostile",
            HOSTILE.format(sign=self.sign, told=self.told),
        )

    def script(self, path: Path, text: str) -> None:
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)

    def add(self, cluster: str, group: str = "", account: int = NOBODY) -> Path:
        config = self.root / cluster
        config.mkdir()
        path = f"{self.bin}:/usr/bin:/bin"
        files = {
            "node.env": f"HOME={self.state}\nPATH={path}\n",
            "client.env": "RAY_ADDRESS=192.0.2.11:6379\n",
            "ray.token": "t",
            "api.key": f"key of {cluster}",
        }
        for name, text in files.items():
            (config / name).write_text(text, encoding="utf-8")
        for name in ("ray.token", "api.key"):
            os.chown(config / name, account, account)
            (config / name).chmod(0o400)
        (self.clusters / cluster).write_text(f"{config}\n", encoding="utf-8")
        if group:
            text = render("operators.sh.j2", ray_command=str(self.command), ray_cluster=cluster)
            self.script(config / "vllm-ray", text)
        return config

    def found(self) -> Any:
        """Return what a program wrote, which is JSON."""
        wait_until(lambda: self.told.is_file() and self.told.read_text().endswith("\n"), "the program was not run")
        return json.loads(self.told.read_text())


@pytest.fixture
def host() -> Iterator[Host]:
    # Not pytest's own directory, which is closed to other accounts.
    with tempfile.TemporaryDirectory(prefix="vllm-ray-command-") as folder:
        os.chmod(folder, 0o755)
        yield Host(Path(folder))


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    opened = Terminal("/bin/sh", "-i", MY_SECRET="canary")
    yield opened
    opened.close()


@pytest.mark.parametrize("places", PLACES)
def test_the_callers_terminal_is_out_of_reach(host: Host, terminal: Terminal, places: str) -> None:
    host.add("demo")
    terminal.run(f"{host.command} exec hostile {places}")
    found = host.found()
    # What was typed would be run by now.
    assert terminal.run("true") == 0
    assert not host.sign.exists()
    assert found["account"] == NOBODY
    assert found["terminal"] != terminal.device and terminal.device not in found["open"]


def test_it_has_a_terminal_of_its_own(host: Host, terminal: Terminal) -> None:
    host.add("demo")
    terminal.run(f"{host.command} exec hostile")
    found = host.found()
    assert found["terminal"] in found["open"]
    terminal.type(f"{host.command} exec sh -c 'read word; echo \"got $word.\"'\nabc\n")
    terminal.wait_for("got abc.")


@pytest.mark.parametrize("places", PLACES[:2])
def test_nothing_of_the_callers_environment_home_and_directory_goes_along(
    host: Host, terminal: Terminal, places: str
) -> None:
    host.add("demo")
    for name in (".bashrc", ".profile", "usercustomize.py", "sitecustomize.py", "ray.py"):
        (host.state / name).write_text(f"import os; os.system('touch {host.sign}')\ntouch {host.sign}\n")
    host.script(host.state / "id", f"#!/bin/sh\ntouch {host.sign}\n")
    host.script(host.state / "env", f"#!/bin/sh\ntouch {host.sign}\n")
    terminal.run(f"cd {host.state}; export PATH=.:$PATH HOME={host.state}")
    terminal.run(f"{host.command} exec bash -i -c hostile {places}")
    terminal.run(f"{host.command} nodes {places}")
    found = host.found()
    assert not host.sign.exists()
    assert (found["directory"], found["environment"]["HOME"]) == ("/", "/nonexistent")
    assert "MY_SECRET" not in found["environment"]
    assert found["environment"]["RAY_ADDRESS"] == "192.0.2.11:6379"


@pytest.mark.parametrize("places", [place for place in PLACES if "|" not in place])
@pytest.mark.parametrize(("line", "wanted"), [("exit 7", 7), ("true", 0), ("kill -TERM $$", 143)])
def test_it_ends_as_the_command_does(host: Host, terminal: Terminal, line: str, wanted: int, places: str) -> None:
    host.add("demo")
    assert terminal.run(f"{host.command} exec sh -c {shlex.quote(line)} {places}") == wanted


@pytest.mark.parametrize("places", PLACES[:2])
def test_an_interrupt_ends_the_command(host: Host, terminal: Terminal, places: str) -> None:
    host.add("demo")
    host.script(host.bin / "waits", f"#!/bin/sh\necho $$ >{host.told}\nexec sleep 3600\n")
    terminal.type(f"{host.command} exec waits {places}\n")
    pid = host.found()
    terminal.type("\x03")
    terminal.wait_for_shell()
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"), "it runs on")
    assert terminal.run("true") == 0


def test_bytes_go_through_as_they_are(host: Host, terminal: Terminal) -> None:
    host.add("demo")
    data = random.Random(7).randbytes(300_000)
    (host.root / "in").write_bytes(data)
    terminal.run(f"{host.command} exec cat <{host.root / 'in'} >{host.root / 'out'}")
    assert (host.root / "out").read_bytes() == data


# --- Operators -------------------------------------------------------------------------------------------------------

OPERATOR, OPERATORS = 61001, "vllm-ray-operators"
# The account of the cluster a-b, whose name begins like that of the cluster a.
OTHER = 61003


class Etc:
    """A copy of /etc that only the commands of a test see."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        for name in ("passwd", "group", "shadow", "gshadow", "nsswitch.conf", "login.defs", "ld.so.cache", "hosts"):
            shutil.copy2(f"/etc/{name}", path / name)
        for name in ("pam.d", "security"):
            shutil.copytree(f"/etc/{name}", path / name)
        (path / "sudoers").write_text("Defaults env_reset\nroot ALL=(ALL:ALL) ALL\n@includedir /etc/sudoers.d\n")
        (path / "sudoers").chmod(0o440)
        (path / "sudoers.d").mkdir(0o755)

    def append(self, name: str, line: str) -> None:
        with (self.path / name).open("a", encoding="utf-8") as stream:
            stream.write(f"{line}\n")

    def command(self, *argv: str | Path) -> list[str]:
        mount = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc && exec "$@"']
        return [*mount, str(self.path), *map(str, argv)]

    def run(self, *argv: str | Path, text: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(*argv), input=text, capture_output=True, text=True, check=False)


@pytest.fixture
def etc(host: Host) -> Etc:
    return Etc(host.root / "etc")


@pytest.fixture
def operator(host: Host, etc: Etc) -> list[str]:
    """Make an operator of the cluster a, beside a cluster b. Return what a command of the operator starts with."""
    etc.append("passwd", f"operator7:x:{OPERATOR}:{OPERATOR}::/:/bin/sh")
    etc.append("shadow", "operator7:!:20000::::::")
    etc.append("group", f"{OPERATORS}:x:{OPERATOR}:operator7")
    for cluster in ("a", "b"):
        config = host.add(cluster, OPERATORS)
    config = host.root / "a"
    rules = {"ray_operators_group": OPERATORS, "ray_user": "nobody", "ray_cluster": "a", "ray_config_dir": str(config)}
    (etc.path / "sudoers.d" / "vllm-ray-a").write_text(render("sudoers.j2", **rules), encoding="utf-8")
    (etc.path / "sudoers.d" / "vllm-ray-a").chmod(0o440)
    return etc.command("setpriv", f"--reuid={OPERATOR}", f"--regid={OPERATOR}", "--clear-groups")


def test_visudo_takes_the_rule(operator: list[str], etc: Etc) -> None:
    done = etc.run("visudo", "-c")
    assert done.returncode == 0, done.stdout + done.stderr
    assert stat.S_IMODE((etc.path / "sudoers.d" / "vllm-ray-a").stat().st_mode) == 0o440


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("-c", "a", "key"), (0, "key of a\n")),
        (("-c", "a", "exec", "id", "-un"), (0, "nobody\n")),
        (("-c", "a", "exec", "printf", "<%s>", "a b", "", "*"), (0, "<a b><><*>")),
        (("-c", "b", "key"), (1, "")),
        (("-c", "b", "exec", "true"), (1, "")),
        (("-c", "b", "logs", "node"), (1, "")),
        (("-c", "a", "-c", "b", "key"), (2, "")),
    ],
)
def test_an_operator_uses_the_own_cluster_alone(
    host: Host, operator: list[str], words: tuple[str, ...], wanted: tuple[int, str]
) -> None:
    done = subprocess.run([*operator, host.command, *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == wanted, done.stderr


@pytest.mark.parametrize("rest", [("-c", "b", "key"), ("-c", "b", "exec", "true")])
def test_sudo_itself_lets_an_operator_into_no_other_cluster(
    host: Host, operator: list[str], rest: tuple[str, ...]
) -> None:
    for command in (host.command, host.root / "b" / "vllm-ray"):
        done = subprocess.run(
            [*operator, "sudo", "-n", "-u", "nobody", command, *rest], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout) == (1, "") and "a password is required" in done.stderr
    own = [*operator, "sudo", "-n", "-u", "nobody", str(host.root / "a" / "vllm-ray"), *rest]
    done = subprocess.run(own, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")


@pytest.fixture
def other(host: Host, etc: Etc, operator: list[str]) -> Path:
    """Make a cluster a-b with an account of its own, beside the operator's."""
    etc.append("passwd", f"vllm-ray-a-b:x:{OTHER}:{OTHER}::/nonexistent:/usr/sbin/nologin")
    config = host.add("a-b", OPERATORS, OTHER)
    (config / "secrets").mkdir(0o700)
    state = host.root / "other-state"
    state.mkdir(0o750)
    (state / "x").write_text("cache of a-b")
    os.chown(state, OTHER, OTHER)
    return config


def test_an_operator_has_what_the_own_account_may_read(host: Host, operator: list[str], other: Path, etc: Etc) -> None:
    """Of two clusters with accounts of their own, by commands that the own cluster lets an operator run."""
    paths = [host.root / "a" / "api.key", other / "api.key", other / "ray.token", host.root / "other-state" / "x"]
    command = [
        *operator,
        host.command,
        "-c",
        "a",
        "exec",
        "sh",
        "-c",
        'for path; do cat "$path"; echo; done',
        "sh",
        *paths,
    ]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert done.stdout.split("\n") == ["key of a", "", "", "", ""]
    assert done.stderr.count("Permission denied") == 3
    # Root is let into both, each with its own account.
    for cluster, account in (("a", "nobody"), ("a-b", "vllm-ray-a-b")):
        said = [etc.run(host.command, "-c", cluster, *words).stdout for words in (("exec", "id", "-un"), ("key",))]
        assert said == [f"{account}\n", f"key of {cluster}\n"]


@pytest.mark.parametrize("part", ["node", "serve"])
def test_the_journal_is_that_of_the_own_units(
    host: Host, operator: list[str], other: Path, etc: Etc, part: str
) -> None:
    """journalctl takes patterns, and a-* would also be a-b-main."""
    command = etc.command("sh", "-c", f'mount --bind {host.bin / "journalctl"} /usr/bin/journalctl && exec "$@"', "sh")
    host.script(host.bin / "journalctl", '#!/bin/sh\nprintf "<%s>" "$@"\n')
    done = subprocess.run(
        [*command, *operator[-4:], host.command, "-c", "a", "logs", part], capture_output=True, text=True
    )
    units = [word for word in done.stdout.replace(">", "<").split("<") if word.startswith("vllm-ray-")]
    assert units == [f"vllm-ray-{part}@a{'-main' if part == 'serve' else ''}.service"], done.stderr


@pytest.mark.parametrize("places", PLACES)
def test_an_operators_terminal_is_out_of_reach(host: Host, operator: list[str], places: str) -> None:
    terminal = Terminal(*operator, "/bin/sh", "-i")
    try:
        terminal.run(f"cd {host.state}; {host.command} -c a exec hostile {places}")
        found = host.found()
        assert terminal.run("true") == 0
    finally:
        terminal.close()
    assert not host.sign.exists()
    assert found["terminal"] != terminal.device
    assert (found["directory"], found["environment"]["HOME"]) == ("/", "/nonexistent")


# --- The account -----------------------------------------------------------------------------------------------------

MODULE = "ansible_collections.vllm_ray.cluster.plugins.modules.service_set"
ACCOUNT = {"name": "service7", "home": "/nonexistent", "former_parent": "/var/lib/vllm-ray"}


def set_account(etc: Etc, check: bool = False) -> dict[str, Any]:
    options = {"account": ACCOUNT, "_ansible_check_mode": check, "_ansible_diff": True}
    done = etc.run(sys.executable, "-m", MODULE, text=json.dumps({"ANSIBLE_MODULE_ARGS": options}))
    assert done.returncode == 0, done.stdout + done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def home(etc: Etc) -> str:
    lines = (etc.path / "passwd").read_text(encoding="utf-8").splitlines()
    return next((line.split(":")[5] for line in lines if line.startswith("service7:")), "none")


@pytest.mark.parametrize(
    ("former", "wanted"),
    [
        ("/var/lib/vllm-ray/demo", "/nonexistent"),
        ("/var/lib/vllm-ray/other", "/nonexistent"),
        # An account of the user's own.
        ("/home/service7", "/home/service7"),
        ("/nonexistent", "/nonexistent"),
    ],
)
def test_the_home_of_an_account_is_not_the_services_to_write(etc: Etc, former: str, wanted: str) -> None:
    etc.append("passwd", f"service7:x:61002:61002::{former}:/usr/sbin/nologin")
    etc.append("shadow", "service7:!:20000::::::")
    # Its services run.
    running = subprocess.Popen(etc.command("setpriv", "--reuid=61002", "--clear-groups", "sleep", "60"))
    try:
        would = set_account(etc, check=True)
        assert (would["changed"], home(etc)) == (former != wanted, former)
        done = set_account(etc)
        assert (done["changed"], home(etc)) == (former != wanted, wanted)
        assert [(part["before"], part["after"]) for part in done["diff"]] == (
            [(f"home {former}\n", "home /nonexistent\n")] if former != wanted else []
        )
        assert set_account(etc)["changed"] is False
    finally:
        running.kill()
        running.wait()


def test_a_new_account_has_no_home(etc: Etc) -> None:
    assert set_account(etc)["changed"] is True
    assert home(etc) == "/nonexistent"
    assert set_account(etc)["changed"] is False
