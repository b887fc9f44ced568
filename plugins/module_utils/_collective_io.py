# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts the ranks of a collective check on this host and waits for them. PRIVATE to the collection."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import signal
import subprocess
import tempfile
import time
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._collective import SCRIPT

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# What a rank may take beyond its own limit, to import torch and to end.
SLACK = 30.0


def become(user: str | None) -> dict[str, t.Any]:
    """Return how to start a process as a user; as we are where there is none, or where it is ours."""
    if not user or os.geteuid() != 0:
        return {}
    entry = pwd.getpwnam(user)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": os.getgrouplist(user, entry.pw_gid)}


def run_ranks(
    release: str,
    tasks: Sequence[Mapping[str, t.Any]],
    environment: Mapping[str, str],
    user: str | None,
    seconds: float,
) -> list[str]:
    """Run one process per task at once; return what each printed, in their order. None is left behind."""
    outputs, processes = [], []
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        # Neither another user's home nor its directory for temporary files is of use to a rank.
        env = {**environment, "TMPDIR": "/tmp", "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            for task in tasks:
                output = open(os.path.join(folder, str(task["rank"])), "w+b")  # noqa: SIM115
                outputs.append(output)
                processes.append(
                    subprocess.Popen(
                        [f"{release}/bin/python", "-c", SCRIPT, json.dumps(task)],
                        stdin=subprocess.DEVNULL,
                        stdout=output,
                        stderr=subprocess.STDOUT,
                        env=env,
                        cwd="/",
                        start_new_session=True,
                        **become(user),
                    )
                )
            end = time.monotonic() + seconds + SLACK
            for process in processes:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.0, end - time.monotonic()))
        finally:
            for process in processes:
                if process.poll() is None:
                    # Its group: torch starts compilers and the like.
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
        texts = []
        for output in outputs:
            output.seek(0)
            texts.append(output.read().decode(errors="replace"))
            output.close()
    return texts
