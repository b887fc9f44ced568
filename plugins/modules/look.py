#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of this name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: look
short_description: Gather facts about a host for the plan
description:
  - Calls M(vllm_ray.cluster.host_info) with options derived from the C(vllm_ray_*) variables of a host. The plan uses
    the result.
  - Does not validate the variables. M(vllm_ray.cluster.plan) does this for all hosts at once.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
  - vllm_ray.cluster._attributes.action
options:
  host:
    description:
      - Name of the host whose variables are used. Default is the host of the task.
      - Required if the task is delegated.
    type: str
  details:
    description: Whether to read additional facts, with the option C(details) of M(vllm_ray.cluster.host_info).
    type: bool
    default: false
  may_verify:
    description:
      - Whether to hash files of the model, all or only changed ones, as C(vllm_ray_model_verify) selects. Not required
        if the role model runs afterwards, because it hashes them too.
    type: bool
    default: false
seealso:
  - module: vllm_ray.cluster.host_info
  - module: vllm_ray.cluster.plan
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Gather facts about the host
  vllm_ray.cluster.look:
  ignore_unreachable: true
  register: __vllm_ray_look
"""

RETURN = r"""
unreached:
  description: Whether the host in O(host) was unreachable, if it is not the host of the task.
  returned: it can't be reached
  type: bool
host:
  description: See M(vllm_ray.cluster.host_info).
  returned: success
  type: dict
network:
  description: See M(vllm_ray.cluster.host_info).
  returned: success
  type: dict
engine:
  description: See M(vllm_ray.cluster.host_info).
  returned: success
  type: dict
usage:
  description: See M(vllm_ray.cluster.host_info).
  returned: success
  type: dict
details:
  description: See M(vllm_ray.cluster.host_info).
  returned: O(details) is set
  type: dict
last_server:
  description: Serve host of the last run by the record on this host, empty if there is none.
  returned: always
  type: str
asked:
  description: Clock of the controller before and after the call, in seconds since 1970.
  returned: always
  type: dict
  sample: {"sent": 1795273200.1, "received": 1795273200.9}
"""
