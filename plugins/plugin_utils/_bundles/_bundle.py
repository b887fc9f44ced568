# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The content of a bundle, the hosts that it fits, and the settings that it implies. PRIVATE to the collection.

A bundle is a tar file with all that a deployment takes from outside. Its last member is manifest.json, with size and
SHA-256 of every other: a file that ends earlier is no bundle.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
import typing as t
from dataclasses import asdict, dataclass, field

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._problem import Problem
from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall._backends import TOOL
from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases._release import wants_managed_python

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._accelerator import Accelerator
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._host import Host

FORMAT = 1
MANIFEST = "manifest.json"
# Where things are in a bundle, and in the directory that it is unpacked to.
WHEELS, TOOLS, LOCKS, PYTHON = "wheels", "tools", "locks", "python"
# The host's own, at which the look is.
SYSTEM_PYTHON = "/usr/bin/python3"
PACKAGES, CONTROLLER, MODEL = "packages", "controller", "model"
# The variable in which playbooks register what bundle_open returned.
REGISTERED = "__vllm_ray_bundle"


class BundleError(Exception):
    """Something is wrong with a bundle, or with its parts. Its text says what, and what fixes it."""

    def __init__(self, what: str, found: str, wanted: str, fix: str) -> None:
        super().__init__(f"{what}: found {found}. Expected: {wanted}. To fix: {fix}.")


# --- For whom --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Target:
    """The hosts that a bundle is for. python: such as 3.11 or 3.11.2; glibc: the second number of 2.X."""

    python: str
    glibc: int
    machine: str

    @property
    def minor(self) -> str:
        """Return X.Y of the Python."""
        return ".".join(self.python.split(".")[:2])

    @property
    def platform(self) -> str:
        return f"manylinux_2_{self.glibc}_{self.machine}"


def target(python: str, platform: str) -> Target:
    """Return whom a bundle is for. Raises BundleError for what is no version or no platform."""
    if not re.fullmatch(r"3\.\d+(\.\d+)?", python):
        fix = "set vllm_ray_bundle_python to the version of the hosts' Python"
        raise BundleError("vllm_ray_bundle_python", python or "nothing", "a version such as 3.12", fix)
    match = re.fullmatch(r"manylinux_2_(\d+)_(\w+)", platform)
    if not match:
        fix = "set vllm_ray_bundle_platform to it: glibc as of `ldd --version`, machine as of `uname -m` on a host"
        raise BundleError("vllm_ray_bundle_platform", platform or "nothing", "such as manylinux_2_36_x86_64", fix)
    return Target(python, int(match.group(1)), match.group(2))


def python_of(wish: str) -> str:
    """Return the version that vllm_ray_python names: a version, or a path such as /usr/bin/python3.12; else ''."""
    found = re.search(r"(?:^|python)(3\.\d+(?:\.\d+)?)$", wish)
    return found.group(1) if found else ""


# --- Debian packages -------------------------------------------------------------------------------------------------


def package_names(accelerator: Accelerator, settings: Mapping[str, object], python: str) -> list[str]:
    """Return what roles install of the distribution. Without root they install nothing.

    uv comes as a program, so no python3-venv is needed. python: version of the hosts' Python, whose headers engines
    that compile need; empty where uv brings it with them.
    """
    if settings["vllm_ray_scope"] != "system":
        return []
    headers = [f"python{'.'.join(python.split('.')[:2])}-dev"] if python and accelerator.compiles else []
    openssl = ["openssl"] if settings["vllm_ray_tls"] == "own" else []
    firewall = TOOL.packages if settings["vllm_ray_firewall"] != "off" else ()
    return [*accelerator.packages, *headers, *firewall, *openssl]


def apt_argv(names: Sequence[str], work: str) -> list[str]:
    """Return the command that downloads packages with all they need, as if nothing were installed. It needs no root.

    work: a directory with an empty file status and a directory archives.
    """
    options = {
        "Dir::State::status": f"{work}/status",
        "Dir::Cache::archives": f"{work}/archives",
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
        "Debug::NoLocking": "1",
    }
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    return ["apt-get", "-y", "-q", "--no-install-recommends", "--download-only", *words, "install", *names]


def package_file(name: str) -> str:
    """Return the name that a package's file gets: without the epoch, whose %3a apt would read as a colon."""
    return re.sub(r"_\d+%3a", "_", name)


def stanza(control: str, file: str, size: int, sha256: str) -> str:
    """Return the entry of a package in an index of a repository, from its control file."""
    return f"{control.strip()}\nFilename: ./{file}\nSize: {size}\nSHA256: {sha256}\n\n"


