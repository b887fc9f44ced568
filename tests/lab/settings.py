# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a lab is made of: names, addresses and options, all decided here and nowhere else. Pure."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

HOME = Path("/var/tmp/vllm-ray-lab")
MOST_HOSTS = 200
FIRST_ADDRESS = 10  # h1 is .11; .1 is the controller
HOST_NAME = re.compile(r"h([1-9][0-9]{0,2})")

# Decided when a lab gets its first host and kept until `lab down`.
FIXED = ("tag", "network", "network6", "mtu", "base")


class LabError(Exception):
    """What went wrong, and the fix, as text for a terminal."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """One lab. Strings are as the tools want them; sizes and rates keep their unit's suffix."""

    directory: Path
    """Everything of this lab on disk, except the base."""
    base: Path
    """The read-only root that all hosts share."""
    suite: str
    """The release of Debian or Ubuntu that the base is made of; empty: this machine's own."""
    tag: str
    """Short and unique to the lab: part of the names of links, cgroups and the firewall table."""
    network: str
    """First three numbers of the hosts' IPv4 /24."""
    network6: str
    """Prefix of the hosts' IPv6 /64, ends in a colon."""
    mtu: int
    """Bytes per packet on the hosts' cables."""
    cgroup: str
    """hybrid: controllers on v1, as on this kernel; unified: what a host sees is cgroup v2 only."""
    memory: str
    """Bytes per host, with suffix, such as 4G; empty: no limit."""
    bind: tuple[str, ...]
    """SOURCE:DESTINATION, writable inside the host."""
    bind_read_only: tuple[str, ...]
    """SOURCE:DESTINATION, read-only inside the host."""
    layers: tuple[str, ...]
    """Directories above the base and below a host's own, uppermost first."""
    overlays: tuple[str, ...]
    """Directories whose files are copied over a new host's root, in this order."""
    nspawn_arguments: str
    """Further words for systemd-nspawn, quoted as in a shell."""

    @property
    def bridge(self) -> str:
        return f"labbr{self.tag}"

    @property
    def table(self) -> str:
        """The nftables table (of family bridge) that cuts cables."""
        return f"lab_{self.tag}"

    @property
    def controller(self) -> str:
        return f"{self.network}.1"

    @property
    def controller6(self) -> str:
        return f"{self.network6}:1"

    @property
    def key(self) -> Path:
        """The SSH key that opens every host."""
        return self.directory / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        return self.directory / "known_hosts"

    @property
    def sockets(self) -> Path:
        """Where Ansible keeps its open SSH connections to these hosts."""
        return self.directory / "ssh"

    def folder(self, host: str) -> Path:
        return self.directory / "hosts" / host

    def machine(self, host: str) -> str:
        return f"{self.tag}{host}"

    def cable(self, host: str) -> str:
        """The controller's end of the host's link; systemd-nspawn makes this name from the machine's."""
        return f"vb-{self.machine(host)}"

    def cgroup_name(self, host: str) -> str:
        return f"lab-{self.tag}-{host}"

    def address(self, host: str) -> str:
        return f"{self.network}.{FIRST_ADDRESS + number(host)}"

    def address6(self, host: str) -> str:
        return f"{self.network6}:{FIRST_ADDRESS + number(host):x}"

    def fixed(self) -> dict[str, str]:
        """What must not change while hosts exist."""
        return {name: str(getattr(self, name)) for name in FIXED}


def number(host: str) -> int:
    """h12 -> 12."""
    found = HOST_NAME.fullmatch(host)
    if not found or int(found.group(1)) > MOST_HOSTS:
        raise LabError(f"{host!r} is no host of a lab: hosts are called h1 to h{MOST_HOSTS}")
    return int(found.group(1))


def names(count: int) -> list[str]:
    if not 1 <= count <= MOST_HOSTS:
        raise LabError(f"a lab has 1 to {MOST_HOSTS} hosts, not {count}")
    return [f"h{index}" for index in range(1, count + 1)]


def digest(*words: str, length: int = 8) -> str:
    return hashlib.sha256("\0".join(words).encode()).hexdigest()[:length]


