# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible's way into a host that is namespaces of this machine."""

from __future__ import annotations

import os
import shlex
import subprocess
from typing import IO, Any

from ansible.plugins.connection import ConnectionBase

DOCUMENTATION = """
name: gpu_host
short_description: Run commands in the namespaces of a host
description:
  - Runs each command behind a command that enters the host's namespaces, such as nsenter with the host's first process.
author: the vllm_ray.cluster authors
options:
  enter:
    description: Command line that enters the host's namespaces.
    type: str
    required: true
    vars:
      - name: gpu_host_enter
extends_documentation_fragment:
  - connection_pipelining
"""


class Connection(ConnectionBase):
    """There is nothing to open or to close. The user is the one who runs Ansible."""

    transport = "gpu_host"
    has_pipelining = True

    def _connect(self) -> Connection:
        self._connected = True
        return self

    def _run(self, cmd: str, **streams: Any) -> subprocess.CompletedProcess[bytes]:
        # A login on a host knows nothing of the Ansible that runs here.
        own = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "PYTHON"))}
        return subprocess.run(
            [*shlex.split(self.get_option("enter")), "/bin/sh", "-c", cmd],
            env=own, cwd="/", check=False, stderr=subprocess.PIPE, **{"stdout": subprocess.PIPE, **streams},
        )  # fmt: skip

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        done = self._run(cmd, input=in_data or b"")
        return done.returncode, done.stdout, done.stderr

    def _copy(self, cmd: str, **streams: IO[bytes] | int) -> None:
        done = self._run(cmd, **streams)
        if done.returncode:
            raise OSError(f"{cmd}: {done.stderr.decode(errors='replace').strip()}")

    def put_file(self, in_path: str, out_path: str) -> None:
        super().put_file(in_path, out_path)
        with open(in_path, "rb") as source:
            self._copy(f"cat > {shlex.quote(out_path)}", stdin=source)

    def fetch_file(self, in_path: str, out_path: str) -> None:
        super().fetch_file(in_path, out_path)
        with open(out_path, "wb") as target:
            self._copy(f"cat < {shlex.quote(in_path)}", stdin=subprocess.DEVNULL, stdout=target)

    def close(self) -> None:
        self._connected = False
