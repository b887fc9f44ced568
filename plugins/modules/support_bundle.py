#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of this name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: support_bundle
short_description: Join to one file what others need to know to help
description:
  - Joins what M(vllm_ray.cluster.support_part) gathered on every host with status, plan, looks and problems of the
    cluster, to one file on the controller that only its owner may read. Its path is shown.
  - The file C(MISSING) in it names what it lacks and why, such as hosts that did not answer.
  - The file is made in the directory that C(vllm_ray_report) names, or in the current one.
  - One call joins all hosts, so a task sets C(run_once).
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.controller
  - vllm_ray.cluster._attributes.actiongroup_cluster
attributes:
  check_mode:
    support: full
    details: The file is not written in check mode.
  diff_mode:
    support: none
    details: The file is always another one.
  idempotent:
    support: none
    details: The file is always another one.
options:
  plan:
    description: What M(vllm_ray.cluster.plan) returned.
    type: dict
    required: true
  look:
    description: Name of the variable in which each host's look was registered.
    type: str
    default: __vllm_ray_look
  head_look:
    description: The look at the head, where it was made apart because C(--limit) leaves the head out.
    type: dict
    default: {}
  serve_look:
    description:
      - The same of the serve host of the head's record, which is probed apart where C(--limit) leaves it out, too.
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
- name: Join
  vllm_ray.cluster.support_bundle:
    plan: "{{ planned }}"
  run_once: true
"""

RETURN = r"""
path:
  description: The file.
  returned: success
  type: str
  sample: /home/me/vllm-ray-support-default-20261121T180501.tar.gz
missing:
  description: What it lacks, and why.
  returned: success
  type: list
  elements: str
  sample: ["gpu03: look: unreachable: No route to host"]
"""
