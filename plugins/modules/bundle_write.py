#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of this name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bundle_write
short_description: Write a bundle for a deployment without network access
description:
  - Downloads everything that hosts without network access need, and writes it to one tar file. This machine needs
    network access. No host is contacted.
  - The bundle matches the hosts as the inventory variables describe them. Unset values are taken from this machine.
  - The same content always results in the same bytes. The manifest, with size and SHA-256 of every file, is the last
    member.
  - Downloads are kept beside the file until it is complete, so an interrupted run continues where it stopped.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.controller
  - vllm_ray.cluster._attributes.actiongroup_cluster
attributes:
  check_mode:
    support: full
    details: In check mode, it shows what the file would contain and downloads nothing.
  diff_mode:
    support: none
    details: The bundle is one large binary file.
  idempotent:
    support: full
seealso:
  - module: vllm_ray.cluster.bundle_open
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Write a bundle
  vllm_ray.cluster.bundle_write:
"""

RETURN = r"""
path:
  description: Path of the bundle.
  returned: success
  type: str
  sample: /home/ann/vllm-ray-cuda-py3.12-x86_64.tar
digest:
  description: SHA-256 of the bundle's manifest, for C(vllm_ray_bundle_sha256).
  returned: when it is not check mode
  type: str
  sample: 0f3b6c1d2a4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8
"""
