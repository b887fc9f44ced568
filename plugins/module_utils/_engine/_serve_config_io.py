# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the release's own parser on the options of vllm serve. PRIVATE to the collection."""

from __future__ import annotations

import json
import os
import tempfile
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _account_io, _safe_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine._runtime import runtime_of
from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine._serve_config import (
    SCRIPT,
    refusals,
    without_secrets,
)

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


def parse(module: AnsibleModule) -> dict[str, str]:
    """Run the release's parser on the options as the service user, and return what it refuses."""
    release, user = module.params["release"], module.params["user"]
    # torch leaves directories in the home and in that for temporary files.
    folder = tempfile.mkdtemp(prefix="vllm-ray-parser-")
    try:
        config = os.path.join(folder, "serve.yaml")
        _safe_io.write_file(config, module.params["config"].encode())
        who = _account_io.account(user)
        if who:
            # The directory last: from then on it is the account's.
            with _safe_io.open_directory(folder) as directory:
                directory.own(who.pw_uid, who.pw_gid)
        environment = {"VLLM_LOGGING_LEVEL": "ERROR", "HOME": folder, "TMPDIR": folder}
        argv = runtime_of(release).argv(["python", "-c", SCRIPT, config])
        rc, out, err = _account_io.run_as(module, user, argv, environment)
    finally:
        with _safe_io.parent_of(folder) as (above, name):
            above.remove(name)
    given = json.loads(module.params["config"])
    return without_secrets(refusals(rc, out, err, module.params["environment"], given), given)
