# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory of a run, and commands in it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "demo-model" / "model"
ANSWERS = json.loads((ROOT / "demo-model" / "answers.json").read_text())
SETTINGS, SUMS = "settings.json", "SHA256SUMS"
# NVLink multicast stays off: a program that uses it can put the GPUs of a shared machine out of service. NCCL, torch
# and NVSHMEM have a switch each. vLLM's all-reduce by FlashInfer creates multicast objects by itself where the ranks of
# a tensor-parallel group share a host, and a pass of its compiler uses the same.
ENVIRONMENT = {
    "NCCL_NVLS_ENABLE": "0", "TORCH_SYMM_MEM_DISABLE_MULTICAST": "1", "NVSHMEM_DISABLE_NVLS": "1",
    "VLLM_ALLREDUCE_USE_SYMM_MEM": "0", "VLLM_ALLREDUCE_USE_FLASHINFER": "0",
}  # fmt: skip
SERVE_ARGS = {
    "served-model-name": "demo",
    "compilation-config": {"pass_config": {"fuse_allreduce_rms": False}},
}


class Failed(Exception):
    """A step can't end well."""


class Place:
    """The directory of a run.

    work: what is made there; home: the home of services and of Ansible, with a short path, as Ray's sockets are below;
    models: where the models of random weights are written; hosts: how many hosts the step of that name creates.

    These differ if the cluster consists of such hosts: services: the serve host's home, as a path on this machine;
    enter: the prefix of a command that is to run there; url, key: of the API; inventory.
    """

    def __init__(self, folder: Path, hosts: int = 2) -> None:
        self.folder = folder.resolve()
        self.work, self.home, self.results = (self.folder / name for name in ("work", "h", "results"))
        for made in (self.work, self.home, self.results):
            made.mkdir(exist_ok=True)
        self.models = Path(os.environ.get("MODELS", self.work))
        self.hosts = hosts
        self.services, self.enter, self.url = self.home, list[str](), "http://127.0.0.1:8000"
        self.key, self.inventory = self.work / "key", self.work / "cluster.ini"
        self.settings: dict[str, Any] = json.loads((folder / SETTINGS).read_text())
        self.cpu = self.settings["accelerator"] == "cpu"
        self.log = Path(os.devnull)
        self.limit = 0.0

    def begin(self, step: str, seconds: float) -> float:
        """Begin a step; return when."""
        self.log = self.results / f"{step}.log"
        self.log.unlink(missing_ok=True)
        begin = time.monotonic()
        self.limit = begin + seconds
        return begin

    def tell(self, found: dict[str, Any]) -> None:
        """Write what is known before the step has ended."""
        self.log.with_suffix(".part.json").write_text(json.dumps(found, indent=1) + "\n")

    def has(self, step: str) -> bool:
        """Return whether a step ended well."""
        told = self.results / f"{step}.json"
        return told.is_file() and bool(json.loads(told.read_text())["well"])

    @property
    def over(self) -> bool:
        return time.monotonic() > self.limit

    def environment(self) -> dict[str, str]:
        """Ansible from where it was unpacked, with this checkout and none of the user's settings."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        path = f"{self.work / 'ansible' / 'bin'}{os.pathsep}{own['PATH']}"
        own |= {"HOME": str(self.home), "PATH": path, "PYTHONPATH": str(self.work / "ansible"), "LC_ALL": "C.UTF-8"}
        plugins = ROOT / "tests" / "gpu" / "connection_plugins"
        own |= {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_CONNECTION_PLUGINS": str(plugins)}
        return own | {"ANSIBLE_NOCOLOR": "true", "PYTHONUNBUFFERED": "1"}

    def run(self, *command: str | Path, check: bool = True, env: dict[str, str] | None = None) -> tuple[int, str]:
        """Run a command within what is left of the step's limit; return its status and what it printed."""
        argv = [str(word) for word in command]
        begin = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("a") as stream:
            print(f"\n$ {' '.join(argv)}", file=stream, flush=True)
            process = subprocess.Popen(
                argv, cwd=ROOT, env=env or self.environment(), stdin=subprocess.DEVNULL,
                stdout=stream, stderr=stream, start_new_session=True,
            )  # fmt: skip
            try:
                process.wait(max(1.0, self.limit - time.monotonic()))
            except BaseException:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)
                process.wait()
                raise
        with self.log.open("rb") as stream:
            stream.seek(begin)
            text = stream.read().decode(errors="replace")
        if check and process.returncode:
            raise Failed(f"{argv[0]} {argv[1]} ended with {process.returncode}: {' '.join(text.split())[-600:]}")
        return process.returncode, text

    def playbook(self, name: str, *options: str, check: bool = True, **settings: Any) -> tuple[int, str]:
        """Run a playbook of this checkout. settings: variables without their prefix vllm_ray_."""
        told = {f"vllm_ray_{key}": value for key, value in settings.items()}
        extra = ["-e", json.dumps(told)] if told else []
        return self.run("ansible-playbook", name, "-i", self.inventory, *extra, *options, check=check)

    def write_variables(self, folder: Path, **settings: Any) -> None:
        """Write what all hosts of an inventory have in common. settings: as for playbook()."""
        request = {
            "messages": [{"role": "user", "content": ANSWERS[0]["question"]}],
            "temperature": 0,
            "max_tokens": 32,
        }
        common = {
            "scope": "user", "firewall": "off", "accelerator": self.settings["accelerator"], "env": ENVIRONMENT,
            "python": str(Path(sys.executable).resolve()), "bundle": str(self.work / "bundle.tar"),
            "proof": [{"request": request, "expect": ANSWERS[0]["answer"]}],
            "model": str(DEMO), "serve_args": SERVE_ARGS,
        }  # fmt: skip
        told = {**common, **settings, **self.settings.get("settings", {})}
        folder.mkdir(exist_ok=True)
        (folder / "all.yml").write_text(json.dumps({f"vllm_ray_{name}": value for name, value in told.items()}))
