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
  - Polls the node table by M(vllm_ray.cluster.ray_cluster_info) and shows how many nodes have come.
  - Does not fail where nodes are missing when the time is up. It names them in RV(missing), so that the caller can look
    at each of them before it fails.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.wait_module
  - vllm_ray.cluster._attributes.action
attributes:
  check_mode:
    support: full
    details: In check mode it asks once and does not wait.
options:
  url:
    description: URL of the dashboard, as seen from the host where this runs.
    type: str
    default: http://127.0.0.1:8265
  token_file:
    description: File with the cluster's token, as O(vllm_ray.cluster.ray_cluster_info#module:token_file).
    type: path
    required: true
  wanted:
    description: Nodes to wait for, as cluster address and number of GPUs.
    type: dict
    required: true
  optional:
    description: Further nodes, alike. They are waited for O(optional_timeout), and only warned about.
    type: dict
    default: {}
  optional_timeout:
    description: Seconds to wait for O(optional), counted from the start.
    type: int
    default: 30
  names:
    description: Names of hosts by cluster address.
    type: dict
    required: true
  free:
    description: Whether to judge if the GPUs of O(wanted) are free for an engine that is about to start.
    type: bool
    default: false
  timeout:
    description: Seconds to wait for O(wanted).
    type: int
    default: 300
  interval:
    description: Seconds between two questions.
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
  description: Names of the hosts of O(wanted) without a living node that has enough GPUs.
  returned: success
  type: list
  elements: str
  sample: [gpu02]
problems:
  description: Why an engine can't be placed on O(wanted), a sentence a host. Empty without O(free=true).
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
  description: Placement groups that wait for resources.
  returned: success
  type: int
  sample: 0
why:
  description: Why the dashboard gave no answer, empty where it did.
  returned: success
  type: str
  sample: ""
"""
