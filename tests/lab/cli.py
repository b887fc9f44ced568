# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make real hosts h1, h2 ... on this machine: each has its own systemd, sshd, firewall and addresses.

  lab build [--again]               make the base that all hosts share, if there is none
  lab up N                          let there be hosts h1 to hN; those that are there stay as they are
  lab down                          remove all hosts and whatever else the lab made (the base stays)
  lab start|stop|kill|reboot HOST   power on, shut down in order, power cut, reboot; waits for the result
  lab partition HOST                cut a host from everything
  lab partition HOST PEER           ... from one other host
  lab partition HOST --peers        ... from all other hosts; the controller still reaches it
  lab heal HOST|all                 undo it
  lab shape HOST RATE|off           narrow its cable both ways, e.g. to 100mbit
  lab freeze|thaw HOST              hang its processes, let them go on
  lab exec HOST COMMAND...          run as root inside, without SSH
  lab wait [HOST...]                until their SSH answers
  lab status                        hosts, addresses, memory, cuts
  lab inventory [--groups NAME=HOST,HOST]... [--format json|ini] [--output FILE|-]
                                    for Ansible; prints the file's name. Hosts outside the groups are in `all`
  lab selftest                      prove every effect above on a lab of its own (root, about 40 s)

Settings are environment variables (README.md): LAB_NAME, LAB_DIR, LAB_BASE, LAB_SUITE, LAB_TAG, LAB_NET, LAB_NET6,
LAB_MTU, LAB_MEM, LAB_CGROUP, LAB_BIND, LAB_BIND_RO, LAB_OVERLAY, LAB_LAYERS, LAB_NSPAWN_ARGS.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from . import base, hosts, inventory, network, settings, storage
from .commands import run
from .settings import LabError, Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

CHECKOUT = Path(__file__).resolve().parents[2]
# These change nothing that another command relies on, or take too long to hold the lock.
UNLOCKED = ("build", "exec", "inventory", "selftest", "status", "wait", "_reshape")


def say(text: str) -> None:
    print(text, flush=True)


def here(environment: Mapping[str, str]) -> Settings:
    """Return the lab that the environment means, as it was made if it exists."""
    wanted = settings.read(environment, CHECKOUT, base.recipe(environment.get("LAB_SUITE", "")))
    record = wanted.directory / "lab.json"
    return settings.keep(wanted, record.read_text(), environment) if record.exists() else wanted


def up(lab: Settings, count: int) -> None:
    base.build(lab, say)
    begun = time.monotonic()
    lab.sockets.mkdir(parents=True, exist_ok=True)
    (lab.directory / "lab.json").write_text(json.dumps(lab.fixed(), indent=2) + "\n")
    if not lab.key.exists():
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", lab.key)
    network.raise_limits()
    network.connect(lab)
    wanted = settings.names(count)
    for host in wanted:
        if not (lab.folder(host) / "whole").exists():
            if lab.folder(host).exists():
                hosts.remove(lab, host)
            hosts.create(lab, host)
    everyone = hosts.known(lab)
    for host in everyone:
        hosts.mount(lab, host)
    hosts.name_each_other(lab, everyone)
    inventory.write_known_hosts(lab, everyone)
    started = [host for host in wanted if hosts.start(lab, host)]
    hosts.wait(lab, wanted)
    obstacle = network.obstacle(lab) if len(everyone) > 1 else ""
    if obstacle:
        print(f"lab: warning: {obstacle}", file=sys.stderr)
    if started:
        say(f"started {' '.join(started)} in {time.monotonic() - begun:.1f} s, in {lab.directory}")
    else:
        say(f"nothing to do: {' '.join(wanted)} are on, in {lab.directory}")


def down(lab: Settings) -> None:
    """Remove all that the lab made, also what a broken-off command left half made."""
    existed = lab.directory.exists() and any(path.name != ".lock" for path in lab.directory.iterdir())
    inventory.close_connections(lab.sockets)
    for host in hosts.known(lab):
        hosts.remove(lab, host)
    network.disconnect(lab)
    storage.unmount_below(lab.directory)
    shutil.rmtree(lab.directory)
    say(f"removed {lab.directory}" if existed else f"nothing to do: there is no lab in {lab.directory}")


def reshape(lab: Settings, host: str) -> None:
    """Narrow the cable again after a boot, as soon as the host has a first process."""
    rate = (lab.folder(host) / "shape").read_text()
    for attempt in range(100):
        try:
            network.shape(lab, host, hosts.first_process(lab, host), rate)
            return
        except LabError:
            if attempt == 99:
                raise
            time.sleep(0.05)


def shape(lab: Settings, host: str, rate: str) -> None:
    network.shape(lab, host, hosts.first_process(lab, host), rate)
    record = lab.folder(host) / "shape"
    if rate == "off":
        record.unlink(missing_ok=True)
    else:
        record.write_text(rate)


def partition(lab: Settings, host: str, peer: str, *, peers: bool) -> None:
    if peer and peers:
        raise LabError("give a peer or --peers, not both")
    if peer == host:
        raise LabError(f"{host} can't be cut from itself")
    network.partition(lab, host, hosts.need(lab, peer) if peer else "", peers=peers)


