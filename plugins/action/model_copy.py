# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import time
import typing as t

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _folders_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._plain import plain_lines
from ansible_collections.vllm_ray.cluster.plugins.module_utils._models import _model_tree_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._models._install_io import MANIFEST
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees import _tree, _tree_io
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._display_io import ActionFailed, show
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._transfers import _copy

if t.TYPE_CHECKING:
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import Answer, TaskVariables

INSTALL = "vllm_ray.cluster.model_install"
ROUNDS = 2
ARGUMENTS = {
    "compared": {"type": "dict", "required": True},
    "wanted": {"type": "dict", "required": True},
    "record_directory": {"type": "path", "default": "/var/lib/vllm-ray/manifests"},
}


class ActionModule(ActionBase):
    """Sends files of the controller to a host, where model_install checks them and makes a directory of them."""

    TRANSFERS_FILES = True

    def run(self, tmp: str | None = None, task_vars: TaskVariables | None = None) -> dict[str, object]:
        result = super().run(tmp, task_vars)
        _validated, self.arguments = self.validate_argument_spec(ARGUMENTS)
        self.variables = task_vars or {}
        self.host = self.variables["inventory_hostname"]
        compared = self.arguments["compared"]
        self.path, self.source = compared["directory"], self.arguments["wanted"]["directory"]
        files = {entry["path"]: entry["size"] for entry in compared["to_copy"]}
        result.update(changed=bool(files or compared["to_remove"]), sent_bytes=0)
        if result["changed"] and not self._task.check_mode:
            result["sent_bytes"] = self.bring(files)
        return result

    def bring(self, files: dict[str, int]) -> int:
        """Send and install files; what arrived damaged is sent once more. Return how much was sent."""
        sent = 0
        for _round in range(ROUNDS):
            staged = self.call(step="stage", files=files, user=self.account())
            self._transfer_data(self._connection._shell.join_path(staged["staging"], MANIFEST), self.manifest())
            sent += self.send(staged["staging"], {name: files[name] for name in files if name not in staged["held"]})
            bad = self.call(step="install", digest=self.arguments["wanted"]["digest"], user=self.account())["bad"]
            if not bad:
                return sent
            files = {name: files.get(name, 0) for name in bad}
        raise ActionFailed(
            f"{self.host}: {', '.join(bad)} arrived with other content than {self.source} has, {ROUNDS} times. Check "
            f"the disks and the memory of {self.host} and of the controller; model_verify=full "
            "(vllm_ray_model_verify) hashes the source again."
        )

    def manifest(self) -> str:
        """Return the text of the source's manifest. Nothing is hashed again for it: the source was just read."""
        record = _tree_io.read_record(_copy.records(), _folders_io.resolved(self.source))
        text = _tree.dump(_model_tree_io.read(self.source, record, 0).manifest())
        if _tree.digest(text) != self.arguments["wanted"]["digest"]:
            raise ActionFailed(f"{self.source} changed while it was copied. Run again when no process writes to it.")
        return text

    def account(self) -> str:
        """Return the number of the account that the connection writes files as."""
        answer = self._low_level_execute_command("id -u", sudoable=False)
        number = answer["stdout"].strip().rpartition("\n")[2]
        if answer["rc"] or not number.isdigit():
            raise ActionFailed(f"{self.host}: id -u failed: {answer['stderr'] or answer['stdout']}")
        return number

    def call(self, **arguments: object) -> Answer:
        """Run model_install on the host."""
        arguments.update(path=self.path, record_directory=self.arguments["record_directory"])
        answer = self._execute_module(module_name=INSTALL, module_args=arguments, task_vars=self.variables)
        if answer.get("unreachable"):
            raise AnsibleConnectionFailure(plain_lines(str(answer.get("msg", "unreachable"))))
        if answer.get("failed"):
            raise ActionFailed(f"{self.host}: {answer.get('msg', 'it failed')}")
        return answer

    def send(self, staging: str, files: dict[str, int]) -> int:
        """Send files by their names, and say how far it is where it takes a while. Return their size."""
        total, done = sum(files.values()), 0
        start = said = time.monotonic()
        for name, size in files.items():
            here = os.path.join(self.source, name)
            try:
                self._connection.put_file(here, self._connection._shell.join_path(staging, "tree", name))
            except AnsibleError as error:
                raise ActionFailed(f"{self.host}: {here} could not be copied to {staging}: {error}") from error
            done += size
            now = time.monotonic()
            if now - said > _copy.QUIET_SECONDS and done < total:
                show(f"model | {self.host}: {_copy.progress(done, total, now - start)}")
                said = now
        if time.monotonic() - start > _copy.QUIET_SECONDS:
            show(f"model | {self.host}: {_copy.progress(total, total, time.monotonic() - start)}")
        return total
