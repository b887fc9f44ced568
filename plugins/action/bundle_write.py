# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import pathlib
import shutil
import typing as t

from ansible.plugins.action import ActionBase
from ansible.release import __version__ as ansible_version

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._accelerator import of_setting
from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs import _hub
from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases._release import wants_managed_python
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._display_io import ActionFailed, failure, show
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._bundles import (
    _bundle,
    _bundle_io,
    _bundle_parts_io,
    _wheels,
)
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _members, _settings
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._screens import _screen

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import TaskVariables


class ActionModule(ActionBase):
    """Gathers on this machine what a deployment takes from outside, and writes it to one file."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: TaskVariables | None = None) -> dict[str, object]:
        result = super().run(tmp, task_vars)
        self.validate_argument_spec({})
        variables = task_vars or {}
        head = next(iter(_members.members(variables["hostvars"], variables["groups"])), None)
        given = variables["hostvars"][head] if head else variables
        # A bundle without a model needs no name of one.
        checked = _settings.check(head or "localhost", {"vllm_ray_model": "", **own(variables), **own(given)})
        if checked.problems:
            return failure(result, _screen.summary([p.as_dict() for p in checked.problems]))
        try:
            wanted = Wanted(checked.values, given.get("inventory_dir") or os.getcwd())
            path = wanted.path
            if self._task.check_mode:
                show(f"\nA bundle would be written to {path}: {wanted.words}")
                return {**result, "changed": True, "path": path}
            before = digest_of(path)
            work = f"{path}.parts"
            os.makedirs(work, exist_ok=True)
            if wanted.downloads:
                wanted.model = self.download(wanted, work, variables)
            sources = wanted.gather(work, show)
            made = _bundle_io.write(path, wanted.manifest, sources, show)
        except _bundle.BundleError as error:
            return failure(result, str(error))
        except OSError as error:
            return failure(result, f"{error}. vllm_ray_bundle names the file that is written.")
        shutil.rmtree(work)
        digest = digest_of(path)
        show(
            f"\nThe bundle is {path}: {made.size / 1e9:.2f} GB in {len(made.files)} files, {wanted.words}.\n"
            f"  On the target side: ansible-playbook vllm_ray.cluster.site -i INVENTORY "
            f"-e vllm_ray_bundle={os.path.basename(path)} -e vllm_ray_bundle_sha256={digest}"
        )
        return {**result, "changed": digest != before, "path": path, "digest": digest}

    def download(self, wanted: Wanted, work: str, variables: TaskVariables) -> str:
        """Download the model of a hub by the hub's own client, or of a mirror, and return its directory."""
        settings, client = wanted.settings, _hub.HUBS[wanted.hub].client
        environment = _bundle_parts_io.pip_environment(settings)
        arguments = {
            "hub": wanted.hub,
            "model": settings["vllm_ray_model"],
            "revision": settings.get("vllm_ray_model_revision") or "",
            "endpoint": settings.get("vllm_ray_hf_endpoint") or "",
            "token": settings.get("vllm_ray_hf_token"),
            "proxy": settings.get("vllm_ray_proxy"),
            "ca_certificate": settings.get("vllm_ray_ca_certificate"),
            "python": _bundle_parts_io.hub_client(client.package, wanted.pins, work, environment, show)
            if client
            else None,
            "root": f"{work}/models",
            "record_directory": f"{work}/manifests",
        }
        with _bundle_parts_io.watched(f"{work}/models", show):
            answer = self._execute_module(
                module_name="vllm_ray.cluster.model_download", module_args=arguments, task_vars=variables
            )
        if answer.get("failed"):
            raise ActionFailed(f"{settings['vllm_ray_model']}: {answer.get('msg', 'it was not downloaded')}")
        return str(answer["directory"])


def own(variables: Mapping[str, object]) -> dict[str, object]:
    """Return our variables of all that a host has."""
    return {name: variables[name] for name in variables if name.startswith(_settings.PREFIX)}


def digest_of(path: str) -> str:
    """Return the key that distinguishes the bundle at a path from others, empty where none is there."""
    try:
        return _bundle.digest(_bundle_io.members(path)[1])
    except _bundle.BundleError:
        return ""


