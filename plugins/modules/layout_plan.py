#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of this name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: layout_plan
short_description: Plan the layout of an engine for hosts of a file
description:
  - Says how an engine would be laid out over hosts that need not be there yet, why, what the next best layouts would
    give, and what would make it better. Fails where no layout fits, and tells which changes would do; sizes that are
    set and miss by less than the estimate may be off are a warning.
  - The model is C(vllm_ray_model), a directory or a C(config.json) on the controller, or an id of a hub. Sizes are
    those of C(vllm_ray_serve_args). With C(vllm_ray_plan_file) the plan is written there in JSON.
  - Contacts no host, and the hub only for small files of a model that is not on the controller.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
  - vllm_ray.cluster._attributes.controller
options:
  hosts_file:
    description:
      - A file on the controller, in JSON or YAML. Either C(preflight.json) of C(preflight.yml), or C(hosts) and C(link)
        as in the example.
      - A host stands for C(count) hosts that are alike. C(memory_gib) is the memory of one of its GPUs, C(inside) what
        joins them, V(nvlink) or V(pcie). The first host is the serve host.
    type: path
    required: true
seealso:
  - module: vllm_ray.cluster.plan
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
# hosts.yml:
#   hosts:
#     - {name: gpu, count: 2, gpus: 8, gpu: H100 80GB, memory_gib: 80, inside: nvlink}
#   link: {gbit: 100, rdma: true}
- name: Plan a cluster before it is bought
  vllm_ray.cluster.layout_plan:
    hosts_file: hosts.yml
"""

RETURN = r"""
advice:
  description: The layout with its figures and reasons.
  returned: success
  type: dict
  contains:
    tp:
      description: Size of tensor parallelism.
      returned: success
      type: int
    pp:
      description: Size of pipeline parallelism.
      returned: success
      type: int
    gpus:
      description: GPUs of each host that the engine uses.
      returned: success
      type: dict
    kv_tokens:
      description: Tokens that the KV cache holds.
      returned: success
      type: int
    concurrency:
      description: Requests of the longest length that it holds at once.
      returned: success
      type: float
    tokens_per_second:
      description: An estimate of the output tokens per second of all requests.
      returned: success
      type: int
    fits:
      description: Whether it fits.
      returned: success
      type: bool
    close:
      description: By how much sizes that are set miss, where the estimate may be off by more. Empty where they fit.
      returned: success
      type: str
    reasons:
      description: Why this layout.
      returned: when it fits
      type: list
      elements: str
"""