# --- The manifest ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, order=True)
class File:
    """A member of a bundle. path: relative, with slashes."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """All about a bundle.

    managed: the Python that it has for uv to install, if any. lock_wish and model_wish: what the user named as lock and
    model when it was made. model: where the model is in it. os: id and version of the
    distribution whose packages it has.
    """

    made_by: str
    accelerator: str = ""
    python: str = ""
    platform: str = ""
    uv: str = ""
    managed: str = ""
    lock_wish: str = ""
    model_wish: str = ""
    model: str = ""
    os: str = ""
    packages: tuple[str, ...] = ()
    files: tuple[File, ...] = field(default=(), repr=False)

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    def part(self, name: str) -> list[File]:
        """Return the files of one part, such as wheels."""
        return [file for file in self.files if file.path.startswith(f"{name}/")]


def dump_manifest(manifest: Manifest) -> bytes:
    """Return a manifest as it stands in a bundle: the same for the same contents."""
    told = asdict(manifest)
    told["files"] = [asdict(file) for file in sorted(manifest.files)]
    return (json.dumps({"format": FORMAT, **told}, indent=1, sort_keys=True) + "\n").encode()


def digest(manifest: bytes) -> str:
    """Return the SHA-256 of a bundle: that of its manifest, which has the SHA-256 of each file."""
    return hashlib.sha256(manifest).hexdigest()


def check_digest(path: str, manifest: bytes, wanted: str) -> None:
    """Raise BundleError where a bundle is another one than wanted. wanted: its SHA-256, empty for any bundle."""
    if wanted and digest(manifest) != wanted.strip().lower():
        fix = "compare vllm_ray_bundle_sha256 with what bundle.yml showed, and copy the bundle again from there"
        raise BundleError(path, f"the SHA-256 {digest(manifest)}", wanted.strip().lower(), fix)


def is_inside(path: str) -> bool:
    """Return whether the path of a member is normal and stays below the directory that a bundle is unpacked to."""
    parts = path.split("/")
    return posixpath.normpath(path) == path and not path.startswith("/") and ".." not in parts and path != MANIFEST


def parse_manifest(data: bytes, where: str) -> Manifest:
    """Return a manifest. where: the bundle, for the message. Raises BundleError."""
    again = "make it again (bundle.yml)"
    try:
        told = json.loads(data)
        form = told.pop("format")
        files = tuple(File(str(f["path"]), int(f["size"]), str(f["sha256"])) for f in told.pop("files"))
        if form == FORMAT:
            made = Manifest(**{**told, "packages": tuple(told.get("packages", ())), "files": files})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleError(
            where, f"a {MANIFEST} that can't be read ({error})", "a manifest that bundle.yml wrote", again
        ) from error
    if form != FORMAT:
        raise BundleError(
            where, f"form {form} of bundles", f"form {FORMAT}", "install the collection that is in the bundle"
        )
    outside = [file.path for file in files if not is_inside(file.path)]
    if outside:
        raise BundleError(
            where,
            f"a file {outside[0]!r} that would be written outside of the directory",
            "files that bundle.yml wrote",
            again,
        )
    return made


def told(manifest: Manifest) -> dict[str, object]:
    """Return what playbooks get of a bundle: all but its files. lock: where the lock is in it, if it has one."""
    facts = {name: value for name, value in asdict(manifest).items() if name != "files"}
    lock = f"{LOCKS}/{manifest.accelerator}.lock" if manifest.accelerator else ""
    return {**facts, "packages": list(manifest.packages), "lock": lock}


def check_members(where: str, manifest: Manifest, names: Sequence[str]) -> None:
    """Raise BundleError where the members of a tar file (without the manifest) are not those of its manifest."""
    wanted = [file.path for file in manifest.files]
    wrong = sorted(set(names) ^ set(wanted))
    if wrong or len(names) != len(wanted):
        found = f"other files than {MANIFEST} names, such as {wrong[0] if wrong else 'one that is there twice'}"
        raise BundleError(where, found, f"{len(wanted)} files", "copy the bundle again, or make it again (bundle.yml)")


def check_file(where: str, wanted: File, size: int, sha256: str) -> None:
    """Raise BundleError where a file of a bundle is not what its manifest says."""
    if (size, sha256) != (wanted.size, wanted.sha256):
        found = f"{wanted.path} with {size} bytes, SHA-256 {sha256[:16]}"
        said = f"{wanted.size} bytes, SHA-256 {wanted.sha256[:16]}"
        raise BundleError(where, found, said, "copy the bundle again from where it was made")


def check_uv(where: str, manifest: Manifest, uv: str) -> None:
    """Raise BundleError where a bundle has another uv than this collection builds with."""
    if manifest.part(TOOLS) and manifest.uv != uv:
        fix = f"install the collection that is in the bundle ({CONTROLLER}/*.tar.gz), or make the bundle again"
        raise BundleError(where, f"uv {manifest.uv}, made by {manifest.made_by}", f"uv {uv}", fix)


def progress(what: str, done: int, total: int, seconds: float) -> str:
    """Return how far reading or writing is, in bytes, for a line on the terminal."""
    percent = 100 * done // total if total else 100
    rate = done / max(seconds, 0.001)
    left = (total - done) / max(rate, 1)
    return f"bundle | {what}: {percent} % of {total / 1e9:.1f} GB, {rate / 1e6:.0f} MB/s, {left:.0f} s left"


# --- What follows from it --------------------------------------------------------------------------------------------


class Opened(t.TypedDict, total=False):
    """What bundle_open returned, nothing where there is no bundle. lock, model: places in the directory, or empty."""

    directory: str
    accelerator: str
    lock: str
    lock_wish: str
    model: str
    model_wish: str
    packages: list[str]
    os: str
    python: str
    platform: str
    managed: str


def lock_wish(settings: Mapping[str, object]) -> str:
    """Return what a user names as the lock of the release, empty for the accelerator's own."""
    return str(settings.get("vllm_ray_requirements") or settings.get("vllm_ray_release_lock") or "")


