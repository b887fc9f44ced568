# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gathers the parts of a bundle on a connected machine. PRIVATE to the collection.

Each part is {name in the bundle: file of this machine}. What is downloaded stays in a working directory until the
bundle is written, so that a run that broke off goes on where it was.
"""

from __future__ import annotations

import contextlib
import glob
import gzip
import hashlib
import importlib.util
import json
import os
import pathlib
import shutil
import stat
import subprocess
import sys
import tarfile
import threading
import time
import typing as t
import zipfile
from functools import partial

from ansible.module_utils.urls import open_url

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _system
from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases import _release, _uv
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._bundles import _bundle, _wheels
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._bundles._bundle import BundleError

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._bundles._bundle_io import Say

COLLECTION = pathlib.Path(__file__).parents[3]
LOCK_FILES = COLLECTION / "roles" / "release" / "files" / "locks"
QUIET_SECONDS = 5
# The part of a checkout that users install. Inventories with secrets, and earlier bundles, may be beside it.
CONTENTS = (
    *("CHANGELOG.md", "CODE_OF_CONDUCT.md", "CONTRIBUTING.md", "LICENSE", "README.md", "SECURITY.md"),
    "galaxy.yml",
    *("changelogs", "docs", "meta", "plugins", "roles", "playbooks/plays", "playbooks/tasks", "playbooks/vars"),
    *(f"playbooks/{name}.yml" for name in ("audit", "bundle", "plan", "preflight", "releases", "rollback", "site")),
    *(f"playbooks/{name}.yml" for name in ("rotate_secrets", "status", "support_bundle", "sync_model")),
    *(f"inventories/{name}/cluster.ini" for name in ("cpu-lab", "local", "mixed-gpus", "one-host", "two-hosts")),
    *(f"inventories/{name}/group_vars/all.yml" for name in ("cpu-lab", "local", "mixed-gpus")),
    *(f"inventories/mixed-gpus/host_vars/{name}.yml" for name in ("gpu01", "gpu02", "gpu03")),
)


# --- This machine ----------------------------------------------------------------------------------------------------


def own_python() -> str:
    """Return the version of the distribution's Python, on which releases stand by default, or of this one."""
    if not os.access(_bundle.SYSTEM_PYTHON, os.X_OK):
        return ".".join(map(str, sys.version_info[:3]))
    return ask(_bundle.SYSTEM_PYTHON, "-I", "-c", "import platform; print(platform.python_version())").stdout.strip()


def own_platform() -> str:
    """Return this machine's platform, empty where its C library is not the GNU one."""
    try:
        name, _space, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    except (ValueError, OSError):
        return ""
    return f"manylinux_{version.replace('.', '_')}_{os.uname().machine}" if name == "glibc" else ""


def own_os() -> str:
    """Return id and version of this machine's distribution."""
    try:
        return _bundle.os_name(_system.parse_os_release(pathlib.Path("/etc/os-release").read_text(encoding="utf-8")))
    except OSError:
        return ""


def version() -> str:
    """Return the version of this collection, from a checkout or where it is installed."""
    try:
        told = json.loads((COLLECTION / "MANIFEST.json").read_text(encoding="utf-8"))
        return str(told["collection_info"]["version"])
    except FileNotFoundError:
        lines = (COLLECTION / "galaxy.yml").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("version:"))


def uv_version() -> str:
    """Return the version of uv that this collection builds releases with."""
    return _release.pins((LOCK_FILES / "uv.lock").read_text(encoding="utf-8"))["uv"]


# --- Commands --------------------------------------------------------------------------------------------------------


