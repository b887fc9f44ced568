# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a command and kill it, with all processes that it started, at a moment of its work.

killed.py --text TEXT -- COMMAND...      as soon as TEXT is in its output
killed.py --probe PROBE -- COMMAND...    as soon as the command PROBE prints something else than at the beginning

It prints what the command printed, and fails where the command ended before that moment.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--text", default="")
parser.add_argument("--probe", default="")
parser.add_argument("command", nargs="+")
options = parser.parse_args()


def probe() -> str:
    return subprocess.run(shlex.split(options.probe), capture_output=True, text=True, check=True).stdout


before = probe() if options.probe else ""
with tempfile.NamedTemporaryFile() as output:
    started = subprocess.Popen(options.command, stdout=output, stderr=output, start_new_session=True)
    killed = False
    while started.poll() is None and not killed:
        killed = probe() != before if options.probe else options.text in Path(output.name).read_text(encoding="utf-8")
        time.sleep(0 if killed else 0.1)
    if killed:
        os.killpg(started.pid, signal.SIGKILL)
        started.wait()
    sys.stdout.write(Path(output.name).read_text(encoding="utf-8"))
sys.exit(not killed)
