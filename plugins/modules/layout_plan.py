#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of this name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: layout_plan
short_description: Plan the layout of an engine for hosts described in a file
description:
  - Computes the layout of an engine for hosts that do not need to exist yet. Shows the reasons, the next best layouts
    and possible improvements.
  - Fails if no layout fits, and shows which changes would help. Configured sizes that miss by less than the error of
    the estimate are a warning.
  - Uses the model in C(vllm_ray_model), which is a directory or C(config.json) on the controller, or an id on a hub.
    Sizes are those in C(vllm_ray_serve_args). If C(vllm_ray_plan_file) is set, the plan is written there as JSON.
  - Contacts no host. Contacts the hub only for small files of a model that is not on the controller.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
  - vllm_ray.cluster._attributes.controller
options:
  hosts_file:
    description:
      - JSON or YAML file on the controller. Either the C(preflight.json) of C(preflight.yml), or a mapping with
        C(hosts) and C(link) as in the example.
      - Each entry of C(hosts) describes C(count) identical hosts. C(memory_gib) is the memory of one GPU. C(inside) is
        the link between the GPUs, V(nvlink) or V(pcie). The first host is the serve host.
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
  description: The selected layout with its figures and reasons.
  returned: success
  type: dict
  contains:
    tp:
      description: Tensor parallel size.
      returned: success
      type: int
    pp:
      description: Pipeline parallel size.
      returned: success
      type: int
    gpus:
      description: Number of GPUs that the engine uses, by host.
      returned: success
      type: dict
    kv_tokens:
      description: Number of tokens that fit into the KV cache.
      returned: success
      type: int
    concurrency:
      description: Number of concurrent requests of maximum length that fit into the KV cache.
      returned: success
      type: float
    tokens_per_second:
      description: Estimated output tokens per second of all requests.
      returned: success
      type: int
    fits:
      description: Whether the layout fits.
      returned: success
      type: bool
    close:
      description: By how much configured sizes miss, if the estimate may be off by more. Empty if they fit.
      returned: success
      type: str
    reasons:
      description: Reasons for this layout.
      returned: when it fits
      type: list
      elements: str
"""
