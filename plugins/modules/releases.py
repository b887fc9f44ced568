#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of this name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: releases
short_description: Show the releases on the hosts of a cluster
description:
  - Shows every release with its versions and size, its hosts and installation times, the clusters and processes that
    use it, and whether it is identical on all hosts.
  - Changes nothing. One call covers the whole cluster, so set C(run_once) on the task.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
  - vllm_ray.cluster._attributes.controller
options:
  plan:
    description: Result of M(vllm_ray.cluster.plan).
    type: dict
    required: true
  listed:
    description: Name of the variable with each host's registered result of M(vllm_ray.cluster.releases_info).
    type: str
    default: __vllm_ray_listed
seealso:
  - module: vllm_ray.cluster.releases_info
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: List the releases of each host
  vllm_ray.cluster.releases_info:
  register: listed

- name: Show the releases of the cluster
  vllm_ray.cluster.releases:
    plan: "{{ planned }}"
    listed: listed
  run_once: true
"""

RETURN = r"""
summary:
  description: Everything that is shown, as data.
  returned: success
  type: dict
  contains:
    cluster:
      description: Name of the cluster.
      returned: always
      type: str
    hosts:
      description: Result of M(vllm_ray.cluster.releases_info) by host, V(none) for a host that did not answer.
      returned: always
      type: dict
    current:
      description: Current release by host.
      returned: always
      type: dict
    previous:
      description: Previous release by host.
      returned: always
      type: dict
    problems:
      description: Problems that were found.
      returned: always
      type: list
      elements: dict
"""
