# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of releases that touch files and processes. PRIVATE to the collection.

A release is made in a staging directory beside its place and renamed when it is whole, so what has the name of a
release is complete. For that the environment is relocatable: no file in it names the directory it was made in.
"""

from __future__ import annotations

import collections
import contextlib
import glob
import gzip
import hashlib
import io
import json
import os
import shutil
import stat
import tarfile
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _account_io, _lock_io, _safe_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine._ray import SYSTEM_PATH
from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases import (
    _environment,
    _release,
    _release_tree,
    _uv,
)
from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases._release import Python
from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases._release_tree import Entry

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from concurrent.futures import Future

    from ansible.module_utils.basic import AnsibleModule

LIBRARY_PLACES = ("/lib*", "/usr/lib*", "/lib/*-linux-gnu", "/usr/lib/*-linux-gnu", "/usr/local/lib*")
# What Debian calls the packages that releases need, by what is looked for.
LIBRARY_PACKAGES = {"libnuma.so.1": "libnuma1"}
# A manifest has a line for each of some 60,000 files.
LARGEST = 64 * _safe_io.MIB
NVIDIA = "/proc/driver/nvidia/version"
# Of NVIDIA's package cuda-compat.
COMPAT = "/usr/local/cuda*/compat/libcuda.so.*"


def read(path: str) -> str:
    """Return the text of a file, or an empty text where there is none."""
    return _safe_io.read_text(path, LARGEST) or ""


def record_of(package: str) -> str:
    """Return the RECORD of a package, an empty text where there is none. It may be a link into uv's cache."""
    try:
        with _safe_io.open_plain(f"{package}/RECORD") as stream:
            return stream.read(LARGEST).decode("utf-8", "surrogateescape")
    except (FileNotFoundError, NotADirectoryError):
        return ""


def write(path: str, text: str) -> None:
    """Write a file that everybody may read."""
    _safe_io.write_file(path, text.encode("utf-8", "surrogateescape"))


def free_bytes(path: str) -> int:
    """Return the free bytes of the filesystem that holds a path or would hold it."""
    existing = os.path.abspath(path)
    while not os.path.exists(existing):
        existing = os.path.dirname(existing)
    return shutil.disk_usage(existing).free


@contextlib.contextmanager
def held_for(module: AnsibleModule, directory: str, what: str) -> Iterator[None]:
    """Hold the releases of a host for a module, which fails where it waited for longer than its option patience."""
    try:
        with _lock_io.held(directory, what, module.params["patience"]):
            yield
    except _lock_io.Busy as error:
        module.fail_json(msg=f"{error} To wait longer, set release_patience.")


# --- Python ----------------------------------------------------------------------------------------------------------


def find_python(module: AnsibleModule, wanted: str, user: str = "") -> Python | None:
    """Return the interpreter that a path, a version or nothing (python3) stands for, or None where it does not run.

    user: the service user, which runs it in place of root.
    """
    if _release.wants_managed_python(wanted):
        return Python(wanted, "", os.uname().machine, managed=True)
    path = wanted or module.get_bin_path("python3") or ""
    if not os.access(path, os.X_OK):
        return None
    rc, out, _err = _account_io.run_as(module, user, [path, "-I", "-c", _release.PYTHON_PROBE])
    if rc:
        return None
    version, base, machine = _release.parse_python_probe(out)
    return Python(version, os.path.realpath(base), machine)


def builder_python(module: AnsibleModule, wanted: str) -> Python:
    """Return the interpreter that a release is to be built on. Fails where it does not do, or root may not run it."""
    given = "" if _release.wants_managed_python(wanted) else wanted or module.get_bin_path("python3") or ""
    error = root_python_problem(given)
    python = None if error else find_python(module, wanted)
    error = error or _release.python_problem(wanted, python) or root_python_problem(python.path if python else "")
    if error or python is None:
        module.fail_json(msg=_release.sentence(error or {}))
        raise AssertionError("unreachable")
    return python


def root_python_problem(path: str) -> dict[str, str] | None:
    """Return that root would run a Python that another account may change, if it is so."""
    if os.geteuid() != 0 or not os.path.exists(path):
        return None
    place = _account_io.exposed(path)
    return _release.exposed_problem(path, place) if place else None


