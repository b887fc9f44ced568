# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resolves requirements into a lock with uv. PRIVATE to the collection."""

from __future__ import annotations

import tempfile
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _safe_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._accelerator import of_lock
from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases import (
    _release,
    _release_io,
    _requirements,
    _tools_io,
    _uv,
)

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


class Resolve:
    """release_resolve: what a user asks for, as a lock."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.params = module.params
        _tools_io.show_directories(module)

    def __call__(self) -> dict[str, object]:
        python = _tools_io.builder_python(self.module, self.params["python"])
        lines = _requirements.refused(self.params["requirements"])
        if lines:
            self.module.fail_json(
                msg=f"Not understood in the requirements: {' | '.join(map(_uv.redact, lines))}. Expected: lines "
                "like NAME==VERSION or NAME @ https://HOST/NAME-VERSION-TAGS.whl. Put your own wheels into the "
                "directory 'wheels' beside the file, and name sources by release_index_url, release_extra_index_urls "
                "and release_find_links (vllm_ray_index_url and so on)."
            )
        if self.module.check_mode:
            return {"changed": True, "text": "", "ignored_sources": []}
        with tempfile.TemporaryDirectory(prefix="vllm-ray-resolve-", dir=self.module.tmpdir) as directory:
            text, ignored = self.resolved(python, directory)
        return {"changed": True, "text": f"{self.params['header']}\n{text}", "ignored_sources": ignored}

    def resolved(self, python: _release.Python, directory: str) -> tuple[str, list[str]]:
        sources, ignored = _tools_io.sources_of(self.params)
        files = {
            "requirements.in": _requirements.merged(self.params["base"], self.params["requirements"]),
            "excludes": self.params["excludes"],
            "uv.lock": self.params["uv_lock"],
            "lock": self.params["preferred"],
        }
        for name, text in files.items():
            _safe_io.write_file(f"{directory}/{name}", text.encode())
        tools = _tools_io.Tools(
            self.module, python, f"{self.params['root']}/tools", _release.pins(files["uv.lock"])["uv"]
        )
        uv = tools.present() or tools.install(f"{directory}/uv.lock", _uv.pip_environment(sources))
        environment = _uv.uv_environment(sources, self.params["cache_dir"] or "", resolves=True)
        base = python.path or self.module.get_bin_path("python3", required=True)
        excludes = "excludes" if files["excludes"] else ""

        def compiled(backend: str) -> str:
            """Resolve, and return what uv said where it could not."""
            argv = _requirements.compile_argv(uv, base, python.version, "lock", excludes, backend, sources.no_index)
            rc, out, err = self.module.run_command(argv, cwd=directory, environ_update=environment)
            return (_uv.last_lines(out + err, 40) or f"exit status {rc}") if rc else ""

        backend = self.params["torch_backend"] or ""
        said = compiled(backend)
        if said and not backend and not sources.no_index and _uv.lacks_cpu_torch(said):
            # No source has torch's build for the CPU: it is in PyTorch's own index.
            said = compiled(_uv.CPU_TORCH)
        text = _release_io.read(f"{directory}/lock")
        said = said or _requirements.torch_problem(text, of_lock(self.params["lock"]))
        if said:
            self.module.fail_json(
                msg=f"The requirements could not be resolved: {said}\nAsked for:\n{files['requirements.in']}"
                "Packages come from the directory 'wheels' beside the requirements, and from release_index_url, "
                "release_extra_index_urls and release_find_links (vllm_ray_index_url and so on), by default those that "
                "pip is configured with on this host."
            )
        return text, ignored
