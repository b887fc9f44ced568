# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How one host makes a release. PRIVATE to the collection.

A release is made in a staging directory beside its place and renamed when it is whole, so what has the name of a
release is complete. For that the environment is relocatable: no file in it names the directory it was made in.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
import time
import typing as t
from functools import partial

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _safe_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine._runtime import Venv, releases_of
from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases import _release, _release_tree, _uv
from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases._release_io import (
    damage,
    entries,
    held_for,
    open_modes,
    packages,
    put_in_place,
    read,
    read_record,
    record_of,
    site_packages,
    write,
)
from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases._tools_io import (
    Tools,
    builder_python,
    show_directories,
    sources_of,
)

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ansible.module_utils.basic import AnsibleModule

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases._release import Python
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases._release_tree import Entry, Record


class Build:
    """release_build: makes one release on this host, unless it is there."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.params = module.params
        show_directories(module)
        self.releases = releases_of(self.params["root"])
        self.seconds: dict[str, float] = {}
        self.renewed: dict[str, list[str]] = {}
        self.log = ""

    def __call__(self) -> dict[str, object]:
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

    def result(self, changed: bool, record: Record, path: str, ignored: list[str]) -> dict[str, object]:
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

    def make(self, files: Mapping[str, str], python: Python, id_: str, path: str) -> tuple[Record, list[str]]:
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
            second = self.run(_uv.sync_argv(uv, tree, lock, _uv.CPU_TORCH, again=again), environment)
            said = f"{said}\nand from PyTorch's index: {second}" if second else ""
        if said:
            self.module.fail_json(
                msg=f"The packages of {os.path.basename(lock)} could not be installed. uv reported: {said}. "
                f"Full output: {self.log}. {_uv.hash_advice(said) or _uv.SOURCES_ADVICE}"
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
    ) -> Record:
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
        record: Record = {
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
    """Move the Python that uv installed into the environment, which then names the final path of that Python."""
    prefix = os.path.dirname(os.path.dirname(base))
    _safe_io.rename(prefix, f"{tree}/python")
    _safe_io.link(Venv(tree).python(), f"../python/bin/{os.path.basename(base)}")
    config = f"{tree}/pyvenv.cfg"
    lines = read(config).splitlines()
    lines = [f"home = {path}/python/bin" if line.startswith("home ") else line for line in lines]
    write(config, "\n".join(lines) + "\n")
