# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the machine's tools; a failure says which tool, with its output."""

from __future__ import annotations

import shlex
import subprocess
from typing import TYPE_CHECKING

from .settings import LabError

if TYPE_CHECKING:
    from pathlib import Path


def run(
    *command: str | Path | int, given: str | None = None, check: bool = True, inherit: tuple[int, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Run a tool to its end; `given` is its input. Output and errors come back together, as text.

    `inherit` lists open file descriptors that the tool gets as well.
    """
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            input=given,
            stdin=subprocess.DEVNULL if given is None else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            pass_fds=inherit,
        )
    except FileNotFoundError:
        raise LabError(f"this machine has no {words[0]}; tests/lab/README.md lists the packages to install") from None
    if check and done.returncode:
        raise LabError(f"{shlex.join(words)} ended with {done.returncode}:\n{done.stdout.strip()}")
    return done
