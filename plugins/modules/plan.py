#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of this name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: plan
short_description: Compute the plan of a cluster from its inventory and host facts
description:
  - Checks the C(vllm_ray_*) variables and the registered result of M(vllm_ray.cluster.look) of every host of the
    cluster.
  - Shows the plan and all problems at once. Fails if one of the problems is an error.
  - Keeps the layout of a serving engine, unless a host of it is missing or a variable requires another layout.
  - One call covers the whole cluster, so set C(run_once) on the task.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
  - vllm_ray.cluster._attributes.controller
options:
  fail:
    description: Whether to show the plan and to fail on errors. With V(false), the caller must do both.
    type: bool
    default: true
  nodes:
    description:
      - Whether the run also deploys the Ray nodes on all hosts of the play. Only such a run can remove hosts that left
        the inventory, because all other hosts need a new token then.
    type: bool
    default: true
  rotate:
    description:
      - Whether the run renews the secrets in C(vllm_ray_rotate). Requires C(vllm_ray_restart) and all hosts.
      - An interrupted renewal is continued by every run, regardless of this option.
    type: bool
    default: false
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
seealso:
  - module: vllm_ray.cluster.look
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Compute the plan
  vllm_ray.cluster.plan:
  run_once: true
  register: __vllm_ray_plan
"""

RETURN = r"""
plan:
  description:
    - Target state of the cluster.
  returned: success
  type: dict
  contains:
    cluster:
      description: Name of the cluster.
      type: str
      returned: success
    head:
      description: Name of the head.
      type: str
      returned: success
    serve_host:
      description: Name of the host that runs C(vllm serve).
      type: str
      returned: success
    serving:
      description: Whether an engine serves now. Will be V(none) if unknown, which counts as serving.
      type: bool
      returned: success
    news:
      description: Why the checks between hosts must run. Empty if they need not run again.
      type: str
      returned: success
    leaving:
      description: Hosts that left the inventory and that this run removes from the cluster.
      type: list
      elements: str
      returned: success
    held:
      description: Other changes that wait for O(ignore:vllm_ray_restart=true), as reasons by host. Services are not
        included.
      type: dict
      returned: success
    rotation:
      description:
        - The renewal of secrets that is unfinished or that this run starts. Will be V(none) if there is none.
      type: dict
      returned: success
    renewals:
      description: Secrets to renew with their reasons, as O(vllm_ray.cluster.cluster_secrets#module:renew).
      type: dict
      returned: success
      sample: {"ray.token": ["2026-11-29T16:40:12Z"]}
    engine:
      description: Layout, executor, options and endpoint of the engine.
      type: dict
      returned: success
    hosts:
      description: The part of the plan for each host, by name.
      type: dict
      returned: success
hosts:
  description:
    - C(name), C(groups) for later plays, and C(variables) of roles without secrets, for each host of the plan. They are
      the options of M(vllm_ray.cluster.plan_host). Empty if there are errors.
  returned: success
  type: list
  elements: dict
reached:
  description: Reachable hosts, with name, cluster address and the ports of their services.
  returned: success
  type: list
  elements: dict
releases:
  description: Path of the release on each host, existing or planned.
  returned: success
  type: dict
users:
  description: Account of the services on each host, in scope V(system).
  returned: success
  type: dict
paths:
  description: Paths on each host.
  returned: success
  type: dict
run:
  description:
    - Unique name of the network test of this run. The lookup P(vllm_ray.cluster.run_token#lookup) derives the option
      O(vllm_ray.cluster.network_check#module:token) from it.
  returned: success
  type: str
worked:
  description: Values of the last successful run, by row and host, from the file on the head. Will be V(none) if there
    is none.
  returned: success
  type: dict
protection:
  description: Problems of settings that disable protections, regardless of C(vllm_ray_checks_off).
  returned: success
  type: list
  elements: dict
problems:
  description: Problems, each with host, check, severity, found, wanted and fix.
  returned: success
  type: list
  elements: dict
  sample:
    - host: "-"
      check: inventory
      severity: error
      found: 2 hosts in the group head (gpu01, gpu02)
      wanted: exactly one
      fix: put one host into the group head, or name another group by vllm_ray_head_group
"""