# --- Trees -----------------------------------------------------------------------------------------------------------


def site_packages(tree: str) -> str:
    """Return site-packages of an environment, below it, or an empty text."""
    found = sorted(filter(os.path.isdir, glob.glob(f"{glob.escape(tree)}/lib/python3*/site-packages")))
    return os.path.relpath(found[-1], tree) if found else ""


def packages(tree: str) -> dict[str, str]:
    """Return the packages of an environment and their versions, by the names of their directories: nothing is run."""
    site = site_packages(tree)
    names = os.listdir(os.path.join(tree, site)) if site else []
    return dict(pair for pair in map(_release_tree.parse_dist_info, names) if pair)


def entry_of(tree: str, path: str) -> Entry:
    """Return a file or link as the manifest has it."""
    full = os.path.join(tree, path)
    status = os.lstat(full)
    if stat.S_ISLNK(status.st_mode):
        return Entry(path, "link", 0, 0, os.readlink(full))
    digest = hashlib.sha256()
    with _safe_io.open_plain(full) as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return Entry(path, "file", stat.S_IMODE(status.st_mode), status.st_size, digest.hexdigest())


def entries(tree: str, known: Mapping[str, Entry] | None = None) -> dict[str, Entry]:
    """Return what a tree holds, hashed, without our own two files. What is known is not hashed again."""
    hashed = dict(known or {})
    paths: list[str] = []
    for directory, folders, files in os.walk(tree):
        links = [name for name in folders if os.path.islink(os.path.join(directory, name))]
        paths += [os.path.relpath(os.path.join(directory, name), tree) for name in [*files, *links]]
    # Hashing lets other threads run, so it takes all cores.
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        wanted = (path for path in paths if path not in _release_tree.OWN_FILES)
        found = pool.map(lambda path: hashed.get(path) or entry_of(tree, path), wanted)
        return {entry.path: entry for entry in found}


def open_modes(tree: str) -> None:
    """Let everybody read the tree and nobody but its owner write, whatever umask its files came with."""
    for directory, _folders, files in os.walk(tree):
        for path in [directory, *(os.path.join(directory, name) for name in files)]:
            mode = os.lstat(path).st_mode
            if stat.S_ISLNK(mode):
                continue
            wanted = 0o755 if stat.S_ISDIR(mode) or mode & stat.S_IXUSR else 0o644
            if stat.S_IMODE(mode) != wanted:
                _safe_io.set_mode(path, wanted)


def read_record(path: str) -> dict[str, t.Any]:
    """Return release.json of a release, or an empty record where there is no release."""
    record = _safe_io.read_json(f"{path}/{_release_tree.RECORD}", dict) or {}
    return record if isinstance(record.get("manifest", {}), dict) else {}


def damage(path: str) -> list[str]:
    """Return how a release differs from its manifest; every file is read."""
    text = read(f"{path}/{_release_tree.MANIFEST}")
    record = read_record(path)
    if hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest() != record.get("manifest", {}).get("sha256"):
        return [f"{_release_tree.MANIFEST} is not the one that {_release_tree.RECORD} names"]
    try:
        manifest = _release_tree.parse_manifest(text)
    except (ValueError, TypeError, RecursionError):
        return [f"{_release_tree.MANIFEST} is not a manifest"]
    return _release_tree.differences(manifest, entries(path))


def put_in_place(staging: str, path: str) -> None:
    """Give a whole tree the name of its release. What is there under that name goes."""
    aside = f"{staging}.old"
    if os.path.lexists(path):
        _safe_io.rename(path, aside)
    _safe_io.rename(staging, path)
    _safe_io.remove(aside)


# --- Looking ---------------------------------------------------------------------------------------------------------


def missing_libraries(names: Sequence[str]) -> list[str]:
    return [name for name in names if not any(glob.glob(f"{place}/{name}") for place in LIBRARY_PLACES)]


def package_problems(names: Sequence[str], root: bool) -> list[dict[str, str]]:
    """Return what only root could install, with the command to ask root for."""
    if root or not names:
        return []
    command = f"ask root for: apt-get install {' '.join(names)}"
    return [_release.problem("package", "error", f"missing: {', '.join(names)}", "installed packages", command)]


