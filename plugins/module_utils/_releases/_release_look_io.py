# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A look at one release, or at an environment of somebody else, on one host. PRIVATE to the collection."""

from __future__ import annotations

import glob
import os
import shutil
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _account_io, _safe_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._accelerator import ACCELERATORS
from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine._runtime import releases_of, runtime_of
from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases import _environment, _release
from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases._release import Python
from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases._release_io import (
    damage,
    free_bytes,
    packages,
    read_record,
)
from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases._tools_io import Tools, find_python

if t.TYPE_CHECKING:
    from collections.abc import Sequence

    from ansible.module_utils.basic import AnsibleModule

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _look

LIBRARY_PLACES = ("/lib*", "/usr/lib*", "/lib/*-linux-gnu", "/usr/lib/*-linux-gnu", "/usr/local/lib*")
# What Debian calls the packages that releases need, by what is looked for.
LIBRARY_PACKAGES = {"libnuma.so.1": "libnuma1"}
NVIDIA = "/proc/driver/nvidia/version"
# Of NVIDIA's package cuda-compat.
COMPAT = "/usr/local/cuda*/compat/libcuda.so.*"


def missing_libraries(names: Sequence[str]) -> list[str]:
    return [name for name in names if not any(glob.glob(f"{place}/{name}") for place in LIBRARY_PLACES)]


def package_problems(names: Sequence[str], root: bool) -> list[dict[str, str]]:
    """Return what only root could install, with the command to ask root for."""
    if root or not names:
        return []
    command = f"ask root for: apt-get install {' '.join(names)}"
    return [_release.problem("package", "error", f"missing: {', '.join(names)}", "installed packages", command)]


def root_problems(root: str) -> list[dict[str, str]]:
    """Return the problem if the present user may not write to the directory of releases."""
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


class Found(t.TypedDict):
    """What release_info returns."""

    id: str
    path: str
    complete: bool
    damaged: list[str]
    python: _look.PythonDetails | None
    versions: dict[str, str]
    manifest: str
    tree_bytes: int
    missing_packages: list[str]
    problems: list[dict[str, str]]


class Look:
    """release_info: what is there of one release on one host. It reads few files and runs one interpreter.

    Beside a result named path Ansible puts owner, mode and size of that path, so no result of ours has these names.
    """

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.params = module.params

    def __call__(self) -> Found:
        result = self.existing() if self.params["path"] else self.own()
        errors = [entry for entry in result["problems"] if entry["severity"] == "error"]
        if errors and self.params["refuse"]:
            self.module.fail_json(msg=" | ".join(map(_release.sentence, errors)), **result)
        return result

    def own(self) -> Found:
        params, user = self.params, self.params["user"]
        if params["id"] and not _release.ID.fullmatch(params["id"]):
            self.module.fail_json(
                msg=f"{params['id']!r} is not the id of a release. Expected: an id that releases.yml lists."
            )
        if params["id"]:
            id_, record = params["id"], read_record(f"{releases_of(params['root'])}/{params['id']}")
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
        path = f"{releases_of(params['root'])}/{id_}" if id_ else ""
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
            text = f"{len(damaged)} files of the release {id_} differ from its manifest, first: {damaged[0]}"
            fix = "nothing, this run replaces the release"
            problems.append(_release.problem("release", "warning", text, "no differences", fix))
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
        places = runtime_of(path).search_path()
        found = next(filter(None, (shutil.which(name, path=places) for name in ("clang", "gcc"))), "")
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
        argv = runtime_of(path).argv(["python", "-I", "-c", _environment.PROBE])
        rc, out, _err = _account_io.run_as(self.module, self.params["user"], argv)
        return None if rc else _environment.parse(out)

    def existing(self) -> Found:
        """Look at an environment that somebody else made."""
        path = self.params["path"]
        runtime = runtime_of(path)
        user = self.params["user"]
        python = find_python(self.module, runtime.python(), user)
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
            accelerator = ACCELERATORS.get(self.params["lock"])
            problems += _environment.problems(path, environment, accelerator, driver, compat)
        elif python:
            problems.append(_environment.silent(path))
        for name in ("vllm", "ray"):
            program = runtime.program(name)
            if not os.access(program, os.X_OK):
                fix = "set release_path (vllm_ray_release_path) to an environment with both, the same on all hosts"
                problems.append(_release.problem("release", "error", f"no {program}", "vLLM and Ray", fix))
        if python is None:
            fix = "set release_path (vllm_ray_release_path) to an environment whose Python runs on this host"
            who = _account_io.account(user)
            as_whom = f" as {who.pw_name}" if who else ""
            text = f"{runtime.python()} does not run{as_whom}"
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