def heal(lab: Settings, host: str) -> None:
    if host == "all":
        network.heal_all(lab)
    else:
        network.heal(lab, hosts.need(lab, host), hosts.known(lab))


def write_inventory(lab: Settings, words: list[str], form: str, output: str) -> None:
    everyone = hosts.known(lab)
    if not everyone:
        raise LabError(f"there is no lab in {lab.directory}: lab up N")
    members = inventory.groups(words, everyone)
    if form == "script":
        say(json.dumps(inventory.script_output(lab, everyone, members), indent=2))
        return
    text = inventory.text(lab, everyone, members, form)
    if output == "-":
        sys.stdout.write(text)
        return
    path = Path(output) if output else lab.directory / f"inventory.{form}"
    path.write_text(text)
    say(str(path))


def status(lab: Settings) -> None:
    say(f"lab in {lab.directory}, controller {lab.controller} {lab.controller6} on {lab.bridge}")
    for host in hosts.known(lab):
        say(hosts.describe(lab, host))
    cuts = network.cuts(lab)
    if cuts:
        say(f"cut: {cuts}")


def switch(lab: Settings, command: str, host: str) -> None:
    if command == "start":
        hosts.start(lab, host)
        hosts.wait(lab, [host])
    elif command == "stop":
        hosts.stop(lab, host)
    elif command == "kill":
        hosts.kill(lab, host)
    elif command == "reboot":
        say(f"{host} rebooted in {hosts.reboot(lab, host):.1f} s")
    else:
        hosts.freeze(lab, host, thaw=command == "thaw")


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="lab", usage="lab COMMAND ...", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", help=argparse.SUPPRESS)
    commands.add_parser("build").add_argument("--again", action="store_true")
    commands.add_parser("up").add_argument("count", type=int, metavar="N")
    for name in ("down", "status", "selftest"):
        commands.add_parser(name)
    for name in ("start", "stop", "kill", "reboot", "freeze", "thaw", "heal", "_reshape"):
        commands.add_parser(name).add_argument("host", metavar="HOST")
    cut = commands.add_parser("partition")
    cut.add_argument("host", metavar="HOST")
    cut.add_argument("peer", metavar="PEER", nargs="?", default="")
    cut.add_argument("--peers", action="store_true")
    narrow = commands.add_parser("shape")
    narrow.add_argument("host", metavar="HOST")
    narrow.add_argument("rate", metavar="RATE|off")
    inside = commands.add_parser("exec")
    inside.add_argument("host", metavar="HOST")
    inside.add_argument("words", metavar="COMMAND", nargs=argparse.REMAINDER)
    commands.add_parser("wait").add_argument("hosts", metavar="HOST", nargs="*")
    listing = commands.add_parser("inventory")
    listing.add_argument("--groups", action="append", default=[], metavar="NAME=HOST,HOST")
    listing.add_argument("--format", choices=(*inventory.FORMATS, "script"), default="json")
    listing.add_argument("--output", default="", metavar="FILE|-")
    return top


def perform(lab: Settings, asked: argparse.Namespace) -> int:
    """Do what a command line asks; return the exit status."""
    if asked.command == "up":
        up(lab, asked.count)
    elif asked.command == "down":
        down(lab)
    elif asked.command == "build":
        if not base.build(lab, say, again=asked.again):
            say(f"nothing to do: there is a base in {lab.base}")
    elif asked.command == "status":
        status(lab)
    elif asked.command == "inventory":
        write_inventory(lab, asked.groups, asked.format, asked.output)
    elif asked.command == "wait":
        hosts.wait(lab, [hosts.need(lab, host) for host in asked.hosts] or hosts.known(lab))
    elif asked.command == "heal":
        heal(lab, asked.host)
    elif asked.command == "selftest":
        from .selftest import selftest

        return selftest()
    else:
        return perform_on_host(lab, hosts.need(lab, asked.host), asked)
    return 0


def perform_on_host(lab: Settings, host: str, asked: argparse.Namespace) -> int:
    if asked.command == "exec":
        words = asked.words[1:] if asked.words[:1] == ["--"] else asked.words
        hosts.execute(lab, host, words or ["/bin/bash", "--login"])
    if asked.command == "partition":
        partition(lab, host, asked.peer, peers=asked.peers)
    elif asked.command == "shape":
        shape(lab, host, asked.rate)
    elif asked.command == "_reshape":
        reshape(lab, host)
    else:
        switch(lab, asked.command, host)
    return 0


def main(words: list[str]) -> int:
    asked = parser().parse_args(words)
    try:
        if os.geteuid() != 0:
            raise LabError("hosts need root: use sudo, with --preserve-env if you set LAB_*")
        if asked.command in UNLOCKED:
            return perform(here(os.environ), asked)
        directory = settings.read(os.environ, CHECKOUT, "").directory
        with storage.locked(directory / ".lock"):
            return perform(here(os.environ), asked)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lab: interrupted; `lab down` removes what is there", file=sys.stderr)
        return 130