def root_problems(root: str) -> list[dict[str, str]]:
    """Return that the present user may not write where releases lie, if it is so."""
    existing = os.path.abspath(root)
    while not os.path.exists(existing):
        existing = os.path.dirname(existing)
    if os.access(existing, os.W_OK):
        return []
    fix = (
        "set release_become: true (vllm_ray_scope: system), or release_root (vllm_ray_root) to a directory that you own"
    )
    return [
        _release.problem(
            "release",
            "error",
            f"{existing} is not writable for uid {os.geteuid()}",
            f"writable by uid {os.geteuid()}",
            fix,
        )
    ]


class Look:
    """release_info: what is there of one release on one host. It reads few files and runs one interpreter.

    Beside a result named path Ansible puts owner, mode and size of that path, so no result of ours has these names.
    """

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.params = module.params

    def __call__(self) -> dict[str, t.Any]:
        result = self.existing() if self.params["path"] else self.own()
        errors = [entry for entry in result["problems"] if entry["severity"] == "error"]
        if errors and self.params["refuse"]:
            self.module.fail_json(msg=" | ".join(map(_release.sentence, errors)), **result)
        return result

    def own(self) -> dict[str, t.Any]:
        params, user = self.params, self.params["user"]
        if params["id"] and not _release.ID.fullmatch(params["id"]):
            self.module.fail_json(
                msg=f"{params['id']!r} is not the id of a release. Expected: an id that releases.yml lists."
            )
        if params["id"]:
            id_, record = params["id"], read_record(f"{params['root']}/releases/{params['id']}")
            # What its Python is, is known where it is.
            wanted = Python(**record["python"]) if record else None
            python = find_python(self.module, wanted.path, user) if wanted and not wanted.managed else wanted
            python_error = _release.same_python_problem(python, wanted) if wanted else None
            python = wanted
        else:
            builder = Python(**params["builder_python"]) if params["builder_python"] else None
            path = builder.path if builder and not builder.managed else params["python"]
            python = find_python(self.module, path, user)
            python_error = (
                _release.same_python_problem(python, builder)
                if builder
                else _release.python_problem(params["python"], python)
            )
            python = builder or python
            # Without a Python there is no id, and so no place.
            id_ = _release.release_id(params["name"], params["recipe"], python) if python else ""
        problems = [python_error] if python_error else []
        path = f"{params['root']}/releases/{id_}" if id_ else ""
        record = read_record(path) if path else {}
        damaged = damage(path) if record and params["verify"] else []
        missing = [LIBRARY_PACKAGES.get(name, name) for name in missing_libraries(params["libraries"])]
        missing += self.missing_compiler(python, path)
        if params["builds"] and not params["brings_uv"] and python and not record:
            missing += self.missing_venv(python)
        if id_ and params["builder_id"] and id_ != params["builder_id"]:
            problems.append(_release.other_release_problem(id_, params["builder_id"]))
        if params["min_driver"] is not None:
            driver = _release.parse_driver(_safe_io.read_kernel(NVIDIA) or "")
            table = {**_release.MIN_DRIVERS, params["lock"]: params["min_driver"]}
            found = _release.driver_problem(driver, params["lock"], table)
            problems += [found] if found else []
        if not record:
            problems += root_problems(params["root"])
        if not record and params["builds"]:
            wanted = params["space_gib"] << 30
            found = _release.room_problem(params["root"], free_bytes(params["root"]), wanted, "release_space_gib")
            problems += [found] if found else []
        if damaged:
            text = f"{len(damaged)} files differ, first: {damaged[0]}"
            problems.append(
                _release.problem("release", "warning", text, "the files of the manifest", "it is built again")
            )
        problems += package_problems(missing, os.geteuid() == 0)
        return {
            "id": id_,
            "path": path,
            "complete": bool(record) and not damaged,
            "damaged": damaged,
            "python": python.as_dict() if python else None,
            "versions": _release.shown_versions(record.get("packages", {})),
            "manifest": record.get("manifest", {}).get("sha256", ""),
            "tree_bytes": record.get("manifest", {}).get("bytes", 0),
            "missing_packages": missing,
            "problems": problems,
        }

    def missing_venv(self, python: Python) -> list[str]:
        """Return the package without which this Python makes no environment for uv, unless uv is there already."""
        if Tools(self.module, python, f"{self.params['root']}/tools").present():
            return []
        user = self.params["user"]
        base = python if python.path else find_python(self.module, "", user)
        if base is None:
            return ["python3-venv"]
        rc, _out, _err = _account_io.run_as(self.module, user, [base.path, "-I", "-c", "import ensurepip, venv"])
        return [f"python{'.'.join(map(str, _release.minor(base.version)))}-venv"] if rc else []

    def missing_compiler(self, python: Python | None, path: str) -> list[str]:
        """Return the packages without which Triton can't compile its launchers, which are C, when an engine starts.

        Where there is no GPU nothing is compiled. Triton looks in the PATH of our services; a compiler of the
        environment's own brings its headers of C.
        """
        if not self.params["compiles"] or not _safe_io.read_kernel(NVIDIA):
            return []
        found = next(
            filter(None, (shutil.which(name, path=f"{path}/bin:{SYSTEM_PATH}") for name in ("clang", "gcc"))), ""
        )
        missing = [] if found else ["gcc"]
        if not found.startswith(f"{path}/") and not os.path.exists("/usr/include/stdio.h"):
            missing.append("libc6-dev")
        if python and os.access(python.path, os.X_OK):
            argv = [python.path, "-I", "-c", _release.HEADERS_PROBE]
            rc, out, _err = _account_io.run_as(self.module, self.params["user"], argv)
            if rc == 0 and out.strip() == "missing":
                missing.append(f"python{'.'.join(map(str, _release.minor(python.version)))}-dev")
        return missing

    def environment(self, path: str) -> _environment.Environment | None:
        """Return what an environment says of itself, None where it can't."""
        argv = [f"{path}/bin/python", "-I", "-c", _environment.PROBE]
        rc, out, _err = _account_io.run_as(self.module, self.params["user"], argv)
        return None if rc else _environment.parse(out)

    def existing(self) -> dict[str, t.Any]:
        """Look at an environment that somebody else made."""
        path = self.params["path"]
        user = self.params["user"]
        python = find_python(self.module, f"{path}/bin/python", user)
        environment = self.environment(path) if python else None
        found = {**packages(path), **(environment.packages if environment else {})}
        record = read_record(path)
        damaged = damage(path) if record and self.params["verify"] else []
        missing = [LIBRARY_PACKAGES.get(name, name) for name in missing_libraries(self.params["libraries"])]
        missing += self.missing_compiler(python, path)
        problems = package_problems(missing, os.geteuid() == 0)
        if environment:
            driver = _release.parse_driver(_safe_io.read_kernel(NVIDIA) or "")
            compat = bool(glob.glob(COMPAT))
            problems += _environment.problems(path, environment, self.params["lock"], driver, compat)
        elif python:
            problems.append(_environment.silent(path))
        for name in ("vllm", "ray"):
            if not os.access(f"{path}/bin/{name}", os.X_OK):
                fix = "set release_path (vllm_ray_release_path) to an environment with both, the same on all hosts"
                problems.append(_release.problem("release", "error", f"no {path}/bin/{name}", "vLLM and Ray", fix))
        if python is None:
            fix = "set release_path (vllm_ray_release_path) to an environment whose Python runs on this host"
            who = _account_io.account(user)
            as_whom = f" as {who.pw_name}" if who else ""
            text = f"{path}/bin/python does not run{as_whom}"
            problems.append(_release.problem("python", "error", text, "a Python", fix))
        if damaged:
            text = f"{len(damaged)} files differ, first: {damaged[0]}"
            problems.append(_release.problem("release", "error", text, "the files of its manifest", "copy it again"))
        return {
            "id": record.get("id", ""),
            "path": path,
            "complete": not any(entry["severity"] == "error" for entry in problems),
            "damaged": damaged,
            "python": python.as_dict() if python else None,
            "versions": _release.shown_versions(found),
            "manifest": record.get("manifest", {}).get("sha256", ""),
            "tree_bytes": record.get("manifest", {}).get("bytes", 0),
            "missing_packages": missing,
            "problems": problems,
        }


