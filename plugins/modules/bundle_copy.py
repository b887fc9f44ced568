#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of this name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bundle_copy
short_description: Copy a part of a bundle to a host
description:
  - Sends the files of one part of an unpacked bundle that are missing on the host. M(vllm_ray.cluster.bundle_install)
    checks each file on the host against the bundle's manifest.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.action
  - vllm_ray.cluster._attributes.actiongroup_cluster
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: The files are binary.
  idempotent:
    support: full
options:
  bundle:
    description: Directory of the unpacked bundle on the controller, RV(vllm_ray.cluster.bundle_open#module:directory).
    type: path
    required: true
  part:
    description: Directory in the bundle to copy, such as V(wheels), V(tools) or V(packages).
    type: str
    required: true
  path:
    description: Target directory on the host.
    type: path
    required: true
seealso:
  - module: vllm_ray.cluster.bundle_open
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Copy packages
  vllm_ray.cluster.bundle_copy:
    bundle: /home/ann/.ansible/vllm-ray/bundles/0f3b6c1d2a4e5f60
    part: packages
    path: /opt/vllm-ray/packages
  become: true
"""

RETURN = r"""
sent:
  description: Paths of the files that were sent.
  returned: success
  type: list
  elements: str
  sample: [Packages, ufw_0.36.2-1_all.deb]
"""
