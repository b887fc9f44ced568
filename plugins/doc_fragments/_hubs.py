# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a hub is asked, for modules that read or download a model.

Note that this doc fragment is PRIVATE to the collection: its names and words can change at any time.
"""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  hub:
    description: Hub of the model. V(mirror) is a directory on a web server.
    type: str
    choices: [huggingface, mirror, modelscope]
    default: huggingface
  revision:
    description: Branch, tag or commit. If empty, the hub's default, C(main) or C(master).
    type: str
    default: ''
  endpoint:
    description: URL of the hub or of a server that replaces it. If empty, the hub's own URL.
    type: str
    default: ''
  proxy:
    description: URL of the proxy to the hub. Default is from the environment.
    type: str
  ca_certificate:
    description: File with the CA certificates to trust. Default is the system's.
    type: path
"""
