# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the secrets that the controller knows, so that they can be taken out. PRIVATE to the collection."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils import _redact

if t.TYPE_CHECKING:
    from collections.abc import Mapping


def known(settings: Mapping[str, t.Any]) -> list[str]:
    """Return the secrets in a host's settings, and the API key that an earlier run left here."""
    path = settings.get("vllm_ray_key_file") or f"~/.config/vllm-ray/{settings['vllm_ray_cluster']}.key"
    try:
        with open(os.path.expanduser(path), encoding="utf-8") as stream:
            key = stream.read().strip()
    except (OSError, ValueError):
        key = ""
    listed = [settings.get(f"vllm_ray_{name}") or [] for name in ("extra_index_urls", "find_links")]
    urls = [url for several in listed for url in several] + [
        settings.get(f"vllm_ray_{name}") or "" for name in ("index_url", "proxy")
    ]
    # As a whole: not only passwords and queries are secret, a path may be.
    urls = [url for url in urls if "://" in url]
    variables = _redact.secrets_of_environment(settings.get("vllm_ray_env") or {})
    return [*_redact.secrets_of(dict(settings)), *variables, *urls, key]