# --- Building --------------------------------------------------------------------------------------------------------


# Arguments of modules that take packages from somewhere. URLs may hold passwords.
SOURCES: dict[str, dict[str, t.Any]] = {
    "index_url": {"type": "str", "no_log": True},
    "extra_index_urls": {"type": "list", "elements": "str", "no_log": True},
    "find_links": {"type": "list", "elements": "str", "no_log": True},
    "proxy": {"type": "str", "no_log": True},
    "ca_certificate": {"type": "path"},
    "cache_dir": {"type": "path"},
    "torch_backend": {"type": "str"},
    "wheels": {"type": "path"},
}


def sources_of(params: Mapping[str, t.Any]) -> tuple[_uv.Sources, list[str]]:
    """Return where packages come from by a module's arguments and pip's configuration, and what is not there of it."""
    # /dev/null is how pip's users say that there is none.
    named = [name for name in [os.environ.get("PIP_CONFIG_FILE")] if name and name != os.devnull]
    files = [read(os.path.expanduser(name)) for name in [*_uv.PIP_FILES, *named]]
    configured = _uv.pip_sources(files, os.environ)
    sources, missing = _uv.drop_missing(_uv.choose_sources(params, configured), os.path.exists)
    if params["wheels"]:
        sources.find_links.append(params["wheels"])
    return sources, missing


