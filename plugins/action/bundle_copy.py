# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import typing as t

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._plain import plain_lines
from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases._bring import Item
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._display_io import ActionFailed, failure, show
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._bundles import _bundle, _bundle_io

if t.TYPE_CHECKING:
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import Answer, TaskVariables

ARGUMENTS = {
    "bundle": {"type": "path", "required": True},
    "part": {"type": "str", "required": True},
    "path": {"type": "path", "required": True},
}


class ActionModule(ActionBase):
    """Brings a part of an unpacked bundle to a host, where bundle_install checks it."""

    TRANSFERS_FILES = True

    def run(self, tmp: str | None = None, task_vars: TaskVariables | None = None) -> dict[str, object]:
        result = super().run(tmp, task_vars)
        _validated, arguments = self.validate_argument_spec(ARGUMENTS)
        self.variables = task_vars or {}
        self.host = self.variables["inventory_hostname"]
        bundle, part = arguments["bundle"], arguments["part"]
        try:
            files = _bundle_io.read_manifest(bundle).part(part)
        except _bundle.BundleError as error:
            return failure(result, str(error))
        items = {item.path: item for item in (as_item(file, part) for file in files)}
        account = 0 if self._task.check_mode else self.account()
        staged = self.call("stage", path=arguments["path"], files=items.values(), account=account)
        if staged["send"]:
            self.send(f"{bundle}/{part}", staged["staging"], [items[path] for path in staged["send"]])
        if staged["changed"] and not self._task.check_mode:
            bad = self.call("install", path=arguments["path"], files=items.values(), account=account)["bad"]
            if bad:
                raise ActionFailed(
                    f"{self.host}: {', '.join(bad[:3])} arrived with other content than {bundle}/{part} should have. "
                    f"Remove {bundle}, so that the bundle is unpacked and checked again, and run again."
                )
        return {**result, "changed": staged["changed"], "sent": staged["send"]}

    def account(self) -> int:
        """Return the number of the account that the connection writes files as."""
        answer = self._low_level_execute_command("id -u", sudoable=False)
        number = answer["stdout"].strip().rpartition("\n")[2]
        if answer["rc"] or not number.isdigit():
            raise ActionFailed(f"{self.host}: id -u failed: {answer['stderr'] or answer['stdout']}")
        return int(number)

    def call(self, step: str, path: str, files: t.Iterable[Item], account: int) -> Answer:
        """Run bundle_install on the host."""
        rows = [vars(item) for item in files]
        arguments = {"step": step, "path": path, "files": rows, "account": account}
        answer = self._execute_module(
            module_name="vllm_ray.cluster.bundle_install", module_args=arguments, task_vars=self.variables
        )
        if answer.get("unreachable"):
            raise AnsibleConnectionFailure(plain_lines(str(answer.get("msg", "unreachable"))))
        if answer.get("failed"):
            raise ActionFailed(f"{self.host}: {answer.get('msg', 'it failed')}")
        return answer

    def send(self, source: str, staging: str, items: list[Item]) -> None:
        """Send files to the staging directory, and say how far it is where it takes a while."""
        meter = _bundle_io.Meter(f"to {self.host}", sum(item.size for item in items), show)
        for item in items:
            here = os.path.join(source, item.path)
            try:
                self._connection.put_file(here, self._connection._shell.join_path(staging, item.key))
            except AnsibleError as error:
                raise ActionFailed(f"{self.host}: {here} could not be copied to {staging}: {error}") from error
            meter.add(item.size)


def as_item(file: _bundle.File, part: str) -> Item:
    """Return a file of a part as bundle_install takes it: by its path in the part."""
    mode = 0o755 if part == _bundle.TOOLS else 0o644
    return Item(file.path[len(part) + 1 :], file.size, file.sha256, mode)
