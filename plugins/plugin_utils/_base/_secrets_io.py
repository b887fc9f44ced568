# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the secrets that the controller knows, so that they can be taken out. PRIVATE to the collection."""

from __future__ import annotations

import glob
import os
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _redact

if t.TYPE_CHECKING:
    from collections.abc import Mapping


def known(settings: Mapping[str, t.Any]) -> list[str]:
    """Return the secrets in a host's settings, and the API keys that earlier runs left here."""
    own = settings.get("vllm_ray_key_file")
    # The default is one of these; playbooks/vars/roles.yml says which.
    cluster = glob.escape(settings["vllm_ray_cluster"])
    patterns = [glob.escape(own)] if own else [f"~/.config/vllm-ray/{cluster}{end}.key" for end in ("", "@*")]
    files = [path for pattern in patterns for path in sorted(glob.glob(os.path.expanduser(pattern)))]
    variables = _redact.secrets_of_environment(settings.get("vllm_ray_env") or {})
    return [*_redact.secrets_of(dict(settings)), *variables, *_urls(settings), *map(_text, files)]


def _urls(settings: Mapping[str, t.Any]) -> list[str]:
    """Return the sources of packages, each as a whole: not only passwords and queries are secret, a path may be."""
    several = [settings.get(f"vllm_ray_{name}") or [] for name in ("extra_index_urls", "find_links")]
    single = [settings.get(f"vllm_ray_{name}") or "" for name in ("index_url", "proxy")]
    return [url for url in [*single, *(url for urls in several for url in urls)] if "://" in url]


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read().strip()
    except (OSError, ValueError):
        return ""
