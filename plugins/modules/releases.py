#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of this name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: releases
short_description: Show which releases the hosts of a cluster have
description:
  - Shows every release with its versions and size, on which hosts it is and since when, who uses it there, and whether
    it is the same on all of them.
  - Changes nothing. One call shows the whole cluster, so a task sets C(run_once).
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
  - vllm_ray.cluster._attributes.controller
options:
  plan:
    description: What M(vllm_ray.cluster.plan) returned.
    type: dict
    required: true
  listed:
    description: Name of the variable in which each host's M(vllm_ray.cluster.releases_info) was registered.
    type: str
    default: __vllm_ray_listed
seealso:
  - module: vllm_ray.cluster.releases_info
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: List them
  vllm_ray.cluster.releases_info:
  register: listed

- name: Show them
  vllm_ray.cluster.releases:
    plan: "{{ planned }}"
    listed: listed
  run_once: true
"""

RETURN = r"""
summary:
  description: All that is shown, for programs.
  returned: success
  type: dict
  contains:
    cluster:
      description: Name of the cluster.
      returned: always
      type: str
    hosts:
      description: What M(vllm_ray.cluster.releases_info) returned, by host, V(none) where it did not answer.
      returned: always
      type: dict
    current:
      description: The release that is current, by host.
      returned: always
      type: dict
    previous:
      description: The release that was current before, by host.
      returned: always
      type: dict
    problems:
      description: What is wrong.
      returned: always
      type: list
      elements: dict
"""
