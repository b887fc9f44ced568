#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of this name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: plan
short_description: Make the plan of a cluster from its inventory and what was looked at
description:
  - Checks the C(vllm_ray_*) variables of every host of the cluster, and what M(vllm_ray.cluster.look) registered there.
  - Shows what will be, and every problem, at once. Fails where one of the problems is an error.
  - Keeps the layout of an engine that serves, as long as its hosts are there and no variable says otherwise.
  - One call makes the plan of the whole cluster, so a task sets C(run_once).
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
  - vllm_ray.cluster._attributes.controller
options:
  fail:
    description: Whether to show the plan, and to fail on errors. Otherwise both are the caller's to do.
    type: bool
    default: true
  nodes:
    description:
      - Whether the run goes on to the nodes of Ray on all hosts of the play. Only such a run can part with hosts that
        left the inventory, as all others need a new token then.
    type: bool
    default: true
  rotate:
    description:
      - Whether the run is to renew the secrets of C(vllm_ray_rotate). It needs C(vllm_ray_restart) and all hosts.
      - A renewal that was interrupted is continued by every run, whatever this is.
    type: bool
    default: false
  look:
    description: Name of the variable in which each host's look was registered.
    type: str
    default: __vllm_ray_look
  head_look:
    description: The look at the head, where it was left out by C(--limit) and looked at from another host's task.
    type: dict
    default: {}
  serve_look:
    description:
      - The same of the serve host of the head's record, which is probed apart where C(--limit) leaves it out, too.
    type: dict
    default: {}
seealso:
  - module: vllm_ray.cluster.look
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Plan
  vllm_ray.cluster.plan:
  run_once: true
  register: __vllm_ray_plan
"""

RETURN = r"""
plan:
  description:
    - What the cluster should be.
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
      description: Name of the host where C(vllm serve) runs.
      type: str
      returned: success
    serving:
      description: Whether an engine serves now. Will be V(none) where that is not known, which counts as serving.
      type: bool
      returned: success
    news:
      description: Why what is between hosts is to be checked, empty where nothing new could be learnt.
      type: str
      returned: success
    leaving:
      description: Hosts that left the inventory and that this run parts with.
      type: list
      elements: str
      returned: success
    held:
      description: What waits for O(ignore:vllm_ray_restart=true) besides services, as reasons by host.
      type: dict
      returned: success
    rotation:
      description:
        - The renewal of secrets that is not finished, or that this run begins. Will be V(none) where there is none.
      type: dict
      returned: success
    renewals:
      description: Which secrets are made anew and why, as O(vllm_ray.cluster.cluster_secrets#module:renew).
      type: dict
      returned: success
      sample: {"ray.token": ["2026-11-29T16:40:12Z"]}
    engine:
      description: Layout, executor, options and endpoint of the engine.
      type: dict
      returned: success
    hosts:
      description: The part of the plan that is about one host, by name.
      type: dict
      returned: success
hosts:
  description:
    - For each host of the plan its C(name), the C(groups) by which plays find it, and the C(variables) of roles that
      hold no secret. M(vllm_ray.cluster.plan_host) takes them. Empty where errors stand in the way.
  returned: success
  type: list
  elements: dict
reached:
  description: Hosts that were looked at, with name, cluster address and the ports that their services use.
  returned: success
  type: list
  elements: dict
releases:
  description: Where the release of each host is, or will be.
  returned: success
  type: dict
users:
  description: The account of the services on each host, in scope V(system).
  returned: success
  type: dict
paths:
  description: Where things lie on each host.
  returned: success
  type: dict
run:
  description:
    - Name of this run's test of the network, another one each time. The lookup P(vllm_ray.cluster.run_token#lookup)
      makes the option O(vllm_ray.cluster.network_check#module:token) of it.
  returned: success
  type: str
worked:
  description: Values by row and host of the last good run, as of the head's file. Will be V(none) where there is none.
  returned: success
  type: dict
protection:
  description: The problems of settings that take protection away, whatever C(vllm_ray_checks_off) has.
  returned: success
  type: list
  elements: dict
problems:
  description: What is wrong, each with host, check, severity, found, wanted and fix.
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
