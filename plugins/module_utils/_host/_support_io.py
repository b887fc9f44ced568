# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gathers what of a host goes into a support bundle, without secrets. PRIVATE to the collection."""

from __future__ import annotations

import base64
import collections
import io
import json
import os
import stat
import tarfile
import time
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import (
    _account_io,
    _directory_io,
    _redact,
    _safe_io,
    _unsafe,
)
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._redact_io import parsed, read_end, redactor, texts
from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine import _vllm
from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine._runtime import Runtime, runtime_of
from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _support
from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases import _release_io

if t.TYPE_CHECKING:
    from collections.abc import Sequence

    from ansible.module_utils.basic import AnsibleModule

JOURNAL_LINES = 20000
# A command that hangs, as nvidia-smi may, must not make us hang.
SECONDS = 30
# Ray has some hundred logs. Each file costs time, also an empty one.
FILES_MAXIMUM = 5000
LACKS_MAXIMUM = 200


class Part:
    """One host's part of a bundle. Nothing gets in without going through the redactor."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.params = module.params
        self.limit = self.params["file_mib"] * _safe_io.MIB
        self.left = self.params["total_mib"] * _safe_io.MIB
        self.missing: list[str] = []
        self.unsaid = 0
        self.nccl_lines: collections.deque[str] = collections.deque(maxlen=_support.NCCL_LINES)
        self.redactor = redactor(self.params["config"], self.params["started"])

    def __call__(self) -> dict[str, object]:
        """Return the archive, and what is missing in it."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=6) as self.tar:
            self.gather()
            if self.unsaid:
                self.missing.append(f"{self.unsaid} more that are not named here")
            self.put("MISSING", _support.missing_text(self.missing))
        return {"archive": base64.b64encode(buffer.getvalue()).decode(), "missing": self.missing}

    def gather(self) -> None:
        """Gather everything; the large part last, so that what is left out for its size is of that."""
        for step in (self.configuration, self.services, self.release, self.system, self.kernel, self.ray, self.nccl):
            try:
                step()
            except (OSError, ValueError) as error:
                self.lack(step.__name__, str(error))

    # --- What is put in ----------------------------------------------------------------------------------------------

    def add(self, name: str, text: str) -> None:
        """Put a text in, without its secrets, where there is room."""
        if not _support.MEMBER.fullmatch(name):
            self.lack(name, "its name is not one of letters, digits and - _ . @ + : = ,")
            return
        text = self.redactor.text(text)
        if len(text) > self.left:
            self.lack(name, f"this host's part would be larger than {self.params['total_mib']} MiB")
        else:
            self.left -= len(text)
            self.put(name, text)

    def put(self, name: str, text: str) -> None:
        """Put a text in that is without secrets."""
        data = text.encode(errors="replace")
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode, entry.mtime = len(data), 0o600, int(time.time())
        self.tar.addfile(entry, io.BytesIO(data))

    def lack(self, name: str, why: str) -> None:
        """Say what is missing, and why."""
        if len(self.missing) < LACKS_MAXIMUM:
            self.missing.append(f"{_unsafe.shown(name)}: {_unsafe.shown(' '.join(self.redactor.text(why).split()))}")
        else:
            self.unsaid += 1

    def log(self, name: str, text: str) -> None:
        """Put a log in."""
        self.nccl_lines += _support.nccl_lines(name, text)
        self.add(name, text)

    def text(self, name: str, path: str) -> str | None:
        """Return the end of a file that is put in by this name, None where it can't be read."""
        try:
            return read_end(path, self.limit)
        except OSError as error:
            self.lack(name, str(error.strerror) if isinstance(error, _unsafe.Unsafe) else f"{path}: {error.strerror}")
            return None

    def run(self, argv: Sequence[str], seconds: int = SECONDS, **how: object) -> tuple[str, str]:
        """Return what a command prints, at most so much of its end as of a file, and why it did not end well."""
        # Also where only root has it in the PATH.
        program = self.module.get_bin_path(argv[0])
        if not program:
            return "", f"{argv[0]} is not installed"
        limited = ["sh", "-c", _support.BOUNDED, "sh", str(self.limit), "timeout", "-k", "5", str(seconds)]
        limited += [program, *argv[1:]]
        rc, out, err = self.module.run_command(limited, errors="replace", **how)
        last = ((err or out).strip().splitlines() or [""])[-1]
        why = {0: "", 124: f"did not end within {seconds} s", 137: f"did not end within {seconds} s"}
        return out, why.get(rc, f"{argv[0]} ended with {rc}: {last}")

    # --- What there is -----------------------------------------------------------------------------------------------

    def files(self) -> dict[str, str]:
        """Return {name: path} of files of our configuration; keys and tokens are in files of none of these names."""
        config, started, units = (self.params[name] for name in ("config", "started", "units"))
        patterns = [
            *(("config", config, f"*.{end}") for end in ("env", "sh", "yaml", "json", "conf")),
            ("config/vllm", config, "vllm", "*.json"),
            ("started", started, "*"),
            *(("units", units, f"{name}.{end}") for name in self.params["services"] for end in ("service", "conf")),
        ]
        return {
            f"{folder}/{name}": directory.at(name)
            for folder, root, *pattern in patterns
            for directory, name in _safe_io.find(root, *pattern)
        }

    def configuration(self) -> None:
        """Put in units, environments, scripts and options, and what services were started with."""
        found = self.files()
        if not found:
            self.lack("config", f"there is nothing in {self.params['config']}")
        for name, path in found.items():
            text = self.text(name, path)
            if text is None:
                continue
            # What services wrote is no environment of ours.
            ours = not (name.startswith("started/") and path.endswith(".env"))
            tree = parsed(path, text) if ours else None
            if tree is None:
                self.add(name, text)
            elif path.endswith(".env") and isinstance(tree, dict):
                self.add(name, _support.environment(self.redactor.environment(tree)))
            else:
                self.add(name, json.dumps(self.redactor.tree(tree), indent=2))

    def services(self) -> None:
        """Put in the logs of our services since the start before the last one."""
        for name in self.params["services"]:
            part = "serve" if "serve@" in name else "node"
            if self.params["manager"] == "systemd":
                self.journal(f"log/{part}.log", name, must=part == "node")
                continue
            found = _safe_io.find(self.params["state"], "log", f"{part}*.log")
            paths = [directory.at(file) for directory, file in found]
            for path in paths:
                log = f"log/{os.path.basename(path)}"
                text = self.text(log, path)
                if text is not None:
                    starts = _vllm.starts(text.splitlines(), name)[-2:]
                    self.log(log, "".join(f"{line}\n" for start in starts for line in start))
            if not paths and part == "node":
                self.lack(f"log/{part}.log", f"there is none in {self.params['state']}/log")

    def journal(self, name: str, service: str, must: bool) -> None:
        """Put in what the journal has of a service. must: whether every host has some."""
        unit = f"{service}.service"
        argv = ["journalctl", "--no-pager", "--quiet", "--output=short-iso", f"--lines={JOURNAL_LINES}"]
        out, why = self.run([*argv, f"--unit={unit}"])
        data = "".join(f"{line}\n" for line in _support.last_starts(out.splitlines(), unit)).encode()
        left_out = max(0, len(data) - self.limit)
        if data:
            self.log(name, _support.whole_lines(data[left_out:], left_out))
        elif why or must:
            self.lack(name, why or f"the journal has nothing of {unit}")

    def release(self) -> None:
        """Put in the packages of the release, and what vLLM says of its environment."""
        path = self.params["release"]
        runtime = runtime_of(path)
        if not os.access(runtime.program("vllm"), os.X_OK):
            self.lack("release.txt, collect-env.txt", f"there is no {runtime.program('vllm')}")
            return
        _rc, version, _err = _account_io.run_as(self.module, self.params["user"], runtime.argv(["python", "--version"]))
        packages = _release_io.packages(path)
        text = _support.release_text(os.path.realpath(path), version.replace("Python", "").strip(), packages)
        self.add("release.txt", text)
        self.collect_env(runtime)

    def collect_env(self, runtime: Runtime) -> None:
        """Ask vLLM as the user of the services, in the environment of the node, without its secrets."""
        user, seconds = self.params["user"], self.params["seconds"]
        node = f"{self.params['config']}/node.env"
        variables = next((parsed(node, text) for _path, text in texts(self.params["config"], "node.env")), None)
        known = variables.items() if isinstance(variables, dict) else ()
        environment = {name: value for name, value in known if not _redact.is_secret_variable(name)}
        # Inside, as what it ends is the whole group of processes.
        argv = ["timeout", "-k", "5", str(seconds), "nice", "-n", "10"]
        argv += runtime.argv(["python", "-c", _support.COLLECT_ENV])
        who = _account_io.account(user)
        how: dict[str, object] = {"environ_update": environment}
        if who:
            argv, how = _account_io.argv_as(who, argv), {"data": _account_io.exports(environment)}
        out, why = self.run(argv, seconds + 10, cwd="/", **how)
        if out:
            self.add("collect-env.txt", out)
        if why:
            self.lack("collect-env.txt", why)

    def system(self) -> None:
        """Put in what commands print, also where they fail in the end."""
        for name, argv in _support.COMMANDS.items():
            out, why = self.run(argv)
            if out:
                self.add(f"{name}.txt", out)
            if why:
                self.lack(f"{name}.txt", why)
        for name, path in _support.KERNEL_FILES.items():
            text = _safe_io.read_kernel(path)
            # A kernel without IPv6 has no tables of it.
            if text is None and not os.path.lexists(path):
                continue
            if text is None:
                self.lack(name, f"{path} can't be read")
            else:
                self.add(name, text[-self.limit :])

    def kernel(self) -> None:
        """Put in what the kernel says of GPUs and of memory that ran out."""
        out, why = self.run(["dmesg", "--ctime"])
        if why:
            out, _why = self.run(["journalctl", "--no-pager", "--quiet", "--dmesg", f"--lines={JOURNAL_LINES}"])
        if out:
            self.add("system/kernel.txt", _support.kernel_lines(out) or "nothing of GPUs, memory or links\n")
        else:
            self.lack("system/kernel.txt", why or "the kernel's log is empty")

    def ray(self) -> None:
        """Put in the logs of Ray's newest session."""
        root = f"{self.params['state']}/ray"
        sessions = [name for directory, name in _safe_io.find(root, "session_2*") if is_directory(directory, name)]
        if not sessions:
            self.lack("ray", f"there is no session in {root}")
            return
        logs = f"{root}/{sessions[-1]}/logs"
        # Most of some hundred logs are empty.
        found = [directory.at(name) for directory, name in _safe_io.walk(logs) if has_content(directory, name)]
        found.sort(key=lambda path: _support.ray_order(os.path.relpath(path, logs)))
        for path in found[:FILES_MAXIMUM]:
            log = f"ray/{sessions[-1]}/{os.path.relpath(path, logs)}"
            text = self.text(log, path)
            if text is not None:
                self.log(log, text)
        if len(found) > FILES_MAXIMUM:
            self.lack("ray", f"{len(found) - FILES_MAXIMUM} logs more than {FILES_MAXIMUM}")

    def nccl(self) -> None:
        """Put in what the logs show of NCCL's transports."""
        lines = "".join(f"{line}\n" for line in self.nccl_lines)
        self.add("nccl.txt", lines or "no log here names NCCL's transports\n")


def is_directory(directory: _directory_io.Directory, name: str) -> bool:
    """Return whether an entry is a directory, not a link to one."""
    now = directory.lstat(name)
    return now is not None and stat.S_ISDIR(now.st_mode)


def has_content(directory: _directory_io.Directory, name: str) -> bool:
    """Return whether an entry is a file that is not empty."""
    now = directory.lstat(name)
    return now is not None and stat.S_ISREG(now.st_mode) and now.st_size > 0
