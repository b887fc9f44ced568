# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove on real hosts that each command of the lab has its effect, and that nothing is left of it. Needs root."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

LAB = Path(__file__).resolve().parent / "lab"
FAST = 200.0
"""Mbit/s that an open cable is sure to exceed."""


class Lab:
    """A lab as its users see it: the command, the inventory, SSH."""

    def __init__(self, folder: Path, name: str, **more: str) -> None:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("LAB_")}
        kept = {key: os.environ[key] for key in ("LAB_BASE", "LAB_SUITE") if key in os.environ}
        self.directory = folder / name
        self.environment = {**inherited, **kept, "LAB_DIR": str(self.directory), **more}

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(LAB), *words], env=self.environment, capture_output=True, text=True, check=False, timeout=120
        )

    def __call__(self, *words: str) -> str:
        done = self.run(*words)
        assert done.returncode == 0, f"lab {' '.join(words)} ended with {done.returncode}: {done.stderr}{done.stdout}"
        return done.stdout.strip()

    def does(self, host: str, *command: str) -> bool:
        return self.run("exec", host, *command).returncode == 0

    def reaches(self, host: str, target: str) -> bool:
        # A neighbour that was gone is given up and asked for again for a while.
        return any(self.does(host, "ping", "-q", "-c1", "-W1", target) for _attempt in range(5))

    def misses(self, host: str, target: str) -> bool:
        return "100% packet loss" in self.run("exec", host, "ping", "-q", "-c1", "-W1", target).stdout

    def boot_id(self, host: str) -> str:
        return self("exec", host, "cat", "/proc/sys/kernel/random/boot_id")

    def inventory(self) -> dict[str, dict[str, dict[str, str]]]:
        shown = json.loads(self("inventory", "--output", "-"))["all"]
        assert isinstance(shown, dict)
        return shown

    def ssh(self, host: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Log in just as the inventory says."""
        shown = self.inventory()
        login, address = shown["vars"], shown["hosts"][host]["ansible_host"]
        words = ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=3"]
        words += [*str(login["ansible_ssh_common_args"]).split(), "-i", str(login["ansible_ssh_private_key_file"])]
        words += [f"{login['ansible_user']}@{address}", *command]
        return subprocess.run(words, capture_output=True, text=True, check=False, timeout=30)

    def megabits(self, sender: str, receiver: str) -> float:
        """Mbit/s that one host gets through to another in a second."""
        server = subprocess.Popen(
            [str(LAB), "exec", receiver, "iperf3", "--server", "--one-off"],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            for _attempt in range(50):
                done = self.run("exec", sender, "iperf3", "--client", receiver, "--time", "1", "--json")
                # Before the server listens there is no sum.
                received = json.loads(done.stdout)["end"].get("sum_received") if done.returncode == 0 else None
                if received:
                    return float(received["bits_per_second"]) / 1e6
                time.sleep(0.1)
        finally:
            server.terminate()
            server.wait()
        raise AssertionError(f"iperf3 from {sender} to {receiver} failed: {done.stdout}{done.stderr}")


def traces(lab: Lab, tag: str) -> list[str]:
    """Find whatever of a lab is still on the machine."""
    found = [str(lab.directory)] if lab.directory.exists() else []
    found += [line for line in Path("/proc/self/mounts").read_text().splitlines() if str(lab.directory) in line]
    links = (f"labbr{tag}", f"vb-{tag}h")
    found += [path.name for path in Path("/sys/class/net").iterdir() if path.name.startswith(links)]
    # Not by glob, which fails where another lab's group goes meanwhile.
    groups = (name for _above, names, _files in os.walk("/sys/fs/cgroup") for name in names)
    found += [name for name in groups if name.startswith(f"lab-{tag}-")]
    tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=False).stdout
    found += [line for line in tables.splitlines() if line.endswith(f"lab_{tag}")]
    found += [
        str(path) for path in Path("/proc").glob("[0-9]*/cmdline") if _mentions(path, f"{lab.directory}/".encode())
    ]
    return found


def _mentions(path: Path, text: bytes) -> bool:
    try:
        return text in path.read_bytes()
    except OSError:
        return False


def two_hosts_boot(lab: Lab) -> None:
    lab("up", "2")
    for host in ("h1", "h2"):
        assert lab("exec", host, "systemctl", "is-system-running", "--wait") == "running"
        failed = lab("exec", host, "systemctl", "list-units", "--failed", "--plain", "--no-legend")
        assert failed == "", failed


def ssh_works_as_the_inventory_says(lab: Lab) -> None:
    done = lab.ssh("h1", "sudo", "--non-interactive", "hostname")
    assert (done.returncode, done.stdout.strip()) == (0, "h1"), done.stderr
    # Another host's key must be refused.
    known = lab.directory / "known_hosts"
    right = known.read_text()
    first, second = right.splitlines()
    known.write_text(f"{first.split()[0]} {' '.join(second.split()[1:])}\n")
    refused = lab.ssh("h1", "true")
    known.write_text(right)
    assert refused.returncode == 255
    assert "Host key verification failed" in refused.stderr


def binds_and_overlays_arrive(lab: Lab) -> None:
    assert lab.does("h1", "test", "-x", "/srv/lab/lab")
    assert not lab.does("h1", "touch", "/srv/lab/x"), "a read-only bind was written to"
    assert lab("exec", "h1", "cat", "/etc/pip.conf") == "[global]"
    assert lab("exec", "h1", "stat", "--format=%a", "/etc") == "755"


def hosts_reach_each_other(lab: Lab) -> None:
    addresses = lab.inventory()["hosts"]["h2"]
    for target in ("h2", addresses["ansible_host"], addresses["lab_ip6"], "controller"):
        assert lab.reaches("h1", target), target


def a_third_host_leaves_the_others_alone(lab: Lab) -> None:
    before = [lab.boot_id(host) for host in ("h1", "h2")]
    lab("up", "3")
    assert [lab.boot_id(host) for host in ("h1", "h2")] == before
    assert lab.reaches("h1", "h3")
    assert lab.reaches("h3", "h1")
    assert "nothing to do" in lab("up", "3")


def a_partition_cuts_what_it_says(lab: Lab) -> None:
    lab("partition", "h1", "h2")
    assert lab.misses("h1", "h2")
    assert lab.reaches("h1", "h3")
    assert lab.ssh("h1", "true").returncode == 0
    lab("heal", "h1")
    lab("partition", "h2", "--peers")
    assert lab.misses("h3", "h2")
    assert lab.ssh("h2", "true").returncode == 0
    lab("partition", "h3")
    assert lab.ssh("h3", "true").returncode == 255
    lab("heal", "all")
    assert lab.reaches("h1", "h2")
    assert lab.reaches("h3", "h2")
    lab("wait", "h3")


def shaping_narrows_both_ways(lab: Lab) -> None:
    lab("shape", "h1", "20mbit")
    assert 12 < lab.megabits("h1", "h2") < 22
    assert 12 < lab.megabits("h2", "h1") < 22


def a_reboot_is_a_new_boot_with_the_same_cable(lab: Lab) -> None:
    before = lab.boot_id("h1")
    lab("reboot", "h1")
    assert lab.boot_id("h1") != before
    for _attempt in range(40):
        if lab("exec", "h1", "tc", "qdisc", "show", "dev", "host0").startswith("qdisc tbf"):
            break
        time.sleep(0.05)
    assert lab.megabits("h2", "h1") < 22
    lab("shape", "h1", "off")
    assert lab.megabits("h2", "h1") > FAST
    assert lab.megabits("h1", "h2") > FAST


def a_reboot_from_inside_comes_back(lab: Lab) -> None:
    before = lab.boot_id("h2")
    lab.ssh("h2", "sudo", "systemctl", "reboot")
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        done = lab.run("exec", "h2", "cat", "/proc/sys/kernel/random/boot_id")
        if done.returncode == 0 and done.stdout.strip() != before:
            break
        time.sleep(0.1)
    lab("wait", "h2")
    assert lab.boot_id("h2") != before


def a_power_cut_asks_nobody(lab: Lab) -> None:
    unit = "[Service]\nExecStart=/bin/sleep infinity\nExecStop=/bin/touch /var/tmp/asked\n"
    lab("exec", "h2", "sh", "-c", f"printf '{unit}' > /etc/systemd/system/asked.service; systemctl start asked; sync")
    lab("kill", "h2")
    assert lab.misses("h1", "h2")
    assert "not running" in lab.run("exec", "h2", "true").stderr
    lab("start", "h2")
    assert lab.reaches("h1", "h2")
    assert not lab.does("h2", "test", "-e", "/var/tmp/asked"), "the service was stopped in order"
    lab("exec", "h2", "systemctl", "start", "asked")
    lab("stop", "h2")
    lab("start", "h2")
    assert lab.does("h2", "test", "-e", "/var/tmp/asked"), "the service was not stopped in order"


def freezing_hangs_a_host(lab: Lab) -> None:
    lab("freeze", "h3")
    assert "frozen" in lab("status")
    assert lab.ssh("h3", "true").returncode == 255
    lab("thaw", "h3")
    assert lab.ssh("h3", "true").returncode == 0


def a_units_limits_bind(lab: Lab) -> None:
    grow = ("python3", "-c", "b'x' * (200 << 20)")
    assert lab.does("h1", "systemd-run", "--quiet", "--wait", *grow)
    assert not lab.does("h1", "systemd-run", "--quiet", "--wait", "--property=MemoryMax=64M", *grow)


def mistakes_are_told(lab: Lab) -> None:
    for words, reason in (
        (("exec", "h9", "true"), "no host 'h9'"),
        (("up", "0"), "1 to 200 hosts"),
        (("partition", "h1", "h1"), "can't be cut from itself"),
        (("inventory", "--groups", "head=h9"), "names 'h9'"),
        (("shape", "h1", "wide"), "tc"),
    ):
        done = lab.run(*words)
        assert done.returncode == 1, words
        assert reason in done.stderr, done.stderr
    other = Lab(lab.directory.parent, lab.directory.name, LAB_NET="10.1.2")
    assert "was made with" in other.run("up", "3").stderr


def two_labs_do_not_meet(lab: Lab) -> None:
    other = Lab(lab.directory.parent, "other")
    tag = json.loads((lab.directory / "lab.json").read_text())["tag"]
    other("up", "1")
    other_tag = json.loads((other.directory / "lab.json").read_text())["tag"]
    assert tag != other_tag
    assert lab.misses("h1", other.inventory()["hosts"]["h1"]["ansible_host"])
    other("down")
    assert traces(other, other_tag) == []
    assert lab.reaches("h1", "h2")


def a_crash_in_the_middle_leaves_nothing(lab: Lab) -> None:
    for number, seconds in enumerate((0.25, 0.45, 0.7)):
        other = Lab(lab.directory.parent, f"crash{number}", LAB_TAG=f"cr{number}")
        started = subprocess.Popen(
            [str(LAB), "up", "2"], env=other.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(seconds)
        started.send_signal(signal.SIGKILL)
        started.wait()
        if number == 1:
            other("up", "2")
            assert other.reaches("h1", "h2")
        other("down")
        assert traces(other, f"cr{number}") == []


def down_leaves_nothing(lab: Lab) -> None:
    tag = json.loads((lab.directory / "lab.json").read_text())["tag"]
    assert traces(lab, tag) != []
    lab("partition", "h1")
    lab("freeze", "h2")
    lab("stop", "h3")
    lab("down")
    assert traces(lab, tag) == []
    assert "nothing to do" in lab("down")


CHECKS: tuple[Callable[[Lab], None], ...] = (
    two_hosts_boot,
    ssh_works_as_the_inventory_says,
    binds_and_overlays_arrive,
    hosts_reach_each_other,
    a_third_host_leaves_the_others_alone,
    a_partition_cuts_what_it_says,
    shaping_narrows_both_ways,
    a_reboot_is_a_new_boot_with_the_same_cable,
    a_reboot_from_inside_comes_back,
    a_power_cut_asks_nobody,
    freezing_hangs_a_host,
    a_units_limits_bind,
    mistakes_are_told,
    two_labs_do_not_meet,
    a_crash_in_the_middle_leaves_nothing,
    down_leaves_nothing,
)


def selftest() -> int:
    """Run every check in order, say how each went, and remove the lab whatever happens; return the exit status."""
    failed = 0
    with tempfile.TemporaryDirectory(prefix="lab-selftest-", dir="/var/tmp") as place:
        folder = Path(place)
        (folder / "overlay/etc").mkdir(parents=True, mode=0o700)
        (folder / "overlay/etc/pip.conf").write_text("[global]\n")
        lab = Lab(folder, "main", LAB_BIND_RO=f"{LAB.parent}:/srv/lab", LAB_OVERLAY=str(folder / "overlay"))
        try:
            for check in CHECKS:
                begun = time.monotonic()
                try:
                    check(lab)
                    outcome = "ok"
                except (AssertionError, subprocess.TimeoutExpired, ValueError) as error:
                    failed += 1
                    line = traceback.extract_tb(error.__traceback__)[1].lineno
                    outcome = f"FAILED at line {line}: {error}"
                print(f"{time.monotonic() - begun:5.1f} s  {check.__name__.replace('_', ' ')}: {outcome}", flush=True)
        finally:
            for left in folder.glob("*/lab.json"):
                Lab(folder, left.parent.name).run("down")
    print(f"{len(CHECKS) - failed} passed, {failed} failed", flush=True)
    return 1 if failed else 0
