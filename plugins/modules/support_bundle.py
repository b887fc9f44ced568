#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of this name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: support_bundle
short_description: Write a support bundle of a cluster
description:
  - Combines the results of M(vllm_ray.cluster.support_part) of all hosts with status, plan, host facts and problems of
    the cluster. Writes them to one file on the controller that only its owner may read, and shows its path.
  - The file C(MISSING) in it lists missing parts with the reasons, such as hosts that did not answer.
  - Writes the file to the directory in C(vllm_ray_report), or to the current directory if unset.
  - One call covers all hosts, so set C(run_once) on the task.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.controller
  - vllm_ray.cluster._attributes.actiongroup_cluster
attributes:
  check_mode:
    support: full
    details: In check mode, the file is not written.
  diff_mode:
    support: none
    details: Each run writes a new file.
  idempotent:
    support: none
    details: Each run writes a new file.
options:
  plan:
    description: Result of M(vllm_ray.cluster.plan).
    type: dict
    required: true
  look:
    description: Name of the variable with each host's registered result of M(vllm_ray.cluster.look).
    type: str
    default: __vllm_ray_look
  head_look:
    description: Separate result of M(vllm_ray.cluster.look) for the head, if C(--limit) excludes the head.
    type: dict
    default: {}
  serve_look:
    description:
      - Separate result of M(vllm_ray.cluster.look) for the serve host in the head's record, if C(--limit) excludes it.
    type: dict
    default: {}
  part:
    description: Name of the variable in which each host's M(vllm_ray.cluster.support_part) was registered.
    type: str
    default: __vllm_ray_part
seealso:
  - module: vllm_ray.cluster.support_part
  - module: vllm_ray.cluster.status
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Write the support bundle
  vllm_ray.cluster.support_bundle:
    plan: "{{ planned }}"
  run_once: true
"""

RETURN = r"""
path:
  description: Path of the file.
  returned: success
  type: str
  sample: /home/me/vllm-ray-support-default-20261121T180501.tar.gz
missing:
  description: Missing parts, with the reasons.
  returned: success
  type: list
  elements: str
  sample: ["gpu03: look: unreachable: No route to host"]
"""
