# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import fcntl
import os
import time
import typing as t

from ansible import constants as C
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.vllm_ray.cluster.plugins.module_utils._manifest import difference, parse_entries, record_name
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils import _copy

display = Display()
INSTALL = "vllm_ray.cluster.model_install"
ROUNDS = 2
ARGUMENTS = {
    "source": {"type": "path", "required": True},
    "compared": {"type": "dict", "required": True},
    "wanted": {"type": "dict", "required": True},
    "record_directory": {"type": "path", "default": "/var/lib/vllm-ray/manifests"},
}


class ActionModule(ActionBase):
    """Sends files of the controller to a host, where model_install checks them and moves them to their places."""

    TRANSFERS_FILES = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result = super().run(tmp, task_vars)
        _validated, self.arguments = self.validate_argument_spec(ARGUMENTS)
        self.variables = task_vars or {}
        self.host = self.variables["inventory_hostname"]
        compared, wanted = self.arguments["compared"], self.arguments["wanted"]
        self.path = compared["directory"]
        files, have = parse_entries(compared["to_copy"]), parse_entries(compared["files"])
        replaced = difference(have, files).differing
        self.remove = compared["to_remove"]
        result.update(
            changed=bool(files or self.remove),
            copied=[entry.path for entry in files],
            copied_bytes=compared["to_copy_bytes"],
            sent_bytes=0,
            replaced=list(replaced),
            removed=self.remove,
            digest=wanted["digest"],
            msg=f"{self.path}: {_copy.summary(files, self.remove, replaced, self._task.check_mode)}",
        )
        if self._task.diff:
            before, after = _copy.listing(have), _copy.listing(parse_entries(wanted["files"]))
            result["diff"] = {"before_header": self.path, "after_header": self.path, "before": before, "after": after}
        if result["changed"]:
            display.display(f"model | {self.host}: {result['msg']}")
        if result["changed"] and not self._task.check_mode:
            with self.turn(compared["filesystem"]):
                if not compared["filesystem"]["shared"] or self.still_missing():
                    result["sent_bytes"] = self.bring(files, wanted["digest"])
        return result

    @contextlib.contextmanager
    def turn(self, filesystem: dict[str, t.Any]) -> t.Iterator[None]:
        """Let one host after the other write to a file system that they share: the first one writes for all."""
        if not filesystem["shared"]:
            yield
            return
        directory = os.path.join(C.config.get_config_value("ANSIBLE_HOME"), "vllm-ray", "locks")
        os.makedirs(directory, exist_ok=True)
        with open(os.path.join(directory, record_name(self.path)), "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def still_missing(self) -> bool:
        """Whether nobody else brought the files in the meantime."""
        now = self.call("vllm_ray.cluster.model_manifest", wanted=self.arguments["wanted"], replace=True)
        return bool(now["to_copy"] or now["to_remove"])

    def bring(self, files: list[t.Any], digest: str) -> int:
        """Send and install files; what arrived damaged is sent once more. Return how much was sent."""
        sent = 0
        for _round in range(ROUNDS):
            staged = self.call(INSTALL, step="stage", files=files, user=self.account())
            sent += self.send(staged["staging"], _copy.first_of_each(files, staged["held"]))
            done = self.call(INSTALL, step="install", files=files, remove=self.remove)
            if not done["bad"]:
                break
        else:
            names = [entry.path for entry in files if entry.sha256 in done["bad"]]
            raise AnsibleActionFail(
                f"{self.host}: {', '.join(names)} arrived with other content than {self.arguments['source']} has, "
                f"{ROUNDS} times. Look at the disks and the memory of {self.host} and of the controller; "
                f"model_verify=full (vllm_ray_model_verify) hashes the source again."
            )
        if done["digest"] != digest:
            raise AnsibleActionFail(
                f"{self.host}: {self.path} changed while it was copied (digest {done['digest']}, wanted {digest}). "
                "Run again when nobody else writes to it."
            )
        return sent

    def account(self) -> str:
        """Return the number of the account that the connection writes files as."""
        answer = self._low_level_execute_command("id -u", sudoable=False)
        number = answer["stdout"].strip().rpartition("\n")[2]
        if answer["rc"] or not number.isdigit():
            raise AnsibleActionFail(f"{self.host}: id -u failed: {answer['stderr'] or answer['stdout']}")
        return number

    def call(self, name: str, **arguments: t.Any) -> dict[str, t.Any]:
        """Run a module on the host."""
        if "files" in arguments:
            arguments["files"] = [entry.as_dict() for entry in arguments["files"]]
        arguments.update(path=self.path, record_directory=self.arguments["record_directory"])
        answer = self._execute_module(module_name=name, module_args=arguments, task_vars=self.variables)
        if answer.get("unreachable"):
            raise AnsibleConnectionFailure(answer.get("msg", "unreachable"))
        if answer.get("failed"):
            raise AnsibleActionFail(f"{self.host}: {answer.get('msg', 'it failed')}")
        return answer

    def send(self, staging: str, files: list[t.Any]) -> int:
        """Send files under their hashes, and say how far it is where it takes a while. Return their size."""
        total, done = sum(entry.size for entry in files), 0
        start = said = time.monotonic()
        for entry in files:
            here = os.path.join(self.arguments["source"], entry.path)
            try:
                self._connection.put_file(here, self._connection._shell.join_path(staging, entry.sha256))
            except AnsibleError as error:
                raise AnsibleActionFail(f"{self.host}: {here} could not be copied to {staging}: {error}") from error
            done += entry.size
            now = time.monotonic()
            if now - said > _copy.QUIET_SECONDS and done < total:
                display.display(f"model | {self.host}: {_copy.progress(done, total, now - start)}")
                said = now
        if time.monotonic() - start > _copy.QUIET_SECONDS:
            display.display(f"model | {self.host}: {_copy.progress(total, total, time.monotonic() - start)}")
        return total