def laid_over(given: Mapping[str, object], bundle: Mapping[str, object] | None) -> dict[str, object]:
    """Return a host's vllm_ray_* variables with what follows from a bundle: its lock, and its model.

    bundle: what bundle_open returned, if anything. A lock or a model that is not the one that the bundle was made for
    stays.
    """
    told = dict(given)
    if not bundle or not bundle.get("directory"):
        return told
    place = bundle["directory"]
    if bundle["lock"] and lock_wish(told) in ("", bundle["lock_wish"]):
        told.pop("vllm_ray_requirements", None)
        told["vllm_ray_release_lock"] = f"{place}/{bundle['lock']}"
    wish = str(told.get("vllm_ray_model") or "")
    if bundle["model"] and wish in ("", bundle["model_wish"]):
        told.update(vllm_ray_model=f"{place}/{bundle['model']}", vllm_ray_model_source="controller")
        options = told.get("vllm_ray_serve_args") or {}
        # Clients know it by the name that it has on the hub; one of a path or a mirror is called by its last part.
        of_hub = wish and not wish.startswith("/") and "://" not in wish
        if of_hub and isinstance(options, dict):
            names = {str(name).lstrip("-").replace("_", "-") for name in options}
            if "served-model-name" not in names:
                told["vllm_ray_serve_args"] = {**options, "served-model-name": wish}
    return told


def problems(bundle: Opened, hosts: Sequence[Host], accelerator: str) -> list[Problem]:
    """Return why hosts can't be deployed from a bundle. bundle: what bundle_open returned."""
    result = []
    made = "make the bundle again with {} (bundle.yml)".format
    own = next((lock_wish(host.settings) for host in hosts if host.is_head), "")
    if bundle["lock"] and own not in ("", f"{bundle['directory']}/{bundle['lock']}"):
        found = f"a bundle for the lock {bundle['lock_wish'] or bundle['accelerator']}"
        fix = f"make the bundle again (bundle.yml), or unset the variable that names {own}"
        result.append(Problem("-", "bundle", "error", found, f"one for {own}", fix))
    if bundle["accelerator"] and bundle["accelerator"] != accelerator:
        fix = made(f"vllm_ray_accelerator={accelerator}")
        found = f"a bundle for {bundle['accelerator']}"
        result.append(Problem("-", "bundle", "error", found, f"one for {accelerator}", fix))
    for host in hosts:
        if host.look and bundle["accelerator"] and not host.settings.get("vllm_ray_release_path"):
            result += [
                Problem(host.name, "bundle", "error", f"a bundle for {has}", f"one for {needs}", made(fix))
                for has, needs, fix in unfit(bundle, host)
            ]
        if host.look and bundle["packages"] and not takes_packages(bundle, host):
            found, here = f"packages of {bundle['os']} in the bundle", os_name(host.look["host"]["os"])
            fix = f"make the bundle on a machine with {here}, or install {' '.join(bundle['packages'])} on the host"
            result.append(Problem(host.name, "bundle", "warning", found, f"packages of {here}", fix))
    return result


def takes_packages(bundle: Opened, host: Host) -> bool:
    """Return whether a bundle has packages for a host: they are of one release of one distribution."""
    return bool(host.look and bundle["packages"] and bundle["os"] == os_name(host.look["host"]["os"]))


def os_name(told: Mapping[str, str]) -> str:
    """Return a distribution by id and version, such as debian 12. told: of _system.parse_os_release."""
    return f"{told['id']} {told['version']}".strip()


def unfit(bundle: Opened, host: Host) -> list[tuple[str, str, str]]:
    """Return how a bundle does not fit a probed host: what it is for, what the host has, the variable."""
    look, wanted = (host.look or {})["host"], target(bundle["python"], bundle["platform"])
    wish = host.settings.get("vllm_ray_python") or ""
    # The version of another path is not known.
    own = look["python"] if wish in ("", SYSTEM_PYTHON) else ""
    minor = Target(python_of(wish) or own, 0, "").minor
    result = []
    if minor and minor != wanted.minor:
        result.append((f"Python {wanted.minor}", f"Python {minor}", f"vllm_ray_bundle_python={minor}"))
    if wants_managed_python(wish) and wish != bundle["managed"]:
        has = f"Python {bundle['managed']} in it" if bundle["managed"] else "no Python in it"
        result.append((has, f"Python {wish} in it", f"vllm_ray_python={wish}"))
    glibc = int((look["glibc"] or "2.0").split(".")[1])
    if look["machine"] != wanted.machine or glibc < wanted.glibc:
        has = f"manylinux_2_{glibc}_{look['machine']}"
        result.append((wanted.platform, has, f"vllm_ray_bundle_platform={has}"))
    return result
