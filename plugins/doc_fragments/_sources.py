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
    description: URL of the package index. Default is pip's configuration.
    type: str
  extra_index_urls:
    description: URLs of additional package indexes. Default is pip's configuration.
    type: list
    elements: str
  find_links:
    description: Directories or URLs with wheels. Default is pip's configuration.
    type: list
    elements: str
  proxy:
    description: URL of the proxy for downloads. Default is pip's configuration.
    type: str
  ca_certificate:
    description: File with the CA certificates that downloads trust. Default is pip's configuration.
    type: path
  cache_dir:
    description: Directory of uv's cache. Default is C(~/.cache/uv).
    type: path
  torch_backend:
    description:
      - Value of uv's C(--torch-backend). By default, it is C(cpu) if the lock requires torch for the CPU and no source
        has it. Otherwise it is not set.
    type: str
  wheels:
    description: Directory on the host with additional wheels. By default, there are none.
    type: path
"""
