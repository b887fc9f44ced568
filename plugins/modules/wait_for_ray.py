#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of this name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: wait_for_ray
short_description: Wait until nodes have joined a Ray cluster
description:
  - Polls the node table with M(vllm_ray.cluster.ray_cluster_info) and shows how many nodes have joined.
  - Does not fail if nodes are missing at the timeout. RV(missing) lists them, so that the caller can inspect them
    before it fails.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.wait_module
  - vllm_ray.cluster._attributes.action
attributes:
  check_mode:
    support: full
    details: In check mode, it polls once and does not wait.
options:
  url:
    description: URL of the dashboard, as seen from the host that runs the module.
    type: str
    default: http://127.0.0.1:8265
  token_file:
    description: File with the cluster's token, as O(vllm_ray.cluster.ray_cluster_info#module:token_file).
    type: path
    required: true
  wanted:
    description: Nodes to wait for, as a mapping of cluster address to number of GPUs.
    type: dict
    required: true
  optional:
    description: Optional nodes, in the same format. The module waits O(optional_timeout) for them, and only warns if
      they are missing.
    type: dict
    default: {}
  optional_timeout:
    description: Seconds to wait for O(optional), counted from the start.
    type: int
    default: 30
  names:
    description: Names of hosts by cluster address, for messages.
    type: dict
    required: true
  free:
    description: Whether to check that the GPUs of O(wanted) are free for an engine that is about to start.
    type: bool
    default: false
  timeout:
    description: Seconds to wait for O(wanted).
    type: int
    default: 300
  interval:
    description: Seconds between two polls.
    type: float
    default: 2
seealso:
  - module: vllm_ray.cluster.ray_cluster_info
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Wait for two nodes with two GPUs each
  vllm_ray.cluster.wait_for_ray:
    token_file: /etc/vllm-ray/default/ray.token
    wanted: {192.0.2.11: 2, 192.0.2.12: 2}
    names: {192.0.2.11: gpu01, 192.0.2.12: gpu02}
  register: table
"""

RETURN = r"""
missing:
  description: Names of the hosts in O(wanted) without a live node that has enough GPUs.
  returned: success
  type: list
  elements: str
  sample: [gpu02]
problems:
  description: Why an engine cannot be placed on O(wanted), one sentence for each host. Empty without O(free=true).
  returned: success
  type: list
  elements: str
  sample: ["gpu02: 0 of 2 GPUs are free and the engine needs 2"]
nodes:
  description: The node table, as RV(vllm_ray.cluster.ray_cluster_info#module:nodes).
  returned: success
  type: list
  elements: dict
lines:
  description: The node table as lines of text.
  returned: success
  type: list
  elements: str
  sample: ["gpu01  192.0.2.11  alive  0 of 2 GPUs in use by Ray"]
waiting:
  description: Number of placement groups that wait for resources.
  returned: success
  type: int
  sample: 0
why:
  description: Why the dashboard did not answer. Empty if it did.
  returned: success
  type: str
  sample: ""
"""
