# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks dpkg, and runs apt. PRIVATE to the collection."""

from __future__ import annotations

import os
import tempfile
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _safe_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases import _packages
from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases._uv import last_lines

if t.TYPE_CHECKING:
    from collections.abc import Sequence

    from ansible.module_utils.basic import AnsibleModule


def ensure(module: AnsibleModule) -> dict[str, object]:
    """Install what is missing of some packages, and return what it was."""
    names, directory = module.params["names"], module.params["directory"]
    missing = absent(module, names)
    if missing and not module.check_mode:
        if not os.path.isfile(f"{directory}/Packages"):
            module.fail_json(msg=f"{directory} has no file Packages, so it is not a package directory.")
        with tempfile.TemporaryDirectory(prefix="vllm-ray-packages-") as work:
            _safe_io.make_directories(f"{work}/lists/partial")
            _safe_io.write_file(f"{work}/sources.list", _packages.source(directory).encode())
            for words in (("update",), ("--no-install-recommends", "install", *missing)):
                rc, out, err = module.run_command(
                    _packages.apt_argv(work, *words),
                    environ_update={"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"},
                )
                if rc:
                    module.fail_json(msg=_packages.refusal(missing, directory, last_lines(out + err, 6)))
    return {"changed": bool(missing), "missing": missing}


def absent(module: AnsibleModule, names: Sequence[str]) -> list[str]:
    """Return the packages that are not installed: all, where there is no dpkg."""
    if not module.get_bin_path("dpkg-query"):
        return list(names)
    _rc, out, _err = module.run_command([*_packages.QUERY, *names])
    return _packages.missing(names, out)
