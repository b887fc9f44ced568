# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which wheels of a lock, and which Python, run on the hosts that a bundle is for. PRIVATE to the collection."""

from __future__ import annotations

import hashlib
import json
import re
import typing as t
from dataclasses import dataclass
from urllib.parse import unquote

from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases._release import normal

try:
    # ansible-core brings it.
    from packaging.markers import Marker
except ImportError:
    Marker = None  # type: ignore[assignment,misc]

if t.TYPE_CHECKING:
    from collections.abc import Iterable

    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._bundles._bundle import Target

# Names of before PEP 600, by the glibc that they stand for.
OLD_TAGS = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
# The first glibc for which there are tags, by machine.
FIRST_GLIBC = {"x86_64": 5, "i686": 5}


def tags(wanted: Target) -> list[str]:
    """Return the platform tags of wheels that run there, the newest first.

    PEP 600: a wheel for manylinux_2_X runs where glibc is 2.X or newer.
    """
    first = FIRST_GLIBC.get(wanted.machine, 17)
    result = []
    for glibc in range(wanted.glibc, first - 1, -1):
        result.append(f"manylinux_2_{glibc}_{wanted.machine}")
        if glibc in OLD_TAGS:
            result.append(f"{OLD_TAGS[glibc]}_{wanted.machine}")
    return [*result, f"linux_{wanted.machine}"]


def environments(wanted: Target) -> list[dict[str, str]]:
    """Return the values of a requirement's markers (PEP 508) on the hosts, for the ends of the range of their Python.

    Hosts have the patch level that they have: a line that only one end wants is taken along.
    """
    fixed = {
        "implementation_name": "cpython",
        "os_name": "posix",
        "platform_machine": wanted.machine,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_version": wanted.minor,
        "sys_platform": "linux",
    }
    fulls = (f"{wanted.minor}.0", f"{wanted.minor}.99")
    return [{**fixed, "python_full_version": full, "implementation_version": full} for full in fulls]


@dataclass(frozen=True)
class Pin:
    """A line of a lock: NAME==VERSION or NAME @ URL, and the SHA-256 of what it may be."""

    name: str
    requirement: str
    marker: str = ""
    hashes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Return it as a line of a requirements file, without its marker."""
        return " ".join([self.requirement, *(f"--hash=sha256:{digest}" for digest in self.hashes)])


def parse_lock(text: str) -> list[Pin]:
    """Return the lines of a lock, in its order."""
    joined = re.sub(r"\\\n", " ", text)
    result = []
    for line in joined.splitlines():
        words = re.split(r"\s#|^#", line, maxsplit=1)[0].strip()
        if not words or words.startswith("-"):
            continue
        hashes = tuple(re.findall(r"--hash=sha256:([0-9a-f]{64})", words))
        requirement, _semicolon, marker = re.sub(r"--hash=\S+", "", words).partition(" ;")
        name = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", requirement)
        if name:
            result.append(Pin(normal(name.group()), requirement.strip(), marker.strip(), hashes))
    return result


def chosen(pins: Iterable[Pin], wanted: Target) -> list[Pin]:
    """Return the lines of a lock that count on the hosts."""
    places = environments(wanted)
    return [pin for pin in pins if not pin.marker or any(Marker(pin.marker).evaluate(place) for place in places)]


def constraints(pins: Iterable[Pin]) -> str:
    """Return the versions of a lock in pip's form, as constraints for packages outside of the release."""
    found = [re.sub(r"\[.*?\]", "", pin.requirement) for pin in pins]
    return "".join(f"{requirement}\n" for requirement in found if "==" in requirement)


def key(pins: Iterable[Pin], wanted: Target) -> str:
    """Return the key that distinguishes wheels for some hosts from others."""
    return hashlib.sha256(repr((wanted, [pin.text for pin in pins])).encode()).hexdigest()[:16]


def pip_argv(python: str, wanted: Target, requirements: str, directory: str) -> list[str]:
    """Return the command that downloads wheels for the hosts, whatever this machine is."""
    return [
        *(python, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--progress-bar=off"),
        *("--implementation=cp", f"--python-version={wanted.python}"),
        *(f"--platform={tag}" for tag in tags(wanted)),
        "--require-hashes",
        *(f"--dest={directory}", f"--requirement={requirements}"),
    ]


def python_archive(listed: str, version: str, machine: str) -> tuple[str, str]:
    """Return the URL of a Python that uv installs, and its path in a mirror; empty where uv knows none.

    listed: what `uv python list --output-format json` printed. A mirror has the last two parts of the URLs, decoded.
    """
    for row in json.loads(listed):
        kind = (row["implementation"], row["variant"], row["os"], row["libc"], row["arch"], row["version"])
        if kind == ("cpython", "default", "linux", "gnu", machine, version):
            return row["url"], "/".join(unquote(row["url"]).split("/")[-2:])
    return "", ""
