# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The wires: one bridge that the controller sits on, one cable per host, and what cuts or narrows a cable."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from .commands import run
from .settings import LabError

if TYPE_CHECKING:
    from .settings import Settings

# Many systemds of one user need more than Linux's default of 128.
INOTIFY = {"max_user_instances": 4096, "max_user_watches": 1048576}
CUT_ALL, CUT_PEERS, CUT_PAIRS = "cut_all", "cut_peers", "cut_pairs"


def rules(table: str) -> str:
    """Drop what enters or leaves a cable that stands in one of the sets, on its way through the bridge."""
    return f"""
table bridge {table} {{
  set {CUT_ALL} {{ type ifname; }}
  set {CUT_PEERS} {{ type ifname; }}
  set {CUT_PAIRS} {{ type ifname . ifname; }}
  chain between_hosts {{
    type filter hook forward priority 0;
    iifname @{CUT_ALL} drop
    oifname @{CUT_ALL} drop
    iifname @{CUT_PEERS} drop
    oifname @{CUT_PEERS} drop
    iifname . oifname @{CUT_PAIRS} drop
  }}
  chain to_controller {{
    type filter hook input priority 0;
    iifname @{CUT_ALL} drop
  }}
  chain from_controller {{
    type filter hook output priority 0;
    oifname @{CUT_ALL} drop
  }}
}}
"""


def exists(link: str) -> bool:
    return Path("/sys/class/net", link).exists()


def raise_limits() -> None:
    for name, wanted in INOTIFY.items():
        limit = Path("/proc/sys/fs/inotify", name)
        if int(limit.read_text()) < wanted:
            limit.write_text(str(wanted))


def connect(settings: Settings) -> None:
    """Make bridge and table, if they are missing."""
    if not exists(settings.bridge):
        taken = run("ip", "-oneline", "address", "show", "to", f"{settings.network}.0/24").stdout.split()
        if taken:
            raise LabError(
                f"this machine has an address in {settings.network}.0/24 already, on {taken[1]}: "
                "set LAB_NET to three other numbers, or run `lab down` in the lab that has it"
            )
        # Without a querier, snooping would lose the IPv6 neighbours of a host that has just been plugged in.
        run("ip", "link", "add", settings.bridge, "type", "bridge", "mcast_snooping", "0")
        run("ip", "link", "set", settings.bridge, "mtu", settings.mtu)
        run("ip", "address", "add", f"{settings.controller}/24", "dev", settings.bridge)
        run("ip", "-6", "address", "add", f"{settings.controller6}/64", "dev", settings.bridge, "nodad")
        run("ip", "link", "set", settings.bridge, "up")
    if run("nft", "list", "table", "bridge", settings.table, check=False).returncode:
        run("nft", "--file", "-", given=rules(settings.table))


def disconnect(settings: Settings) -> None:
    for link in Path("/sys/class/net").iterdir():
        if re.fullmatch(re.escape(settings.cable("")) + "h[0-9]+", link.name):
            run("ip", "link", "delete", link.name, check=False)
    run("nft", "delete", "table", "bridge", settings.table, check=False)
    if exists(settings.bridge):
        run("ip", "link", "delete", settings.bridge)


def obstacle(settings: Settings) -> str:
    """Say what of this machine's own firewall would keep the hosts from each other; empty if nothing does."""
    switch = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
    if not switch.exists() or switch.read_text().strip() != "1":
        return ""
    chain = run("iptables", "--list-rules", "FORWARD", check=False).stdout
    if "-P FORWARD DROP" not in chain or f"-i {settings.bridge}" in chain:
        return ""
    return (
        "this machine's firewall drops what hosts send to each other (iptables FORWARD is DROP, for bridges too): "
        f"iptables --insert FORWARD --in-interface {settings.bridge} --jump ACCEPT"
    )


def change(settings: Settings, action: str, name: str, element: str) -> None:
    run("nft", action, "element", "bridge", settings.table, name, f"{{ {element} }}", check=action == "add")


def partition(settings: Settings, host: str, peer: str = "", *, peers: bool = False) -> None:
    """Cut a host from one peer, from all peers, or from all and the controller."""
    cable = settings.cable(host)
    if peer:
        other = settings.cable(peer)
        change(settings, "add", CUT_PAIRS, f"{cable} . {other}, {other} . {cable}")
    else:
        change(settings, "add", CUT_PEERS if peers else CUT_ALL, cable)


def heal(settings: Settings, host: str, others: list[str]) -> None:
    cable = settings.cable(host)
    change(settings, "delete", CUT_ALL, cable)
    change(settings, "delete", CUT_PEERS, cable)
    for other in (settings.cable(name) for name in others if name != host):
        change(settings, "delete", CUT_PAIRS, f"{cable} . {other}")
        change(settings, "delete", CUT_PAIRS, f"{other} . {cable}")


def heal_all(settings: Settings) -> None:
    for name in (CUT_ALL, CUT_PEERS, CUT_PAIRS):
        run("nft", "flush", "set", "bridge", settings.table, name)


def cuts(settings: Settings) -> str:
    """Say which cables are cut, as nft shows it."""
    shown = run("nft", "list", "table", "bridge", settings.table, check=False).stdout
    return " ".join(line.split("=", 1)[1].strip(" {}") for line in shown.splitlines() if "elements =" in line)


def shape(settings: Settings, host: str, pid: int, rate: str) -> None:
    """Narrow a cable both ways to a rate of tc, such as 100mbit; `off` opens it.

    To the host: a token bucket at the controller's end. From the host: one at its own end, as no policer is in every
    kernel. `pid` is the host's first process.
    """
    inside = ("nsenter", "--target", pid, "--net")
    cable = settings.cable(host)
    if rate == "off":
        run("tc", "qdisc", "delete", "dev", cable, "root", check=False)
        run(*inside, "tc", "qdisc", "delete", "dev", "host0", "root", check=False)
        return
    bucket = ("root", "tbf", "rate", rate, "burst", "256kb", "latency", "50ms")
    run("tc", "qdisc", "replace", "dev", cable, *bucket)
    run(*inside, "tc", "qdisc", "replace", "dev", "host0", *bucket)


def units(settings: Settings, host: str) -> str:
    """Write the host's systemd-networkd settings of its one NIC."""
    return (
        f"[Match]\nName=host0\n[Link]\nMTUBytes={settings.mtu}\n[Network]\n"
        f"Address={settings.address(host)}/24\nAddress={settings.address6(host)}/64\nGateway={settings.controller}\n"
        "LinkLocalAddressing=ipv6\nIPv6DuplicateAddressDetection=0\nIPv6AcceptRA=no\nConfigureWithoutCarrier=yes\n"
    )
