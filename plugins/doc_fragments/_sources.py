# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where packages come from, for modules that build or resolve.

Note that this doc fragment is PRIVATE to the collection: its names and words can change at any time.
"""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  index_url:
    description: URL of the package index.
    type: str
  extra_index_urls:
    description: URLs of further package indexes.
    type: list
    elements: str
  find_links:
    description: Directories or URLs with wheels.
    type: list
    elements: str
  proxy:
    description: URL of the proxy for downloads.
    type: str
  ca_certificate:
    description: File with the certificates that downloads trust.
    type: path
  cache_dir:
    description: Directory of uv's cache. Default is uv's own, C(~/.cache/uv).
    type: path
  torch_backend:
    description:
      - Backend for uv's C(--torch-backend). By default it is C(cpu) where the sources have no build of torch for the
        CPU and the lock wants one.
    type: str
  wheels:
    description: Directory on the host with wheels that are offered besides the sources.
    type: path
"""
