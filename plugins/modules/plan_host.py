#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of this name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: plan_host
short_description: Add groups and role variables to a host of the plan
description:
  - Adds groups and variables to a host of the inventory for the rest of the run, like M(ansible.builtin.add_host). It
    takes the variables as one dictionary, such as from M(vllm_ray.cluster.plan).
  - They are host variables. Variables of a play, a task and the command line override them.
  - One call changes one host. Set C(run_once) on the task and loop over the hosts.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
  - vllm_ray.cluster._attributes.controller
options:
  name:
    description: Name of the host in the inventory.
    type: str
    required: true
  groups:
    description: Groups to which the host is added. Missing groups are created.
    type: list
    elements: str
    default: []
  variables:
    description: Variables by name. They must not contain secrets, because results show them.
    type: dict
    default: {}
seealso:
  - module: vllm_ray.cluster.plan
  - module: ansible.builtin.add_host
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Add groups and role variables to each host
  vllm_ray.cluster.plan_host:
    name: "{{ item.name }}"
    groups: "{{ item.groups }}"
    variables: "{{ item.variables }}"
  loop: "{{ planned.hosts }}"
  loop_control:
    label: "{{ item.name }}"
  changed_when: false
  run_once: true
"""

RETURN = r"""
add_host:
  description: The added groups and variables.
  type: dict
  returned: always
  contains:
    host_name:
      description: Name of the host.
      type: str
    groups:
      description: Groups of the host.
      type: list
      elements: str
    host_vars:
      description: Variables of the host.
      type: dict
"""
