#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of this name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: plan_host
short_description: Give a host of the plan its groups and the variables of roles
description:
  - Adds groups and variables to a host of the inventory for the rest of the run, as M(ansible.builtin.add_host) does.
    Variables come as one dictionary, so that they can be those that M(vllm_ray.cluster.plan) made.
  - They are variables of the host, which those of a play, a task and the command line override.
  - One call changes one host, so a task sets C(run_once) and loops over hosts.
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
    description: Groups that the host joins; they are made where they do not exist.
    type: list
    elements: str
    default: []
  variables:
    description: Variables by their names. None of them may hold a secret, as results show them.
    type: dict
    default: {}
seealso:
  - module: vllm_ray.cluster.plan
  - module: ansible.builtin.add_host
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Give each host its groups and the variables of roles
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
  description: What was added.
  type: dict
  returned: always
  contains:
    host_name:
      description: The host.
      type: str
    groups:
      description: Its groups.
      type: list
      elements: str
    host_vars:
      description: Its variables.
      type: dict
"""
