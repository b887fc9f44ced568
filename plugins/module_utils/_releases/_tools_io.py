# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes releases on a host: a Python, uv, and where they get packages from. PRIVATE to the collection."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _account_io, _safe_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine._runtime import Venv
from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases import _release, _uv
from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases._release import Python
from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases._release_io import read

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible.module_utils.basic import AnsibleModule

# Arguments of modules that take packages from somewhere. URLs may hold passwords.
SOURCES: dict[str, dict[str, object]] = {
    "index_url": {"type": "str", "no_log": True},
    "extra_index_urls": {"type": "list", "elements": "str", "no_log": True},
    "find_links": {"type": "list", "elements": "str", "no_log": True},
    "proxy": {"type": "str", "no_log": True},
    "ca_certificate": {"type": "path"},
    "cache_dir": {"type": "path"},
    "torch_backend": {"type": "str"},
    "wheels": {"type": "path"},
}


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


def sources_of(params: _uv.Given) -> tuple[_uv.Sources, list[str]]:
    """Return the sources of packages, from a module's arguments and pip's configuration, and those that are missing."""
    # /dev/null is how pip's users say that there is none.
    named = [name for name in [os.environ.get("PIP_CONFIG_FILE")] if name and name != os.devnull]
    files = [read(os.path.expanduser(name)) for name in [*_uv.PIP_FILES, *named]]
    configured = _uv.pip_sources(files, os.environ)
    sources, missing = _uv.drop_missing(_uv.choose_sources(params, configured), os.path.exists)
    wheels = params["wheels"]
    if wheels:
        sources.find_links.append(wheels)
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
        self.own = Venv(f"{directory}/uv-{self.version}")

    def runs(self, uv: str) -> bool:
        if not uv or not os.access(uv, os.X_OK) or (os.geteuid() == 0 and _account_io.exposed(uv)):
            return False
        rc, out, _err = self.module.run_command([uv, "--version"])
        return bool(rc == 0 and out.split()[1:2] == [self.version])

    def present(self) -> str:
        """Return the path of the right uv where there is one, or an empty text."""
        places = [self.own.program("uv"), self.module.get_bin_path("uv") or ""]
        return next((place for place in places if self.runs(place)), "")

    def install(self, lock: str, environment: Mapping[str, str]) -> str:
        _safe_io.make_directories(self.directory)
        base = self.python.path or self.module.get_bin_path("python3", required=True)
        for argv in (_uv.tool_venv_argv(base, self.own.path), _uv.tool_install_argv(self.own.path, lock)):
            rc, out, err = self.module.run_command(argv, environ_update=dict(environment))
            if rc:
                self.module.fail_json(
                    msg=f"uv {self.version} could not be installed by pip: {_uv.last_lines(out + err)}. "
                    "It comes from release_index_url or release_find_links, by default those that pip is configured "
                    "with on this host; python3-venv must be installed."
                )
        return self.own.program("uv")