def ask(*argv: str) -> subprocess.CompletedProcess[str]:
    """Run a command that says something in a moment."""
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def follow(argv: Sequence[str], environment: Mapping[str, str], what: str, total: int, say: Say) -> tuple[int, str]:
    """Run a downloader, and say every few seconds which of how many it is at. Return its status and what it said."""
    lines: list[str] = []
    done, said = 0, time.monotonic()
    process = subprocess.Popen(
        argv,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        for line in process.stdout or ():
            lines.append(line)
            done += line.startswith(("Collecting ", "Get:"))
            if time.monotonic() - said > QUIET_SECONDS:
                said = time.monotonic()
                say(f"bundle | {what}: {min(done, total)} of {total}" if total else f"bundle | {what}: {done}")
        return process.wait(), "".join(lines)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def pip_python() -> str:
    """Return a Python of this machine that has pip: Ansible's own often has none."""
    if importlib.util.find_spec("pip"):
        return sys.executable
    for python in filter(None, (shutil.which("python3"), _bundle.SYSTEM_PYTHON)):
        if ask(python, "-m", "pip", "--version").returncode == 0:
            return python
    raise BundleError("bundle.yml", "no pip on this machine", "pip, which downloads wheels", "install python3-pip")


def pip_environment(settings: Mapping[str, t.Any], wheels: Sequence[str] = ()) -> dict[str, str]:
    """Return the variables that set where pip gets packages. Without a variable, pip's own configuration applies.

    wheels: directories with wheels besides.
    """
    names = [*_uv.PIP_FILES, os.environ.get("PIP_CONFIG_FILE", os.devnull)]
    files = [pathlib.Path(name).expanduser() for name in names]
    texts = [file.read_text(encoding="utf-8") for file in files if file.is_file()]
    given: _uv.Given = {
        "index_url": settings.get("vllm_ray_index_url"),
        "extra_index_urls": settings.get("vllm_ray_extra_index_urls"),
        "find_links": settings.get("vllm_ray_find_links"),
        "proxy": settings.get("vllm_ray_proxy"),
        "ca_certificate": settings.get("vllm_ray_ca_certificate"),
    }
    sources = _uv.choose_sources(given, _uv.pip_sources(texts, os.environ))
    sources.find_links += wheels
    return _uv.pip_environment(sources)


# --- Parts -----------------------------------------------------------------------------------------------------------


def wheels(
    pins: Sequence[_wheels.Pin], target: _bundle.Target, directory: str, environment: Mapping[str, str], say: Say
) -> dict[str, str]:
    """Download the wheels of pins, against their hashes, and return them by name."""
    unhashed = [pin.requirement for pin in pins if not pin.hashes]
    if unhashed:
        found = f"{len(unhashed)} packages without a hash, first: {unhashed[0]}"
        fix = "make the lock with 'uv pip compile --generate-hashes', or set vllm_ray_requirements"
        raise BundleError("bundle.yml", found, "a lock in which every package has a hash", fix)
    os.makedirs(directory, exist_ok=True)
    requirements = f"{directory}.txt"
    pathlib.Path(requirements).write_text("".join(f"{pin.text}\n" for pin in pins), encoding="utf-8")
    argv = _wheels.pip_argv(pip_python(), target, requirements, directory)
    status, said = follow(argv, environment, "wheels", len(pins), say)
    if status:
        found = f"pip ended with {status}: {_uv.last_lines(said, 6)}"
        wanted = f"wheels of {len(pins)} packages for Python {target.python} on {target.platform}"
        fix = (
            "check that vllm_ray_index_url, vllm_ray_extra_index_urls or vllm_ray_find_links (else pip's own "
            "configuration) name an index that has them, and that vllm_ray_bundle_python and "
            "vllm_ray_bundle_platform are those of the hosts"
        )
        raise BundleError("bundle.yml", found, wanted, fix)
    return {name: os.path.join(directory, name) for name in os.listdir(directory) if name.endswith(".whl")}


def uv(target: _bundle.Target, work: str, environment: Mapping[str, str], say: Say) -> str:
    """Return the path of the pinned uv, taken out of its wheel: a host needs nothing to install it."""
    pins = _wheels.parse_lock((LOCK_FILES / "uv.lock").read_text(encoding="utf-8"))
    found = wheels(pins, target, f"{work}/uv", environment, say)
    with zipfile.ZipFile(next(iter(found.values()))) as wheel:
        inside = next(name for name in wheel.namelist() if name.endswith(".data/scripts/uv"))
        path = pathlib.Path(work, "uv", "uv")
        path.write_bytes(wheel.read(inside))
    path.chmod(0o755)
    return str(path)


def managed_python(
    uv_path: str, version: str, target: _bundle.Target, work: str, environment: Mapping[str, str], say: Say
) -> dict[str, str]:
    """Download a Python that uv installs, let uv check it by its own hash, and return it by its path in a mirror."""
    refusal, by_path = partial(BundleError, f"vllm_ray_python={version}"), "set it to the path of a Python on the hosts"
    if target.machine != os.uname().machine:
        found, fix = f"a machine with {os.uname().machine}", f"make the bundle on such a machine, or {by_path}"
        raise refusal(found, f"a machine with {target.machine}, as its uv must run there", fix)
    listing = ("--only-downloads", "--all-versions", "--no-config", "--output-format=json")
    listed = ask(uv_path, "python", "list", *listing, version)
    url, inside = _wheels.python_archive(listed.stdout or "[]", version, target.machine)
    if not url:
        found = f"a version that uv {uv_version()} does not know {listed.stderr.strip()}".strip()
        raise refusal(found, "one of `uv python list --all-versions`", f"set it to one of them, or {by_path}")
    path = pathlib.Path(work, "mirror", inside)
    path.parent.mkdir(parents=True, exist_ok=True)
    say(f"bundle | Python: {url}")
    try:
        with open_url(url, timeout=60, ca_path=environment.get("PIP_CERT")) as answer, path.open("wb") as stream:
            shutil.copyfileobj(answer, stream)
    except OSError as error:
        fix = f"check that this machine reaches it (HTTPS_PROXY counts), or {by_path}"
        raise refusal(str(error), f"a download from {url}", fix) from error
    trial = ("--no-bin", "--no-config", f"--install-dir={work}/tried", f"--mirror=file://{work}/mirror")
    tried = ask(uv_path, "python", "install", *trial, version)
    shutil.rmtree(f"{work}/tried", ignore_errors=True)
    if tried.returncode:
        found = f"an archive that uv refuses: {_uv.last_lines(tried.stderr, 6)}"
        raise refusal(found, "an archive that uv accepts", "run again")
    return {inside: str(path)}


def packages(names: Sequence[str], work: str, say: Say) -> dict[str, str]:
    """Download Debian packages with all they need, and write an index of them. Return all by name."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        found = f"no apt-get on this machine, for the packages {' '.join(names)}"
        fix = (
            "make the bundle on a machine with the hosts' distribution, or leave packages out of vllm_ray_bundle_parts "
            "and install them on the hosts"
        )
        raise BundleError("bundle.yml", found, "Debian or Ubuntu, the same as on the hosts", fix)
    archives = f"{work}/archives"
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(f"{archives}/partial", exist_ok=True)
    pathlib.Path(work, "status").touch()
    status, said = follow(_bundle.apt_argv(names, work), {"LC_ALL": "C"}, "packages", 0, say)
    if status:
        found = f"apt-get ended with {status}: {_uv.last_lines(said, 6)}"
        fix = "run apt-get update on this machine, and check that its sources have them"
        raise BundleError("bundle.yml", found, f"the packages {' '.join(names)}", fix)
    result, index = {}, ""
    for name in sorted(os.listdir(archives)):
        if name.endswith(".deb"):
            path, file = os.path.join(archives, name), _bundle.package_file(name)
            control = ask("dpkg-deb", "--field", path).stdout
            index += _bundle.stanza(control, file, os.path.getsize(path), sha256(path))
            result[file] = path
    pathlib.Path(work, "Packages").write_text(index, encoding="utf-8")
    return {**result, "Packages": f"{work}/Packages"}


def sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def controller(ansible: str, work: str, environment: Mapping[str, str], say: Say) -> dict[str, str]:
    """Return what a controller needs: this collection, and ansible-core with what that needs, for a Python like ours.

    ansible: the version of ansible-core.
    """
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work)
    archive = f"vllm_ray-cluster-{version()}.tar.gz"
    path = f"{work}/{archive}"
    pack_collection(built(work), path)
    directory = f"{work}/wheels"
    os.makedirs(directory)
    options = ("--only-binary=:all:", "--progress-bar=off", f"--dest={directory}")
    argv = [pip_python(), "-m", "pip", "download", *options, f"ansible-core=={ansible}"]
    status, said = follow(argv, environment, "ansible-core", 0, say)
    if status:
        found = f"pip ended with {status}: {_uv.last_lines(said, 6)}"
        fix = "name an index that has it by vllm_ray_index_url, or leave controller out of vllm_ray_bundle_parts"
        raise BundleError("bundle.yml", found, f"ansible-core {ansible} and what it needs", fix)
    names = sorted(name for name in os.listdir(directory) if name.endswith(".whl"))
    return {archive: path, **{f"wheels/{name}": os.path.join(directory, name) for name in names}}


def built(work: str) -> str:
    """Return the archive of this collection that ansible-galaxy builds of a checkout, empty where it is installed."""
    if (COLLECTION / "MANIFEST.json").is_file():
        return ""
    tree = f"{work}/checkout"
    copy_contents(COLLECTION, pathlib.Path(tree))
    os.makedirs(f"{work}/built")
    done = ask(sys.executable, "-m", "ansible", "galaxy", "collection", "build", "--output-path", f"{work}/built", tree)
    if done.returncode:
        found = f"ansible-galaxy ended with {done.returncode}: {_uv.last_lines(done.stderr, 6)}"
        raise BundleError("bundle.yml", found, "an archive of the collection", f"check that {COLLECTION} is complete")
    return f"{work}/built/vllm_ray-cluster-{version()}.tar.gz"


def copy_contents(checkout: pathlib.Path, to: pathlib.Path) -> None:
    """Copy what of a checkout makes the collection."""
    for name in CONTENTS:
        path, target = checkout / name, to / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.copytree(path, target, ignore=shutil.ignore_patterns(".*", "__pycache__"))
        elif path.is_file():
            shutil.copy(path, target)


def pack_collection(made: str, path: str) -> None:
    """Write this collection as the archive that ansible-galaxy installs. The same contents give the same bytes.

    made: an archive that holds times and owners, or empty: then it is made of the installed tree.
    """
    with (
        open(path, "wb") as raw,
        gzip.GzipFile("", "wb", 6, raw, mtime=0) as stream,
        tarfile.open(fileobj=t.cast("t.IO[bytes]", stream), mode="w", format=tarfile.GNU_FORMAT) as archive,
    ):
        if made:
            with tarfile.open(made) as old:
                for entry in sorted(old.getmembers(), key=lambda entry: entry.name):
                    archive.addfile(anonymous(entry), old.extractfile(entry) if entry.isfile() else None)
        else:
            listed = json.loads((COLLECTION / "FILES.json").read_text(encoding="utf-8"))["files"]
            for name in ["FILES.json", "MANIFEST.json", *sorted(row["name"] for row in listed if row["name"] != ".")]:
                archive.add(COLLECTION / name, arcname=name, recursive=False, filter=anonymous)


def anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Remove its owner and its time of modification."""
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o755 if entry.isdir() or entry.mode & stat.S_IXUSR else 0o644
    return entry


def hub_client(package: str, pins: Sequence[_wheels.Pin], work: str, environment: Mapping[str, str], say: Say) -> str:
    """Return a Python of this machine that has a hub's client, in the version that a lock has, if it has one."""
    place = f"{work}/client"
    shutil.rmtree(place, ignore_errors=True)
    python = pip_python()
    # Without pip in it: Debian's Python would lack what that needs.
    made = ask(python, "-m", "venv", "--without-pip", place)
    constraints = f"{work}/client.txt"
    pathlib.Path(constraints).write_text(_wheels.constraints(pins), encoding="utf-8")
    site = next(iter(glob.glob(f"{glob.escape(place)}/lib/python*/site-packages")), "")
    argv = [python, "-m", "pip", "install", "--quiet", "--only-binary=:all:", f"--target={site}"]
    status, said = follow([*argv, f"--constraint={constraints}", package], environment, package, 0, say)
    if made.returncode or status:
        found = f"an error while installing {package}: {_uv.last_lines(made.stderr + said, 6)}"
        fix = "name an index that has it, or download the model yourself and set vllm_ray_bundle_model to its directory"
        raise BundleError("bundle.yml", found, f"{package}, the client that downloads the model", fix)
    return f"{place}/bin/python"


@contextlib.contextmanager
def watched(directory: str, say: Say) -> Iterator[None]:
    """Say every few seconds how much is in a directory, while something else fills it."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(QUIET_SECONDS):
            sizes = [entry.stat().st_size for entry in pathlib.Path(directory).rglob("*") if entry.is_file()]
            say(f"bundle | model: {sum(sizes) / 1e9:.1f} GB are downloaded")

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def model(directory: str) -> dict[str, str]:
    """Return the files of a model by name: links are followed, hidden names left out."""
    result = {}
    for folder, folders, files in os.walk(directory, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            path = os.path.join(folder, name)
            if not name.startswith(".") and os.path.isfile(path):
                result[os.path.relpath(path, directory)] = path
    if "config.json" not in result:
        found = (
            f"{directory} without a config.json"
            if os.path.isdir(directory)
            else f"{directory}, which is not a directory"
        )
        fix = "set vllm_ray_bundle_model to the directory with the model's files, as `hf download --local-dir` makes it"
        raise BundleError("vllm_ray_bundle_model", found, "the directory of a model", fix)
    return result
