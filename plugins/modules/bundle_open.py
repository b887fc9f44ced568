#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of this name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bundle_open
short_description: Check a bundle and unpack it on the controller
description:
  - Compares every file of a bundle with the bundle's manifest, and unpacks it below C(ANSIBLE_HOME/vllm-ray/bundles).
  - A bundle that is unpacked there already is not unpacked again. Its directory may be removed at any time.
  - Playbooks register what it returns as C(__vllm_ray_bundle); the settings that follow from a bundle are read there.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.controller
  - vllm_ray.cluster._attributes.actiongroup_cluster
attributes:
  check_mode:
    support: full
    details: It unpacks in check mode too, as what follows stands on what is in it. It is not called a change.
  diff_mode:
    support: none
    details: Nothing but a directory of the controller changes.
  idempotent:
    support: full
options:
  path:
    description: The bundle, a file on the controller. A relative path is one of the current directory.
    type: path
    required: true
  sha256:
    description:
      - SHA-256 of the bundle, as M(vllm_ray.cluster.bundle_write) returns it. Empty for any bundle.
      - Another bundle is refused before anything is unpacked.
      - It is that of the bundle's manifest, which has the SHA-256 of each file.
    type: str
    default: ""
seealso:
  - module: vllm_ray.cluster.bundle_write
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Open the bundle
  vllm_ray.cluster.bundle_open:
    path: vllm-ray-cuda-py3.12-x86_64.tar
  run_once: true
  register: __vllm_ray_bundle
"""

RETURN = r"""
directory:
  description: Where it is unpacked.
  returned: success
  type: str
  sample: /home/ann/.ansible/vllm-ray/bundles/0f3b6c1d2a4e5f60
made_by:
  description: Name and version of the collection that made it.
  returned: success
  type: str
  sample: vllm_ray.cluster 1.0.0
accelerator:
  description: What its release computes on, empty where it has none.
  returned: success
  type: str
  sample: cuda
python:
  description: The hosts' Python that it is for.
  returned: success
  type: str
  sample: "3.12"
platform:
  description: The hosts' C library and machine that it is for.
  returned: success
  type: str
  sample: manylinux_2_39_x86_64
uv:
  description: Version of its uv.
  returned: success
  type: str
  sample: 0.13.9
managed:
  description: The Python that it has for uv to install, empty where it has none.
  returned: success
  type: str
  sample: 3.12.9
lock:
  description: Where its lock is in it, empty where it has none.
  returned: success
  type: str
  sample: locks/cuda.lock
lock_wish:
  description: The user's C(vllm_ray_release_lock) when it was made.
  returned: success
  type: str
  sample: ""
model:
  description: Where its model is in it, empty where it has none.
  returned: success
  type: str
  sample: model/Qwen3-32B
model_wish:
  description: The user's C(vllm_ray_model) when it was made.
  returned: success
  type: str
  sample: Qwen/Qwen3-32B
os:
  description: Distribution that its packages are of, empty where it has none.
  returned: success
  type: str
  sample: ubuntu 24.04
packages:
  description: Packages of the distribution that it brings with all they need.
  returned: success
  type: list
  elements: str
  sample: [ufw]
"""