def show_directories(module: AnsibleModule) -> None:
    """Let errors and results name directories with wheels: they are no secret, as URLs may be."""
    module.no_log_values.difference_update(filter(_uv.local_path, module.params["find_links"] or []))


class Tools:
    """The pinned uv: the one on PATH where it has the right version, or one in a small environment of its own."""

    VERSION_FILE = "uv.lock"

    def __init__(self, module: AnsibleModule, python: Python, directory: str, version: str = "") -> None:
        self.module = module
        self.python = python
        self.directory = directory
        self.version = version or module.params["uv_version"]

    def runs(self, uv: str) -> bool:
        if not uv or not os.access(uv, os.X_OK) or (os.geteuid() == 0 and _account_io.exposed(uv)):
            return False
        rc, out, _err = self.module.run_command([uv, "--version"])
        return rc == 0 and out.split()[1:2] == [self.version]

    def present(self) -> str:
        """Return the path of the right uv where there is one, or an empty text."""
        places = [f"{self.directory}/uv-{self.version}/bin/uv", self.module.get_bin_path("uv") or ""]
        return next((place for place in places if self.runs(place)), "")

    def install(self, lock: str, environment: Mapping[str, str]) -> str:
        place = f"{self.directory}/uv-{self.version}"
        _safe_io.make_directories(self.directory)
        base = self.python.path or self.module.get_bin_path("python3", required=True)
        for argv in (_uv.tool_venv_argv(base, place), _uv.tool_install_argv(place, lock)):
            rc, out, err = self.module.run_command(argv, environ_update=dict(environment))
            if rc:
                self.module.fail_json(
                    msg=f"uv {self.version} could not be installed by pip: {_uv.last_lines(out + err)}. "
                    "It comes from release_index_url or release_find_links, by default those that pip is configured "
                    "with on this host; python3-venv must be installed."
                )
        return f"{place}/bin/uv"