def read(environment: Mapping[str, str], checkout: Path, recipe: str) -> Settings:
    """Read the settings from LAB_* (an empty value counts as not given). Missing ones are derived from the others.

    Each checkout and each LAB_NAME gets a lab of its own: directory, tag and networks are derived from both, so labs
    can run side by side without a setting. `recipe` names the contents of the base, which all checkouts share.
    """

    def given(name: str, default: str = "") -> str:
        return environment.get(f"LAB_{name}", "").strip() or default

    name = given("NAME", "lab")
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,31}", name):
        raise LabError(f"LAB_NAME={name!r}: use 1 to 32 of a-z, 0-9 and '-'")
    directory = Path(given("DIR") or HOME / f"{name}-{digest(str(checkout), name)}")
    if not directory.is_absolute():
        raise LabError(f"LAB_DIR={directory}: give an absolute path")
    seed = int(digest(str(directory)), 16)
    settings = Settings(
        directory=directory,
        base=Path(given("BASE") or HOME / f"base-{recipe}"),
        suite=given("SUITE"),
        tag=given("TAG", digest(str(directory), length=4)),
        network=given("NET", f"10.{200 + seed % 40}.{seed // 40 % 256}"),
        network6=given("NET6", f"fd42:{seed >> 16:x}:{seed & 0xFFFF:x}:"),
        mtu=_mtu(given("MTU", "1500")),
        cgroup=given("CGROUP", "hybrid"),
        memory=given("MEM"),
        bind=tuple(given("BIND").split()),
        bind_read_only=tuple(given("BIND_RO").split()),
        layers=tuple(given("LAYERS").split()),
        overlays=tuple(given("OVERLAY").split()),
        nspawn_arguments=given("NSPAWN_ARGS"),
    )
    _check(settings)
    return settings


def _mtu(text: str) -> int:
    if not text.isdigit() or not 1280 <= int(text) <= 9216:
        raise LabError(f"LAB_MTU={text}: give bytes from 1280 (IPv6 needs that) to 9216")
    return int(text)


def _check(settings: Settings) -> None:
    # vb-TAGh200 must fit into the 15 characters that Linux allows for a link.
    if not re.fullmatch(r"[a-z0-9]{1,8}", settings.tag):
        raise LabError(f"LAB_TAG={settings.tag!r}: use 1 to 8 of a-z and 0-9")
    numbers = settings.network.split(".")
    if len(numbers) != 3 or not all(word.isdigit() and int(word) <= 255 for word in numbers):
        raise LabError(f"LAB_NET={settings.network!r}: give the first three numbers of an IPv4 network, like 10.231.0")
    if not re.fullmatch(r"[0-9a-f]{1,4}(:[0-9a-f]{1,4}){0,3}:", settings.network6):
        raise LabError(f"LAB_NET6={settings.network6!r}: give an IPv6 prefix that ends in one colon, like fd42:1ab:")
    if settings.cgroup not in ("hybrid", "unified"):
        raise LabError(f"LAB_CGROUP={settings.cgroup!r}: choose hybrid or unified")
    for pair in (*settings.bind, *settings.bind_read_only):
        source, _colon, destination = pair.partition(":")
        if not (source.startswith("/") and destination.startswith("/")):
            raise LabError(f"{pair!r} in LAB_BIND or LAB_BIND_RO: give SOURCE:DESTINATION, both absolute")


def keep(settings: Settings, recorded: str, environment: Mapping[str, str]) -> Settings:
    """Go on with what a running lab was made with; refuse an environment that asks for something else."""
    made_with: dict[str, str] = json.loads(recorded)
    variables = {"tag": "TAG", "network": "NET", "network6": "NET6", "mtu": "MTU", "base": "BASE"}
    for name, variable in variables.items():
        asked = environment.get(f"LAB_{variable}", "").strip()
        if asked and asked != made_with[name]:
            raise LabError(
                f"LAB_{variable}={asked}, but the lab in {settings.directory} was made with {made_with[name]}: "
                "run `lab down` first, or give the new lab another LAB_NAME"
            )
    return dataclasses.replace(
        settings,
        tag=made_with["tag"],
        network=made_with["network"],
        network6=made_with["network6"],
        mtu=int(made_with["mtu"]),
        base=Path(made_with["base"]),
    )
