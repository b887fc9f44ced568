# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the files of vllm_ray_tls=given on the controller. PRIVATE to the collection."""

from __future__ import annotations

import os
import typing as t

from ansible.errors import AnsibleError

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._tls_checks import FILES, Files

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible.parsing.dataloader import DataLoader


def paths(settings: Mapping[str, t.Any], inventory: str) -> dict[str, str]:
    """Return the files that settings name, by FILES. inventory: the directory from which relative paths count."""
    named = {name: settings.get(f"vllm_ray_tls_{name}") for name in FILES}
    return {name: os.path.join(inventory, path) for name, path in named.items() if path}


def read(found: Mapping[str, str], loader: DataLoader) -> Files:
    """Read files as the lookup `file` does, which decrypts those of Ansible Vault."""
    texts, why = {}, {}
    for name, path in found.items():
        try:
            # Whatever it holds: what is no PEM is found later.
            texts[name] = str(loader.get_text_file_contents(path, encoding="latin-1"))
        except AnsibleError as error:
            why[name] = str(error.message)[:200] if os.path.isfile(path) else "no such file"
    return Files(texts, why)
