#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of this name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: look
short_description: Look at a host as its vllm_ray_* variables say
description:
  - Turns the C(vllm_ray_*) variables of a host into a call of M(vllm_ray.cluster.host_info), which tells the plan
    what there is.
  - Checks no variable. M(vllm_ray.cluster.plan) does, for all hosts at once.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
  - vllm_ray.cluster._attributes.action
options:
  host:
    description:
      - Name of the host whose variables are meant. Default is the host of the task.
      - Needed where the task is delegated.
    type: str
  details:
    description: Whether to read more, as M(vllm_ray.cluster.host_info) with its option C(details).
    type: bool
    default: false
  may_verify:
    description:
      - Whether files of the model are hashed, every one or those that were touched, as C(vllm_ray_model_verify) says.
        What runs the role model after it need not, as that hashes them, too.
    type: bool
    default: false
seealso:
  - module: vllm_ray.cluster.host_info
  - module: vllm_ray.cluster.plan
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Look
  vllm_ray.cluster.look:
  ignore_unreachable: true
  register: __vllm_ray_look
"""

RETURN = r"""
unreached:
  description: Whether there was no connection to the host of O(host), which is another one than that of the task.
  returned: it can't be reached
  type: bool
host:
  description: As of M(vllm_ray.cluster.host_info).
  returned: success
  type: dict
network:
  description: As of M(vllm_ray.cluster.host_info).
  returned: success
  type: dict
engine:
  description: As of M(vllm_ray.cluster.host_info).
  returned: success
  type: dict
usage:
  description: As of M(vllm_ray.cluster.host_info).
  returned: success
  type: dict
details:
  description: As of M(vllm_ray.cluster.host_info).
  returned: O(details) is set
  type: dict
asked:
  description: The controller's clock before and after the call, in seconds since 1970.
  returned: always
  type: dict
  sample: {"sent": 1795273200.1, "received": 1795273200.9}
"""
