# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs modules in children of this process, within limits of time and memory: a run costs milliseconds."""

from __future__ import annotations

import importlib
import json
import os
import resource
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any, NamedTuple

from ansible.module_utils import basic

MODULES = "ansible_collections.vllm_ray.cluster.plugins.modules"
# A limit for what hangs, also where other tests have the processor.
SECONDS = 20
MIB = 1024**2
MEMORY = 200 * MIB


class Result(NamedTuple):
    """How a run of a module ended. memory: bytes that it took more than its parent."""

    status: int
    output: str
    seconds: float
    memory: int

    @property
    def answer(self) -> dict[str, Any]:
        lines = [line for line in self.output.splitlines() if line.startswith("{")]
        return json.loads(lines[-1]) if lines else {}


def run_child(module: str, args: dict[str, Any], output: int, programs: bool) -> None:
    """Be the module: never returns."""
    code = 70
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", encoding="utf-8") for number in (1, 2))
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
        signal.alarm(SECONDS)
        basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": args}).encode()
        basic._ANSIBLE_PROFILE = "legacy"
        # Programs of the system answer differently on each host, and take longer than all the rest; so do pauses.
        time.sleep = lambda _seconds: None
        if not programs:
            basic.AnsibleModule.get_bin_path = lambda *_args, **_options: None
        importlib.import_module(f"{MODULES}.{module}").main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def run(module: str, args: dict[str, Any], folder: Path, programs: bool = False) -> Result:
    """Run a module with arguments. programs: whether it finds those of the system."""
    importlib.import_module(f"{MODULES}.{module}")
    private = {"_ansible_tmpdir": str(folder), "_ansible_no_log": True}
    with (folder / "output").open("w+b") as output:
        begin = time.monotonic()
        pid = os.fork()
        if pid == 0:
            run_child(module, {**args, **private}, output.fileno(), programs)
        _pid, status, usage = os.wait4(pid, 0)
        seconds = time.monotonic() - begin
        output.seek(0)
        text = output.read().decode(errors="replace")
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Result(status, text, seconds, max(0, usage.ru_maxrss - own) * 1024)