class Build:
    """release_build: makes one release on this host, unless it is there."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.params = module.params
        show_directories(module)
        self.releases = f"{self.params['root']}/releases"
        self.seconds: dict[str, float] = {}
        self.renewed: dict[str, list[str]] = {}
        self.log = ""

    def __call__(self) -> dict[str, t.Any]:
        python = builder_python(self.module, self.params["python"])
        id_ = self.params["id"]
        path = f"{self.releases}/{id_}"
        if self.module.check_mode:
            # The recipe is not here in check mode.
            wanted = not read_record(path) or self.params["replace"]
            empty = {"tree_bytes": 0, "manifest": "", "seconds": {}, "renewed": {}, "ignored_sources": []}
            return {"changed": wanted, "id": id_, "path": path, **empty}
        files = self.recipe_files()
        recipe = _release.recipe(files, self.params["lock"])
        found = _release.release_id(recipe["name"], recipe["digest"], python)
        if found != id_:
            self.module.fail_json(
                msg=f"{self.params['recipe_dir']} gives {found}, expected {id_}: its files differ from the recipe. "
                "Remove that directory and run again."
            )
        os.umask(0o022)
        with held_for(self.module, self.releases, f"builds {id_}"):
            record = read_record(path)
            if record and not (self.params["replace"] and damage(path)):
                return self.result(False, record, path, [])
            self.log = f"{self.releases}/.{id_}.log"
            _safe_io.remove(self.log)
            # What uv says may name sources with their passwords.
            _safe_io.create(self.log, 0o600).close()
            record, ignored = self.make(files, python, id_, path)
            _safe_io.remove(self.log)
            return self.result(True, record, path, ignored)

    def result(self, changed: bool, record: Mapping[str, t.Any], path: str, ignored: list[str]) -> dict[str, t.Any]:
        return {
            "changed": changed,
            "id": record["id"],
            "path": path,
            "tree_bytes": record["manifest"]["bytes"],
            "manifest": record["manifest"]["sha256"],
            "seconds": self.seconds,
            "renewed": self.renewed,
            "ignored_sources": ignored,
        }

    def recipe_files(self) -> dict[str, str]:
        directory = self.params["recipe_dir"]
        return {name: read(f"{directory}/{name}") for name in sorted(os.listdir(directory))}

    @contextlib.contextmanager
    def timed(self, name: str) -> Iterator[None]:
        start = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - start, 1)

    def run(self, argv: Sequence[str], environment: Mapping[str, str]) -> str:
        """Run a command, its words in the log. Return its last words where it failed."""
        start = os.path.getsize(self.log) if os.path.exists(self.log) else 0
        rc, _out, _err = self.module.run_command(_uv.logged(argv, self.log), environ_update=dict(environment))
        if rc == 0:
            return ""
        said = _safe_io.read_end(self.log, max(0, os.path.getsize(self.log) - start))[0]
        return _uv.last_lines(said.decode(errors="replace")) or f"exit status {rc}"

    def must(self, argv: Sequence[str], environment: Mapping[str, str]) -> None:
        said = self.run(argv, environment)
        if said:
            self.module.fail_json(msg=f"{' '.join(argv[:4])} failed; its output is in {self.log} : {said}")

    def make(self, files: Mapping[str, str], python: Python, id_: str, path: str) -> tuple[dict[str, t.Any], list[str]]:
        sources, ignored = sources_of(self.params)
        cache = self.params["cache_dir"] or ""
        environment = _uv.uv_environment(sources, cache, self.params["python_mirror"] or "")
        staging = f"{self.releases}/.staging-{id_}"
        for leftover in (staging, f"{staging}.old"):
            _safe_io.remove(leftover)
        version = _release.pins(files[Tools.VERSION_FILE])["uv"]
        tools = Tools(self.module, python, f"{self.params['root']}/tools", version)
        with self.timed("uv"):
            lock = f"{self.params['recipe_dir']}/{Tools.VERSION_FILE}"
            uv = tools.present() or tools.install(lock, _uv.pip_environment(sources))
        with self.timed("packages"):
            base = self.interpreter(uv, python, staging, environment)
            self.must(_uv.venv_argv(uv, base, f"{staging}/tree"), environment)
            pins = f"{self.params['lock']}.lock"
            text = _release.exact(files[pins])
            write(f"{staging}/{pins}", _release.unlinked(text) if self.params["no_index"] else text)
            sync = partial(self.sync, uv, f"{staging}/tree", f"{staging}/{pins}", environment, sources.no_index)
            sync()
            if python.managed:
                adopt(base, f"{staging}/tree", path)

        def renew(names: list[str]) -> None:
            self.run(_uv.cache_clean_argv(uv, names), environment)
            sync(names)

        with self.timed("comparison"):
            found = self.compared(f"{staging}/tree", renew)
        with self.timed("bytecode"):
            # It ends with 1 where a package holds a file that is no Python, such as a template.
            self.run(_uv.compile_argv(f"{staging}/tree", site_packages(f"{staging}/tree")), environment)
        with self.timed("manifest"):
            record = self.finish(f"{staging}/tree", files, python, id_, found)
        put_in_place(f"{staging}/tree", path)
        _safe_io.remove(staging)
        return record, ignored

    def interpreter(self, uv: str, python: Python, staging: str, environment: Mapping[str, str]) -> str:
        if not python.managed:
            return python.path
        self.must(_uv.python_install_argv(uv, python.version, f"{staging}/python"), environment)
        return os.path.realpath(sorted(glob.glob(f"{glob.escape(staging)}/python/*/bin/python3"))[0])

    def sync(
        self,
        uv: str,
        tree: str,
        lock: str,
        environment: Mapping[str, str],
        no_index: bool,
        again: Sequence[str] = (),
    ) -> None:
        backend = self.params["torch_backend"] or ""
        said = self.run(_uv.sync_argv(uv, tree, lock, backend, no_index, again), environment)
        if said and not backend and not no_index and _uv.lacks_cpu_torch(said):
            # No source has torch's build for the CPU: it is in PyTorch's own index.
            second = self.run(_uv.sync_argv(uv, tree, lock, "cpu", again=again), environment)
            said = f"{said}\nand from PyTorch's index: {second}" if second else ""
        if said:
            self.module.fail_json(
                msg=f"The packages of {os.path.basename(lock)} could not be installed; output of uv: {self.log} : "
                f"{said}\n{_uv.hash_advice(said) or _uv.SOURCES_ADVICE}"
            )

    def compared(self, tree: str, renew: t.Callable[[list[str]], None]) -> dict[str, Entry]:
        """Compare every file with its wheel's RECORD, and return what needs no second look.

        Files are links into uv's cache, which somebody may have changed. Packages that differ are downloaded again, on
        the way compared with the lock's hash. What differs then has a RECORD that is wrong: pynvvideocodec 2.0.4 has.
        """
        site = site_packages(tree)
        open_modes(tree)
        found = entries(tree)
        records = {name: record_of(f"{tree}/{site}/{name}") for name in os.listdir(f"{tree}/{site}")}
        self.renewed = _release_tree.damaged(records, found, site)
        if self.renewed:
            renew(sorted(self.renewed))
            open_modes(tree)
            found = entries(tree)
        return {path: entry for path, entry in found.items() if "__pycache__/" not in path}

    def finish(
        self, tree: str, files: Mapping[str, str], python: Python, id_: str, found: Mapping[str, Entry]
    ) -> dict[str, t.Any]:
        """Add what the lock can't, and write the manifest and the record. found: what is known of the tree."""
        site = site_packages(tree)
        for name in (".lock", ".gitignore", "CACHEDIR.TAG"):
            _safe_io.remove(f"{tree}/{name}")
        packed = _release.pins(files[f"{self.params['lock']}.lock"])
        plugin = {name: text for name, text in files.items() if name.endswith(".py")}
        for name, text in _release_tree.additions(packed, plugin).items():
            place = os.path.join(tree, site, name)
            _safe_io.make_directories(os.path.dirname(place))
            write(place, text)
        open_modes(tree)
        tree_entries = entries(tree, found)
        manifest = _release_tree.dump_manifest(tree_entries.values())
        record = {
            "id": id_,
            "lock": self.params["lock"],
            "python": python.as_dict(),
            "packages": packages(tree),
            "manifest": {
                "sha256": hashlib.sha256(manifest.encode()).hexdigest(),
                "files": len(tree_entries),
                "bytes": sum(entry.size for entry in tree_entries.values()),
            },
        }
        write(f"{tree}/{_release_tree.MANIFEST}", manifest)
        write(f"{tree}/{_release_tree.RECORD}", json.dumps(record, indent=1, sort_keys=True) + "\n")
        return record


