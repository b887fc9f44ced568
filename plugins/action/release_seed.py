# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base import _run_io
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import answers
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._display_io import ActionFailed
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._transfers import (
    _peer_addresses,
    _peer_addresses_io,
    _seed,
)

if t.TYPE_CHECKING:
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import Answer, TaskVariables

ARGUMENTS = {
    "id": {"type": "str", "required": True},
    "builder": {"type": "str", "default": ""},
    "built": {"type": "dict", "default": {}},
    "trusted": {"type": "str", "default": ""},
    "hosts": {"type": "list", "elements": "dict", "default": []},
    "look": {"type": "str", "default": "release_found"},
}


class ActionModule(ActionBase):
    """Decides which build of a release all hosts get, and which host gives it to the others."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: TaskVariables | None = None) -> dict[str, object]:
        result = super().run(tmp, task_vars)
        variables = task_vars or {}
        _validated, arguments = self.validate_argument_spec(ARGUMENTS)
        builder, built, release = arguments["builder"], arguments["built"], arguments["id"]
        hostvars, present = variables["hostvars"], variables["ansible_play_batch"]
        looks = {name: look for name, look in answers(hostvars, present, [arguments["look"]]).items() if look}
        known: Answer = {}
        if arguments["trusted"] and not _seed.agree(looks, built):
            known = self.read(arguments["trusted"], release, variables)
            if known.get("failed") or known.get("unreachable"):
                return dict(known)
        seed = _seed.choose(looks, builder, built, known.get("manifest", ""))
        if not seed.host or not (seed.builds or seed.copies or seed.wanted):
            raise ActionFailed(_seed.nobody(release, looks))
        # Hosts whose look failed take no part.
        outside = seed.host not in looks
        together = [*looks, *([seed.host] if outside else [])] if seed.lacking else []
        return {
            **result,
            "changed": False,
            **seed.as_dict(),
            "digest": known.get("tree", "") if seed.wanted and seed.wanted == known.get("manifest") else "",
            "warnings": _seed.notes(looks, seed, builder, release),
            # Where it is or will be, as hosts may have other roots.
            "path": (looks.get(seed.host) or built)["path"],
            "bytes": (looks.get(seed.host) or built).get("tree_bytes", 0),
            "outside": outside,
            "hosts": _peer_addresses.peers(
                together, arguments["hosts"], hostvars, "release_hosts", _peer_addresses_io.resolve
            ),
            "run": _run_io.new_name(),
            "window": 10 + 2 * len(looks) / int(variables["ansible_forks"]),
        }

    def read(self, path: str, release: str, variables: TaskVariables) -> Answer:
        """Return what trusted_digest returns about a release, on the host to which the task is delegated."""
        return self._execute_module(
            module_name="vllm_ray.cluster.trusted_digest",
            module_args={"path": path, "name": f"release {release}"},
            task_vars=variables,
        )
