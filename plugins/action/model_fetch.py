# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import fcntl
import os
import time
import typing as t

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.vllm_ray.cluster.plugins.module_utils._manifest import gib, parse_entries, size_of
from ansible_collections.vllm_ray.cluster.plugins.module_utils._manifest_io import free_bytes, hash_file
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils import _copy

display = Display()
ARGUMENTS = {
    "source": {"type": "path", "required": True},
    "destination": {"type": "path", "required": True},
    "files": {"type": "list", "elements": "dict", "required": True},
}


class ActionModule(ActionBase):
    """Gets files of a host to the controller, once for all hosts that need them: the others wait for the first."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result = super().run(tmp, task_vars)
        _validated, arguments = self.validate_argument_spec(ARGUMENTS)
        destination = arguments["destination"]
        result.update(changed=False, fetched=[], fetched_bytes=0)
        if self._task.check_mode:
            return result
        os.makedirs(destination, mode=0o700, exist_ok=True)
        with open(os.path.join(destination, ".lock"), "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # What has its name there was checked when it came.
            files = [
                entry
                for entry in parse_entries(arguments["files"])
                if not os.path.exists(os.path.join(destination, entry.path))
            ]
            free, needed = free_bytes(destination), size_of(files)
            if files and free < needed:
                raise AnsibleActionFail(
                    f"the controller has {gib(free)} free in {destination}. Wanted: {gib(needed)} for files on their "
                    "way between hosts. To mend: make room, or set model_controller_directory to another directory."
                )
            start = time.monotonic()
            for entry in files:
                self.fetch(arguments["source"], destination, entry)
                result["fetched"].append(entry.path)
                result["fetched_bytes"] += entry.size
                done, seconds = result["fetched_bytes"], time.monotonic() - start
                if seconds > _copy.QUIET_SECONDS:
                    host = self._task.delegate_to or (task_vars or {}).get("inventory_hostname")
                    display.display(f"model | from {host}: {_copy.progress(done, needed, seconds)}")
        return result

    def fetch(self, source: str, destination: str, entry: t.Any) -> None:
        """Get one file; it gets its name when its hash is right."""
        there, here = os.path.join(source, entry.path), os.path.join(destination, entry.path)
        os.makedirs(os.path.dirname(here), mode=0o700, exist_ok=True)
        try:
            self._connection.fetch_file(there, here + ".part")
        except AnsibleError as error:
            raise AnsibleActionFail(
                f"{there} could not be fetched from {self._task.delegate_to}: {error}. The account that Ansible "
                "connects as must be able to read it."
            ) from error
        if hash_file(here + ".part") != entry.sha256:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(here + ".part")
            raise AnsibleActionFail(
                f"{there} arrived from {self._task.delegate_to} with other content than its manifest says. "
                "Run again; model_verify=full hashes the source again."
            )
        os.rename(here + ".part", here)