def adopt(base: str, tree: str, path: str) -> None:
    """Move the Python that uv brought into the environment, which then names the place where it will lie."""
    prefix = os.path.dirname(os.path.dirname(base))
    _safe_io.rename(prefix, f"{tree}/python")
    _safe_io.link(f"{tree}/bin/python", f"../python/bin/{os.path.basename(base)}")
    config = f"{tree}/pyvenv.cfg"
    lines = read(config).splitlines()
    lines = [f"home = {path}/python/bin" if line.startswith("home ") else line for line in lines]
    write(config, "\n".join(lines) + "\n")


# --- Moving ----------------------------------------------------------------------------------------------------------


class Squeeze(io.RawIOBase):
    """A file to write to, whose content is compressed by all cores: one member of gzip for each block."""

    def __init__(self, target: t.BinaryIO, pool: ThreadPoolExecutor, ahead: int) -> None:
        self.target = target
        self.pool = pool
        self.ahead = ahead
        self.pending: collections.deque[Future[bytes]] = collections.deque()

    def write(self, block: t.Any) -> int:
        self.pending.append(self.pool.submit(gzip.compress, bytes(block), 1, mtime=0))
        self.settle(self.ahead)
        return len(block)

    def settle(self, leave: int = 0) -> None:
        while len(self.pending) > leave:
            self.target.write(self.pending.popleft().result())


def anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Leave out who owns it on the builder: on each host that is who unpacks it."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def pack(parent: str, name: str, archive: str, cores: int) -> None:
    """Write a tree into an archive, compressed where there are cores for it.

    gzip's lowest level leaves a third of the size and does 40 MB/s on a core: on two cores, writing is faster.
    """
    with _safe_io.create(archive) as target, ThreadPoolExecutor(max_workers=cores) as pool:
        squeeze = Squeeze(target, pool, 2 * cores)
        sink: t.Any = squeeze if cores >= 4 else target
        with tarfile.open(fileobj=sink, mode="w|", bufsize=1 << 22, format=tarfile.GNU_FORMAT) as tar:
            tar.add(os.path.join(parent, name), arcname=name, filter=anonymous)
        squeeze.settle()


class Archive:
    """release_archive: the two ends of the way by which the controller's build comes to a host, as one file."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.params = module.params
        self.releases = f"{self.params['root']}/releases"

    def __call__(self) -> dict[str, t.Any]:
        steps = {"packed": self.packed, "unpacked": self.unpacked}
        return steps[self.params["state"]]()

    def must_have_room(self, directory: str, size: int, variable: str) -> None:
        error = _release.room_problem(directory, free_bytes(directory), size + size // 10, variable)
        if error:
            self.module.fail_json(msg=_release.sentence(error))

    def packed(self) -> dict[str, t.Any]:
        """Write the archive, which is for its owner alone."""
        archive, id_ = self.params["archive"], self.params["id"]
        if self.module.check_mode:
            return {"changed": True, "archive": archive}
        os.umask(0o077)
        size = read_record(f"{self.releases}/{id_}")["manifest"]["bytes"]
        self.must_have_room(os.path.dirname(archive), size, "release_controller_dir")
        pack(self.releases, id_, archive, min(16, os.cpu_count() or 1))
        return {"changed": True, "archive": archive}

    def unpacked(self) -> dict[str, t.Any]:
        """Unpack beside the release's place, compare every file with the manifest, then give it its name."""
        id_ = self.params["id"]
        path = f"{self.releases}/{id_}"
        if self.module.check_mode:
            return {"changed": True, "path": path}
        os.umask(0o022)
        with held_for(self.module, self.releases, f"unpacks {id_}"):
            record = read_record(path)
            if record.get("manifest", {}).get("sha256") == self.params["manifest"] and not (
                self.params["replace"] and damage(path)
            ):
                return {"changed": False, "path": path}
            staging = f"{self.releases}/.staging-{id_}"
            for leftover in (staging, f"{staging}.old"):
                _safe_io.remove(leftover)
            self.must_have_room(self.releases, self.params["size"], "release_root (vllm_ray_root)")
            _safe_io.make_directories(staging)
            tar = self.module.get_bin_path("tar", required=True)
            self.must(_release_tree.untar_argv(tar, self.params["archive"], staging))
            wrong = damage(staging)
            if not wrong and read_record(staging)["manifest"]["sha256"] != self.params["manifest"]:
                wrong = ["it differs from the release of the builder"]
            if wrong:
                _safe_io.remove(staging)
                self.module.fail_json(
                    msg=f"{id_} is incomplete after the copy: {len(wrong)} differences, first: {wrong[0]}. Run again."
                )
            put_in_place(staging, path)
        return {"changed": True, "path": path}

    def must(self, argv: Sequence[str]) -> None:
        rc, out, err = self.module.run_command(list(argv))
        if rc:
            self.module.fail_json(msg=f"{argv[0]} failed: {_uv.last_lines(out + err)}")
