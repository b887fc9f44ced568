#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of this name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bundle_open
short_description: Check and unpack a bundle on the controller
description:
  - Checks every file of a bundle against its manifest, and unpacks the bundle below C(ANSIBLE_HOME/vllm-ray/bundles).
  - A bundle that is already unpacked there is not unpacked again. You can remove its directory at any time.
  - The playbooks register the result as C(__vllm_ray_bundle), from which settings of the bundle are read.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.controller
  - vllm_ray.cluster._attributes.actiongroup_cluster
attributes:
  check_mode:
    support: full
    details: It also unpacks in check mode, because later tasks depend on the content. This is not reported as a change.
  diff_mode:
    support: none
    details: Only a directory on the controller changes.
  idempotent:
    support: full
options:
  path:
    description: Path of the bundle file on the controller. A relative path starts at the current directory.
    type: path
    required: true
  sha256:
    description:
      - Expected SHA-256 of the bundle, as M(vllm_ray.cluster.bundle_write) returns it. If empty, any bundle is
        accepted.
      - A different bundle is rejected before anything is unpacked.
      - It is the hash of the bundle's manifest, which contains the SHA-256 of each file.
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
  description: Directory with the unpacked bundle.
  returned: success
  type: str
  sample: /home/ann/.ansible/vllm-ray/bundles/0f3b6c1d2a4e5f60
made_by:
  description: Name and version of the collection that wrote the bundle.
  returned: success
  type: str
  sample: vllm_ray.cluster 1.0.0
accelerator:
  description: Accelerator of its release, empty if it has no release.
  returned: success
  type: str
  sample: cuda
python:
  description: Python version of the hosts that it is for.
  returned: success
  type: str
  sample: "3.12"
platform:
  description: C library and architecture of the hosts that it is for.
  returned: success
  type: str
  sample: manylinux_2_39_x86_64
uv:
  description: Version of uv in the bundle.
  returned: success
  type: str
  sample: 0.13.9
managed:
  description: Version of the Python in the bundle that uv installs, empty if it has none.
  returned: success
  type: str
  sample: 3.12.9
lock:
  description: Path of the lock in the bundle, empty if it has none.
  returned: success
  type: str
  sample: locks/cuda.lock
lock_wish:
  description: Value of C(vllm_ray_release_lock) when the bundle was written.
  returned: success
  type: str
  sample: ""
model:
  description: Path of the model in the bundle, empty if it has none.
  returned: success
  type: str
  sample: model/Qwen3-32B
model_wish:
  description: Value of C(vllm_ray_model) when the bundle was written.
  returned: success
  type: str
  sample: Qwen/Qwen3-32B
os:
  description: Distribution of its packages, empty if it has none.
  returned: success
  type: str
  sample: ubuntu 24.04
packages:
  description: Packages of the distribution that it contains, with their dependencies.
  returned: success
  type: list
  elements: str
  sample: [ufw]
"""