class Wanted:
    """What a bundle is to hold, by the settings and this machine."""

    def __init__(self, settings: Mapping[str, t.Any], inventory: str) -> None:
        """inventory: its directory, from which vllm_ray_requirements counts."""
        self.settings = settings
        own_file = settings.get("vllm_ray_requirements")
        self.requirements = pathlib.Path(inventory, os.path.expanduser(own_file)) if own_file else None
        self.parts = settings["vllm_ray_bundle_parts"]
        accelerator = of_setting(settings["vllm_ray_accelerator"], gpus=True)
        self.accelerator = accelerator.name
        wish = settings.get("vllm_ray_python") or ""
        self.managed = wish if wants_managed_python(wish) else ""
        python = settings.get("vllm_ray_bundle_python") or _bundle.python_of(wish)
        platform = settings.get("vllm_ray_bundle_platform") or _bundle_parts_io.own_platform()
        self.target = _bundle.target(python or _bundle_parts_io.own_python(), platform)
        # Headers are the distribution's where the Python is, which is this machine's as its packages are.
        ours = not wish or (wish.startswith("/usr/bin/") and not settings.get("vllm_ray_release_path"))
        same = self.target.minor == _bundle.target(_bundle_parts_io.own_python(), platform).minor
        system_python = self.target.python if ours and same else ""
        packages = _bundle.package_names(accelerator, settings, system_python)
        self.names = packages if "packages" in self.parts else []
        model = settings["vllm_ray_model"]
        own_model = model if "model" in self.parts and model.startswith("/") else ""
        self.model = settings.get("vllm_ray_bundle_model") or own_model
        self.downloads = "model" in self.parts and bool(model) and not self.model
        source = settings["vllm_ray_model_source"]
        self.hub = _hub.hub_of(model, source)
        here = f"vllm-ray-{self.accelerator}-py{self.target.minor}-{self.target.machine}.tar"
        self.path = os.path.abspath(os.path.expanduser(settings.get("vllm_ray_bundle") or here))

    @property
    def words(self) -> str:
        """Return for whom it is and what is in it, for the terminal."""
        release = f"release {self.accelerator} for Python {self.target.minor} on {self.target.platform}"
        model = self.settings["vllm_ray_model"] if self.downloads else self.model
        held = [release if "release" in self.parts else "", " ".join(self.names), model]
        return ", ".join([*filter(None, held), *(["Ansible"] if "controller" in self.parts else [])])

    @property
    def lock(self) -> pathlib.Path:
        """The lock of the release: what the user's requirements became, or one by its path or its name in the role."""
        if self.requirements:
            kept = self.requirements.with_suffix(f".{self.accelerator}.lock")
            if kept.is_file():
                return kept
            fix = "run site.yml once where hosts reach an index, and keep the file that it writes there"
            raise _bundle.BundleError(
                "vllm_ray_requirements", f"no {kept}", "the lock resolved from the requirements", fix
            )
        name = str(self.settings.get("vllm_ray_release_lock") or self.accelerator)
        if "/" in name:
            return pathlib.Path(os.path.abspath(os.path.expanduser(name)))
        return _bundle_parts_io.LOCK_FILES / f"{name}.lock"

    @property
    def pins(self) -> list[_wheels.Pin]:
        """The lines of the lock that count on the hosts."""
        return _wheels.chosen(_wheels.parse_lock(self.lock.read_text(encoding="utf-8")), self.target)

    @property
    def manifest(self) -> _bundle.Manifest:
        release = "release" in self.parts
        return _bundle.Manifest(
            made_by=f"vllm_ray.cluster {_bundle_parts_io.version()}",
            accelerator=self.accelerator if release else "",
            python=self.target.minor,
            platform=self.target.platform,
            uv=_bundle_parts_io.uv_version() if release else "",
            managed=self.managed if release else "",
            lock_wish=_bundle.lock_wish(self.settings),
            model_wish=self.settings["vllm_ray_model"],
            model=self.model_place,
            os=_bundle_parts_io.own_os() if self.names else "",
            packages=tuple(self.names),
        )

    @property
    def model_place(self) -> str:
        """Where the model is in the bundle: hosts call its directory by the last part of its name."""
        if not self.model:
            return ""
        name = self.settings["vllm_ray_model"] or os.path.abspath(self.model)
        return f"{_bundle.MODEL}/{os.path.basename(name.rstrip('/'))}"

    def gather(self, work: str, say: _bundle_io.Say) -> dict[str, str]:
        """Return all files by their names in the bundle. What is missing is downloaded to the working directory."""
        own_wheels = [str(self.requirements.parent / "wheels")] if self.requirements else []
        environment = _bundle_parts_io.pip_environment(self.settings, own_wheels)
        sources: dict[str, str] = {}

        def add(part: str, files: Mapping[str, str]) -> None:
            sources.update({f"{part}/{name}": path for name, path in files.items()})

        if self.model:
            add(self.model_place, _bundle_parts_io.model(os.path.abspath(os.path.expanduser(self.model))))
        if self.names:
            add(_bundle.PACKAGES, _bundle_parts_io.packages(self.names, f"{work}/packages", say))
        if "controller" in self.parts:
            place = f"{work}/controller"
            add(_bundle.CONTROLLER, _bundle_parts_io.controller(ansible_version, place, environment, say))
        if "release" in self.parts:
            # Wheels for another lock or other hosts, of a run that broke off, are not taken for these.
            place = f"{work}/{_wheels.key(self.pins, self.target)}"
            os.makedirs(place, exist_ok=True)
            add(_bundle.WHEELS, _bundle_parts_io.wheels(self.pins, self.target, f"{place}/wheels", environment, say))
            uv = _bundle_parts_io.uv(self.target, place, environment, say)
            add(_bundle.TOOLS, {"uv": uv})
            if self.managed:
                python = (uv, self.managed, self.target, place, environment, say)
                add(_bundle.PYTHON, _bundle_parts_io.managed_python(*python))
            add(_bundle.LOCKS, {f"{self.accelerator}.lock": str(self.lock)})
        return sources
